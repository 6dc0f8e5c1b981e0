// One core's queue of reads and writes on its ring. A durable write carries RWF_DSYNC: the kernel
// completes it when the device has it on stable media.
//
// Shape      at most `depth` operations; submitted to the kernel by the next turn, flush or sleep of
//            the ring. FileIds are the file descriptors of `FileVolume`, of any thread
// Owner      the ring's core. Borrows the ring. REQUIRES: nothing pending when destroyed
// Allocates  in the constructor only
// Source     io_uring_enter(2); pwritev2(2), RWF_DSYNC
#pragma once

#include "drivers/ring/ring.h"
#include "env/disk.h"

#include <cstdint>
#include <vector>

namespace penstock::drivers {

class UringDisk final : public env::Disk, private RingClient {
 public:
  explicit UringDisk(Ring& ring, std::size_t depth = 64);
  ~UringDisk() override;
  UringDisk(const UringDisk&) = delete;
  UringDisk& operator=(const UringDisk&) = delete;

  [[nodiscard]] std::size_t depth() const override { return tags_.size(); }
  [[nodiscard]] std::size_t submit(std::span<const env::DiskOp> ops) override;
  void hand_over() override { ring_.flush(); }
  [[nodiscard]] std::size_t reap(std::span<env::DiskDone> out) override;

 private:
  void on_completion(std::uint64_t data, std::int32_t result, std::uint32_t flags) override;
  [[nodiscard]] bool holds() const override { return !done_.empty(); }

  Ring& ring_;
  std::uint8_t client_;
  std::vector<std::uint64_t> tags_;  // by slot
  std::vector<std::uint32_t> free_;  // slots that no operation uses
  std::vector<env::DiskDone> done_;  // finished, not reaped; a slot is free once it is here
};

}  // namespace penstock::drivers
