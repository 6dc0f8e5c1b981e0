// What becomes of one operation: the fault drawn for it, and its effect on the medium.
#include "base/assert.h"
#include "drivers/disk/sim/sim_pending.h"
#include "drivers/disk/sim/sim_storage.h"

#include <algorithm>
#include <cerrno>

namespace penstock::drivers {
namespace {

constexpr std::int64_t kStallNanosMin = kNanosPerSecond / 5;
constexpr std::int64_t kStallNanosMax = 5 * kNanosPerSecond;

// Writes the sectors of `bytes` that `chosen` names, whole runs at a time. Returns how many.
template <class Chosen>
std::size_t write_sectors(SimFile& file, std::uint64_t offset, std::span<const std::byte> bytes,
                          bool durable, const Chosen& chosen) {
  const std::size_t sectors = bytes.size() / kSimSector;
  std::size_t written = 0;
  std::size_t run = 0;
  for (std::size_t sector = 0; sector <= sectors; ++sector) {
    if (sector < sectors && chosen(static_cast<std::uint32_t>(sector))) {
      ++run;
      continue;
    }
    if (run > 0) {
      const std::size_t at = (sector - run) * kSimSector;
      file.write(offset + at, bytes.subspan(at, run * kSimSector), durable);
      written += run;
    }
    run = 0;
  }
  return written;
}

}  // namespace

bool SimStorage::grows_too_far(const SimFile& file, std::uint64_t end) {
  if (end <= file.size()) return false;
  const bool drawn = streams_->no_space.chance(options_.rates.no_space);
  return drawn || names_.bytes() + (end - file.size()) > options_.capacity;
}

void SimStorage::draw_write(Pending& pending) {
  Streams& streams = *streams_;
  const DiskFaultRates& rates = options_.rates;
  pending.due =
      time_->now() + streams.latency.between(options_.write_nanos_min, options_.write_nanos_max);
  if (streams.stall.chance(rates.stall)) {
    counts_.add(DiskFault::kStall);
    pending.due = pending.due + streams.stall.between(kStallNanosMin, kStallNanosMax);
  }
  if (streams.lost.chance(rates.lost_write)) pending.fault = DiskFault::kLostWrite;
  if (streams.misdirected.chance(rates.misdirected_write)) {
    pending.fault = DiskFault::kMisdirectedWrite;
  }
  if (streams.short_write.chance(rates.short_write)) pending.fault = DiskFault::kShortWrite;
  if (streams.write_error.chance(rates.write_error)) pending.fault = DiskFault::kWriteError;
  if (grows_too_far(*pending.file, pending.op.offset + pending.op.length)) {
    pending.fault = DiskFault::kNoSpace;
  }
}

void SimStorage::draw_read(Pending& pending) {
  Streams& streams = *streams_;
  const DiskFaultRates& rates = options_.rates;
  pending.due =
      time_->now() + streams.latency.between(options_.read_nanos_min, options_.read_nanos_max);
  if (streams.stall.chance(rates.stall)) {
    counts_.add(DiskFault::kStall);
    pending.due = pending.due + streams.stall.between(kStallNanosMin, kStallNanosMax);
  }
  if (streams.read_flip.chance(rates.read_flip)) pending.fault = DiskFault::kReadFlip;
  if (streams.read_error.chance(rates.read_error)) pending.fault = DiskFault::kReadError;
}

std::int32_t SimStorage::perform_write(Pending& pending) {
  SimFile& file = *pending.file;
  const env::DiskOp& op = pending.op;
  const auto length = static_cast<std::int32_t>(op.length);
  if (!pending.fault) {
    file.write(op.offset, pending.data, op.durable);
    return length;
  }
  counts_.add(*pending.fault);
  switch (*pending.fault) {
    case DiskFault::kWriteError:
      write_sectors(file, op.offset, pending.data, op.durable,
                    [&](std::uint32_t) { return streams_->write_error.below(2) == 0; });
      return -EIO;
    case DiskFault::kShortWrite: {
      const std::size_t sectors = op.length / kSimSector;
      const std::size_t prefix = (1 + streams_->short_write.below(sectors - 1)) * kSimSector;
      file.write(op.offset, std::span(pending.data).first(prefix), op.durable);
      return static_cast<std::int32_t>(prefix);
    }
    case DiskFault::kMisdirectedWrite:
      misdirect(pending);
      return length;
    case DiskFault::kLostWrite:
      damaged(DiskFault::kLostWrite, pending);
      return length;
    default:
      PENSTOCK_ASSERT(*pending.fault == DiskFault::kNoSpace);
      return -ENOSPC;
  }
}

void SimStorage::misdirect(Pending& pending) {
  SimFile& file = *pending.file;
  const env::DiskOp& op = pending.op;
  SimRandom& random = streams_->misdirected;
  const bool also_where_meant = random.below(2) == 0;
  const std::uint64_t places =
      file.size() > op.length ? (file.size() - op.length) / env::kSector + 1 : 0;
  const std::uint64_t meant = op.offset / env::kSector;
  std::uint64_t place = places > 1 ? random.below(places - 1) : meant;
  if (places > 1 && place >= meant) ++place;
  if (also_where_meant) {
    file.write(op.offset, pending.data, op.durable);
  } else {
    damaged(DiskFault::kMisdirectedWrite, pending);
  }
  if (place == meant) return;
  file.write(place * env::kSector, pending.data, op.durable);
  damage_.push_back({DiskFault::kMisdirectedWrite, file.name(), place * env::kSector, op.length});
}

void SimStorage::damaged(DiskFault fault, const Pending& pending) {
  damage_.push_back({fault, pending.file->name(), pending.op.offset, pending.op.length});
}

std::int32_t SimStorage::perform_read(Pending& pending) {
  const env::DiskOp& op = pending.op;
  const std::size_t got = pending.file->read(op.offset, {op.data, op.length});
  if (pending.fault == DiskFault::kReadError) {
    counts_.add(DiskFault::kReadError);
    return -EIO;
  }
  if (pending.fault == DiskFault::kReadFlip && got > 0) {
    counts_.add(DiskFault::kReadFlip);
    op.data[streams_->read_flip.below(got)] ^=
        static_cast<std::byte>(1U << streams_->read_flip.below(8));
  }
  return static_cast<std::int32_t>(got);
}

void SimStorage::tear(const Pending& pending, const SimSurvival& survival) {
  if (pending.fault == DiskFault::kNoSpace) return;
  const std::size_t sectors = pending.data.size() / kSimSector;
  SimRandom& random = streams_->cut;
  std::function<bool(std::uint32_t)> chosen;
  DiskFault fault = DiskFault::kTornSectors;
  if (survival.in_flight) {
    const SimWrite write = pending.describe();
    chosen = [&survival, write](std::uint32_t sector) { return survival.in_flight(write, sector); };
  } else {
    std::size_t prefix = sectors;
    switch (random.below(5)) {
      case 0:
        prefix = 0;
        break;
      case 1:
        break;
      case 2:
        fault = DiskFault::kTorn512;
        prefix = random.below(sectors);
        break;
      case 3:
        fault = DiskFault::kTorn4096;
        prefix = random.below(sectors * kSimSector / kSimPage + 1) * (kSimPage / kSimSector);
        break;
      default:
        chosen = [&random](std::uint32_t) { return random.below(2) == 0; };
        break;
    }
    if (!chosen) chosen = [prefix](std::uint32_t sector) { return sector < prefix; };
  }
  const std::size_t written =
      write_sectors(*pending.file, pending.op.offset, pending.data, true, chosen);
  if (written == 0) {
    counts_.add(DiskFault::kInFlightLost);
  } else if (written < sectors) {
    counts_.add(fault);
  }
}

bool SimStorage::flip_bit(std::string_view name, std::uint64_t offset, std::uint64_t length) {
  const Result<FileRef> file = names_.find(name);
  if (!file) return false;
  const std::optional<std::uint64_t> at = (*file)->flip_bit(offset, length, streams_->bit_flip);
  if (!at) return false;
  counts_.add(DiskFault::kBitFlip);
  damage_.push_back({DiskFault::kBitFlip, std::string(name), *at, 1});
  return true;
}

}  // namespace penstock::drivers
