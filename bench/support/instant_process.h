// A data core over disks that take every write and forget it, in virtual time: what a run counts is our own
// work.
//
// Owner      one thread
#pragma once

#include "bench/support/in_process.h"
#include "bench/support/instant_disk.h"
#include "drivers/clock/sim/sim_clock.h"
#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/sim/sim_storage.h"
#include "drivers/entropy/sim_entropy.h"

namespace penstock::bench {

class InstantProcess {
 public:
  explicit InstantProcess(std::uint32_t shards)
      : process(volume_, writes_, reads_, clock, entropy_,
                {.shards = shards, .slot_bytes = 32 * kMiB, .slots = 4},
                [this] { time.advance_to(time.now() + 1'000); }) {}

 private:
  static drivers::SimStorageOptions unverified() {
    drivers::SimStorageOptions options;
    options.verify_buffers = false;
    return options;
  }

 public:
  drivers::SimTime time;

 private:
  drivers::SimStorage storage_{time, unverified(), 1};
  drivers::SimVolume volume_{storage_};
  InstantDisk writes_;
  InstantDisk reads_;
  drivers::SimEntropy entropy_{1};

 public:
  drivers::SimClock clock{time};
  InProcess process;
};

}  // namespace penstock::bench
