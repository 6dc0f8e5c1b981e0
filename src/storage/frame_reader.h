// Takes one stored frame apart: checks it against its index entry and hands its batches to a sink.
//
// Shape      total against any bytes: what does not match is `kBad`, and the sink got nothing wrong
// Owner      none: pure functions
// Source     src/storage/FORMAT.md §6
#pragma once

#include "storage/format.h"
#include "storage/journal.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace penstock::storage {

enum class Delivery : std::uint8_t {
  kAll,   // everything wanted in the frame was taken or passed over
  kStop,  // the sink wants no more
  kBad,   // the frame does not match its checksums; `at` is the first record not delivered
};

// Delivers what `op` wants of the frame from record `at` on, and advances `at` past what was taken or
// passed over. `bytes` begin at the frame header and hold `entry.length`.
[[nodiscard]] Delivery deliver_frame(ReadOp& op, std::uint64_t& at, const format::FrameEntry& entry,
                                     std::span<const std::byte> bytes);

}  // namespace penstock::storage
