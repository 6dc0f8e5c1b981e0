// What the simulated medium keeps of an operation under way. Private to drivers/disk/sim.
#pragma once

#include "drivers/disk/sim/sim_storage.h"

#include <optional>
#include <vector>

namespace penstock::drivers {

struct SimStorage::Pending {
  std::uint64_t number = 0;
  Nanos due;
  SimDisk* disk = nullptr;  // null: nobody waits for it any more
  env::DiskOp op;
  FileRef file;
  std::vector<std::byte> data;     // of a write, as it was when submitted
  std::optional<DiskFault> fault;  // drawn when submitted, done when due

  [[nodiscard]] bool is_write() const { return op.kind == env::DiskKind::kWrite; }
  [[nodiscard]] SimWrite describe() const {
    return {number, file->name(), op.offset, op.length, op.durable};
  }
};

// One stream per kind of chance.
struct SimStorage::Streams {
  explicit Streams(std::uint64_t seed)
      : latency(seed, "disk latency"),
        stall(seed, "disk stall"),
        write_error(seed, "disk write error"),
        read_error(seed, "disk read error"),
        short_write(seed, "disk short write"),
        no_space(seed, "disk no space"),
        misdirected(seed, "disk misdirected write"),
        lost(seed, "disk lost write"),
        read_flip(seed, "disk read flip"),
        bit_flip(seed, "disk bit flip"),
        cut(seed, "disk power cut") {}
  SimRandom latency;
  SimRandom stall;
  SimRandom write_error;
  SimRandom read_error;
  SimRandom short_write;
  SimRandom no_space;
  SimRandom misdirected;
  SimRandom lost;
  SimRandom read_flip;
  SimRandom bit_flip;
  SimRandom cut;
};

}  // namespace penstock::drivers
