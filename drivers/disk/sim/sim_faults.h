// What can go wrong on the simulated medium, how often it should, and how often it did.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::drivers {

enum class DiskFault : std::uint8_t {
  // Drawn for each operation of a Disk, at its rate.
  kWriteError,        // -EIO; any subset of the sectors is written
  kReadError,         // -EIO
  kShortWrite,        // a prefix is written, and its length reported
  kNoSpace,           // -ENOSPC on growth; refusals for want of capacity count here too
  kStall,             // takes 0.2–5 s
  kMisdirectedWrite,  // lands elsewhere in the file, reported as good
  kLostWrite,         // lands nowhere, reported as good
  kReadFlip,          // one bit of what was read, not of what is stored
  // Done when the harness asks.
  kBitFlip,  // one stored bit, for good
  // What a power cut did to writes in flight, to completed writes that were not durable, and to
  // directory entries that were not synced.
  kInFlightLost,
  kTornSectors,  // any subset of 512-byte sectors
  kTorn512,      // a prefix, torn at 512 bytes
  kTorn4096,     // a prefix, torn at 4 KiB
  kVolatileLost,
  kEntryLost,
};
inline constexpr std::size_t kDiskFaults = 15;

[[nodiscard]] constexpr std::string_view name(DiskFault fault) {
  constexpr std::array<std::string_view, kDiskFaults> kNames = {
      "write_error",  "read_error", "short_write", "no_space",      "stall",
      "misdirected",  "lost_write", "read_flip",   "bit_flip",      "in_flight_lost",
      "torn_sectors", "torn_512",   "torn_4096",   "volatile_lost", "entry_lost"};
  return kNames[static_cast<std::size_t>(fault)];
}

// Probabilities per operation. All zero: a good disk.
struct DiskFaultRates {
  double write_error = 0;
  double read_error = 0;
  double short_write = 0;
  double no_space = 0;
  double stall = 0;
  double misdirected_write = 0;
  double lost_write = 0;
  double read_flip = 0;
};

struct DiskFaultCounts {
  std::array<std::uint64_t, kDiskFaults> counts{};
  [[nodiscard]] std::uint64_t operator[](DiskFault fault) const {
    return counts[static_cast<std::size_t>(fault)];
  }
  void add(DiskFault fault) { ++counts[static_cast<std::size_t>(fault)]; }
  DiskFaultCounts& operator+=(const DiskFaultCounts& other) {
    for (std::size_t i = 0; i < kDiskFaults; ++i) counts[i] += other.counts[i];
    return *this;
  }
  // "write_error=3 read_error=0 …", every kind.
  [[nodiscard]] std::string describe() const {
    std::string text;
    for (std::size_t i = 0; i < kDiskFaults; ++i) {
      if (i > 0) text += ' ';
      text.append(name(static_cast<DiskFault>(i))).append("=").append(std::to_string(counts[i]));
    }
    return text;
  }
};

// Where the medium was made to lie, so that an oracle knows which loss is the disk's.
struct DiskDamage {
  DiskFault fault = DiskFault::kBitFlip;
  std::string file;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};

}  // namespace penstock::drivers
