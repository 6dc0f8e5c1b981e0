// How a core sleeps on its ring, and how other threads wake it.
//
//   core:    sleeping = true; was woken? ─ no ─► sleep in io_uring_enter ─► sleeping = false
//   others:  push mail; woken = true; sleeping? ─ yes ─► write the eventfd, whose read is on the ring
//
// No wake-up is lost: each side writes its flag before it reads the other's, all four sequentially
// consistent, so at least one sees the other. If the waker saw `sleeping` false, the core's look at
// `woken` comes later and finds it set, and the exchange orders the mail before it. If both see
// each other, the eventfd wakes the core once too often. While a core is awake a wake costs one
// atomic exchange and no system call.
//
// Neither is a completion that one client's turn has brought for another who had fetched his before: the core is sent
// round once more. What is still held then waits for something else.
//
// Further rings of the core (reads of older data) signal their completions on the same eventfd.
//
// Units      deadlines by CLOCK_BOOTTIME
// Owner      `wait` by the owning core; `wake` by any thread. Borrows the rings, which outlive it
// Errors     making the eventfd: kSystem
#pragma once

#include "drivers/ring/ring.h"
#include "env/waiter.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace penstock::drivers {

class RingWaiter final : public env::Waiter, private RingClient {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RingWaiter>> create(Ring& main);
  ~RingWaiter() override;
  RingWaiter(const RingWaiter&) = delete;
  RingWaiter& operator=(const RingWaiter&) = delete;

  // REQUIRES: before the first `wait`, on rings of the same core.
  [[nodiscard]] Result<> watch(Ring& further);

  void wait(Nanos deadline) override;
  void wake() override;

 private:
  RingWaiter(Ring& main, int eventfd);
  void on_completion(std::uint64_t data, std::int32_t result, std::uint32_t flags) override;
  [[nodiscard]] bool arm();

  Ring& main_;
  std::vector<Ring*> further_;
  int eventfd_;
  std::uint8_t client_;
  bool armed_ = false;                             // a read of the eventfd is on the ring
  std::uint64_t delivered_ = 0;                    // by the main ring, when the core was sent round
  alignas(64) std::atomic<bool> sleeping_{false};  // written by the core
  alignas(64) std::atomic<bool> woken_{false};     // set by others, taken by the core
};

}  // namespace penstock::drivers
