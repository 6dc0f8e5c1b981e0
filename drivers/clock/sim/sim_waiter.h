// Waiting in simulation: the harness decides who runs next, so `wait` only notes how long the core
// would have slept, and `wake` makes that moment now.
#pragma once

#include "env/waiter.h"

#include <cstdint>

namespace penstock::drivers {

class SimWaiter final : public env::Waiter {
 public:
  void wait(Nanos deadline) override {
    deadline_ = woken_ ? Nanos(INT64_MIN) : deadline;
    woken_ = false;
  }
  void wake() override {
    woken_ = true;
    deadline_ = Nanos(INT64_MIN);
    ++wakes_;
  }

  // Monotonic time at which the core would run again by itself.
  [[nodiscard]] Nanos deadline() const { return deadline_; }
  [[nodiscard]] bool woken() const { return woken_; }
  [[nodiscard]] std::uint64_t wakes() const { return wakes_; }

 private:
  Nanos deadline_{INT64_MIN};
  bool woken_ = false;
  std::uint64_t wakes_ = 0;
};

}  // namespace penstock::drivers
