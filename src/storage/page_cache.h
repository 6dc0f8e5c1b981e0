// Pages of sealed segments' footers, kept in memory by the CLOCK rule: a page that was used since
// the hand last passed stays.
//
// Shape      a fixed number of 4 KiB pages, at least kCachePagesMin
// Owner      its journal
// Allocates  in the constructor only; pages become resident when first used
#pragma once

#include "base/pages.h"
#include "penstock/units.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace penstock::storage {

// Room for the search paths of all reads that may load pages at one time.
inline constexpr std::uint64_t kCachePagesMin = 256;

class PageCache {
 public:
  explicit PageCache(std::uint64_t bytes);

  // The page, or null. Valid until the next `put`.
  [[nodiscard]] const std::byte* find(SegmentNumber segment, std::uint32_t page) const;
  // Copies a verified page in.
  void put(SegmentNumber segment, std::uint32_t page, std::span<const std::byte> bytes);
  [[nodiscard]] std::size_t memory_bytes() const { return memory_.size(); }

 private:
  struct Slot {
    std::uint64_t key = 0;
    bool used = false;
    bool filled = false;
  };
  // Footers have fewer than 2^20 pages (2 GiB of slot).
  [[nodiscard]] static std::uint64_t key_of(SegmentNumber segment, std::uint32_t page) {
    return segment.raw() << 20 | page;
  }

  base::Pages memory_;
  mutable std::vector<Slot> slots_;
  std::unordered_map<std::uint64_t, std::uint32_t> where_;
  std::size_t hand_ = 0;
};

}  // namespace penstock::storage
