// The newest frames of a journal, in memory: where each lies, and the way from one frame of a shard to
// older ones of the same shard and segment.
//
// Frames of one run (one shard in one segment) are a list from new to old with jump pointers after
// Myers ("An applicative random-access stack", 1983): each frame links to its predecessor and to one
// ancestor, so that any ancestor is found in O(log n) steps for two links a frame.
//
// Shape      a ring: the oldest frames make room, but never those that `keep_from` protects
// Owner      its journal's index
// Allocates  in the constructor only; pages become resident when first used
#pragma once

#include "base/assert.h"
#include "base/pages.h"
#include "storage/format.h"

#include <cstddef>
#include <cstdint>

namespace penstock::storage {

// Position of a frame in the ring, counted since start.
using FrameSeq = std::uint64_t;
inline constexpr FrameSeq kNoFrame = UINT64_MAX;

struct RecentFrame {
  format::FrameEntry entry;
  std::uint32_t depth = 0;         // how many frames of the run are older
  std::uint32_t arrival_span = 0;  // of the last record after the first, in ms
  // Distances back; 0: none.
  std::uint32_t previous = 0;
  std::uint32_t jump = 0;

  [[nodiscard]] std::uint64_t end_index() const { return entry.first_index + entry.records; }
  [[nodiscard]] std::int64_t arrival_last() const { return entry.arrival + arrival_span; }
};
static_assert(sizeof(RecentFrame) == 56);

class FrameRing {
 public:
  // Holds at least `frames`.
  explicit FrameRing(std::uint32_t frames);

  // REQUIRES: room() > 0. `newest`: the run's newest frame, or kNoFrame. Returns the new one.
  FrameSeq push(const format::FrameEntry& entry, std::int64_t arrival_last, FrameSeq newest);
  // Frames that may be pushed before one that is protected would be overwritten.
  [[nodiscard]] std::uint64_t room() const { return capacity_ - (next_ - keep_); }
  // Frames before `seq` may be overwritten from now on.
  void keep_from(FrameSeq seq) {
    PENSTOCK_ASSERT(seq >= keep_ && seq <= next_);
    keep_ = seq;
  }
  [[nodiscard]] FrameSeq next() const { return next_; }
  [[nodiscard]] bool holds(FrameSeq seq) const { return seq < next_ && next_ - seq <= capacity_; }
  [[nodiscard]] const RecentFrame& operator[](FrameSeq seq) const {
    PENSTOCK_CHECK_FULL(holds(seq));
    return frames_[seq & (capacity_ - 1)];
  }

  // The oldest frame of the run for which `wanted` holds. REQUIRES: it holds for `newest`; where it
  // holds for a frame it holds for all newer ones; the whole run is in the ring.
  template <class Wanted>
  [[nodiscard]] FrameSeq oldest_where(FrameSeq newest, const Wanted& wanted) const {
    FrameSeq at = newest;
    for (;;) {
      const RecentFrame& frame = (*this)[at];
      if (frame.jump != 0 && wanted((*this)[at - frame.jump])) {
        at -= frame.jump;
      } else if (frame.previous != 0 && wanted((*this)[at - frame.previous])) {
        at -= frame.previous;
      } else {
        return at;
      }
    }
  }
  [[nodiscard]] FrameSeq older(FrameSeq seq) const {
    const RecentFrame& frame = (*this)[seq];
    return frame.previous == 0 ? kNoFrame : seq - frame.previous;
  }

  [[nodiscard]] std::size_t memory_bytes() const { return memory_.size(); }

 private:
  std::uint64_t capacity_;  // a power of two
  base::Pages memory_;
  RecentFrame* frames_;
  FrameSeq next_ = 0;
  FrameSeq keep_ = 0;
};

}  // namespace penstock::storage
