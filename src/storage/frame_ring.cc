#include "storage/frame_ring.h"

#include <bit>
#include <limits>

namespace penstock::storage {

FrameRing::FrameRing(std::uint32_t frames)
    : capacity_(std::bit_ceil(std::uint64_t{frames})),
      memory_(capacity_ * sizeof(RecentFrame)),
      frames_(reinterpret_cast<RecentFrame*>(memory_.data())) {
  static_assert(std::is_trivially_copyable_v<RecentFrame>);
}

FrameSeq FrameRing::push(const format::FrameEntry& entry, std::int64_t arrival_last,
                         FrameSeq newest) {
  PENSTOCK_ASSERT(room() > 0);
  RecentFrame frame;
  frame.entry = entry;
  // A span that does not fit reads as "as late as can be": searches stop early, never late.
  const std::int64_t span = arrival_last - entry.arrival;
  PENSTOCK_ASSERT(span >= 0);
  constexpr std::int64_t kSpanMax = std::numeric_limits<std::uint32_t>::max();
  frame.arrival_span = static_cast<std::uint32_t>(span < kSpanMax ? span : kSpanMax);
  if (newest != kNoFrame) {
    const RecentFrame& previous = (*this)[newest];
    frame.depth = previous.depth + 1;
    frame.previous = static_cast<std::uint32_t>(next_ - newest);
    // Two jumps of one length in a row become one of twice that length.
    FrameSeq target = newest;
    if (previous.jump != 0) {
      const FrameSeq first_jump = newest - previous.jump;
      const RecentFrame& middle = (*this)[first_jump];
      if (middle.jump != 0) {
        const FrameSeq second_jump = first_jump - middle.jump;
        if (previous.depth - middle.depth == middle.depth - (*this)[second_jump].depth) {
          target = second_jump;
        }
      }
    }
    frame.jump = static_cast<std::uint32_t>(next_ - target);
  }
  frames_[next_ & (capacity_ - 1)] = frame;
  return next_++;
}

}  // namespace penstock::storage
