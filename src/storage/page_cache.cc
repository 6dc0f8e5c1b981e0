#include "storage/page_cache.h"

#include "base/assert.h"
#include "storage/format.h"

#include <algorithm>
#include <cstring>

namespace penstock::storage {

PageCache::PageCache(std::uint64_t bytes)
    : memory_(std::max(bytes / format::kSectorBytes, kCachePagesMin) * format::kSectorBytes),
      slots_(memory_.size() / format::kSectorBytes) {
  where_.reserve(slots_.size());
}

const std::byte* PageCache::find(SegmentNumber segment, std::uint32_t page) const {
  const auto found = where_.find(key_of(segment, page));
  if (found == where_.end()) return nullptr;
  slots_[found->second].used = true;
  return memory_.data() + std::size_t{found->second} * format::kSectorBytes;
}

void PageCache::put(SegmentNumber segment, std::uint32_t page, std::span<const std::byte> bytes) {
  PENSTOCK_ASSERT(bytes.size() == format::kSectorBytes);
  if (find(segment, page) != nullptr) return;
  while (slots_[hand_].used) {
    slots_[hand_].used = false;
    hand_ = (hand_ + 1) % slots_.size();
  }
  Slot& slot = slots_[hand_];
  if (slot.filled) where_.erase(slot.key);
  slot = Slot{key_of(segment, page), true, true};
  where_.emplace(slot.key, static_cast<std::uint32_t>(hand_));
  std::memcpy(memory_.data() + hand_ * format::kSectorBytes, bytes.data(), bytes.size());
  hand_ = (hand_ + 1) % slots_.size();
}

}  // namespace penstock::storage
