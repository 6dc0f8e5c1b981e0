// What a journal's sizes allow, worked out once from its options.
//
// Units      bytes
// Source     FORMAT.md §8 "Reserving"; numbers without a source are chosen
#pragma once

#include "base/assert.h"
#include "storage/format.h"
#include "storage/journal.h"

#include <algorithm>
#include <cstdint>

namespace penstock::storage {

struct AppendLimits {
  std::uint64_t slot_bytes = 0;
  std::uint64_t tail_bytes = 0;
  std::uint32_t block_target = 0;
  std::uint32_t block_max = 0;
  std::uint32_t depth = 0;
  std::uint32_t frames_max = 0;   // of a segment
  std::uint32_t runs_max = 0;     // of a segment
  std::uint64_t seal_below = 0;   // a segment with less room than this takes no further block
  std::uint32_t seal_frames = 0;  // nor one with fewer free entries
  std::uint32_t seal_runs = 0;
};

inline constexpr std::uint32_t kDepthMax = 8;

// A block of `block_max` fits twice into the tail window and once into an empty slot beside its
// footer; small windows and slots make it, and then the target, smaller than asked for.
[[nodiscard]] inline AppendLimits append_limits(const JournalOptions& options,
                                                std::uint64_t slot_bytes) {
  AppendLimits l;
  l.slot_bytes = slot_bytes;
  l.tail_bytes = round_down(options.tail_bytes, 2 * format::kSectorBytes);
  const std::uint64_t half = std::min(l.tail_bytes / 2, slot_bytes / 2);
  l.block_max = static_cast<std::uint32_t>(round_down(
      std::min({std::uint64_t{options.block_max}, std::uint64_t{format::kBlockBytesMax}, half}),
      format::kSectorBytes));
  l.block_target = static_cast<std::uint32_t>(
      round_down(std::min({std::uint64_t{options.block_target}, std::uint64_t{l.block_max},
                           l.tail_bytes / 8, slot_bytes / 8}),
                 format::kSectorBytes));
  PENSTOCK_ASSERT(l.block_target >= 2 * format::kSectorBytes);
  PENSTOCK_ASSERT(l.tail_bytes >= 2 * std::uint64_t{l.block_max});
  l.depth = std::clamp(options.depth, 1U, kDepthMax);
  // Frames smaller than 1 KiB on average seal a segment before its slot is full: the price of an
  // index of bounded memory.
  l.frames_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(slot_bytes / kKiB, 512 * kKiB));
  l.runs_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(l.frames_max, 32 * kKiB));
  // One block of the target size, a SEAL block, and the footer pages that such a block may add.
  l.seal_below = l.block_target + 4 * format::kSectorBytes;
  l.seal_frames = l.frames_max / 64;
  l.seal_runs = l.runs_max / 16;
  return l;
}

}  // namespace penstock::storage
