#include "drivers/disk/uring/uring_disk.h"

#include "base/assert.h"

#include <algorithm>
#include <sys/uio.h>

namespace penstock::drivers {

UringDisk::UringDisk(Ring& ring, std::size_t depth)
    : ring_(ring), client_(ring.attach(*this)), tags_(depth) {
  free_.reserve(depth);
  for (std::size_t slot = depth; slot > 0; --slot) {
    free_.push_back(static_cast<std::uint32_t>(slot - 1));
  }
  done_.reserve(depth);
}

UringDisk::~UringDisk() { ring_.detach(client_); }

std::size_t UringDisk::submit(std::span<const env::DiskOp> ops) {
  // What has been reaped, or waits to be, and what is under way are at most `depth` together.
  const std::size_t room = free_.size() - done_.size();
  std::size_t taken = 0;
  for (const env::DiskOp& op : ops.first(std::min(ops.size(), room))) {
    PENSTOCK_CHECK_FULL(op.offset % env::kSector == 0);
    PENSTOCK_CHECK_FULL(op.length % env::kSector == 0);
    PENSTOCK_CHECK_FULL(reinterpret_cast<std::uintptr_t>(op.data) % env::kSector == 0);
    io_uring_sqe* entry = ring_.entry();
    if (entry == nullptr) break;
    const int file = static_cast<int>(op.file);
    if (op.kind == env::DiskKind::kRead) {
      io_uring_prep_read(entry, file, op.data, op.length, op.offset);
    } else {
      io_uring_prep_write(entry, file, op.data, op.length, op.offset);
      if (op.durable) entry->rw_flags = RWF_DSYNC;
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    tags_[slot] = op.tag;
    Ring::tag(entry, client_, slot);
    ++taken;
  }
  return taken;
}

void UringDisk::on_completion(std::uint64_t data, std::int32_t result, std::uint32_t) {
  const auto slot = static_cast<std::uint32_t>(data);
  done_.push_back({tags_[slot], result});
  free_.push_back(slot);
}

std::size_t UringDisk::reap(std::span<env::DiskDone> out) {
  ring_.turn();
  const std::size_t count = std::min(out.size(), done_.size());
  const auto end = done_.begin() + static_cast<std::ptrdiff_t>(count);
  std::copy(done_.begin(), end, out.begin());
  done_.erase(done_.begin(), end);
  return count;
}

}  // namespace penstock::drivers
