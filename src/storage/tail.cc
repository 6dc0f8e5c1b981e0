#include "storage/tail.h"

#include "base/assert.h"
#include "env/disk.h"

#include <bit>

namespace penstock::storage {

TailWindow::TailWindow(std::uint64_t bytes)
    : ring_(bytes, true),
      capacity_(bytes),
      table_(std::bit_ceil(bytes / env::kSector) * sizeof(Block)),
      blocks_(reinterpret_cast<Block*>(table_.data())),
      mask_(std::bit_ceil(bytes / env::kSector) - 1) {
  static_assert(std::is_trivially_copyable_v<Block>);
  PENSTOCK_ASSERT(bytes % (2 * env::kSector) == 0);
}

std::uint64_t TailWindow::place(std::uint64_t bytes) const {
  const std::uint64_t in_ring = head_ % capacity_;
  return in_ring + bytes <= capacity_ ? head_ : head_ - in_ring + capacity_;
}

bool TailWindow::has_room(std::uint64_t bytes) const {
  if (bytes > block_max()) return false;
  if (released_ == next_) return true;
  // Everything from the oldest block in flight to the end of the new one, gaps included.
  return place(bytes) + bytes - block(released_).at <= capacity_ / 2;
}

std::byte* TailWindow::reserve(std::uint64_t bytes) {
  PENSTOCK_ASSERT(open_bytes_ == 0);
  PENSTOCK_ASSERT(bytes > 0 && bytes % env::kSector == 0);
  PENSTOCK_ASSERT(has_room(bytes));
  open_at_ = place(bytes);
  open_bytes_ = bytes;
  const std::uint64_t end = open_at_ + bytes;
  while (first_ != released_ && block(first_).at + capacity_ < end) ++first_;
  PENSTOCK_ASSERT(first_ == next_ || block(first_).at + capacity_ >= end);
  return ring_.data() + open_at_ % capacity_;
}

void TailWindow::commit(SegmentNumber segment, std::uint32_t offset, std::uint32_t length) {
  PENSTOCK_ASSERT(open_bytes_ != 0);
  PENSTOCK_ASSERT(length > 0 && length <= open_bytes_);
  PENSTOCK_ASSERT(length % env::kSector == 0);
  PENSTOCK_ASSERT(next_ - first_ <= mask_);
  block(next_) = Block{segment, open_at_, offset, length};
  ++next_;
  head_ = open_at_ + length;
  open_bytes_ = 0;
}

void TailWindow::release() {
  PENSTOCK_ASSERT(released_ != next_);
  ++released_;
}

const std::byte* TailWindow::find(SegmentNumber segment, std::uint32_t offset) const {
  // Blocks lie in journal order: the last one that begins at or before (segment, offset).
  std::uint64_t low = first_;
  std::uint64_t high = next_;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const Block& b = block(middle);
    const bool before = b.segment < segment || (b.segment == segment && b.offset <= offset);
    if (before) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == first_) return nullptr;
  const Block& b = block(low - 1);
  if (b.segment != segment || offset - b.offset >= b.length) return nullptr;
  return ring_.data() + b.at % capacity_ + (offset - b.offset);
}

std::size_t TailWindow::memory_bytes() const { return ring_.size() + table_.size(); }

}  // namespace penstock::storage
