// A segment's footer, made in memory: entry pages, run pages, trailer.
//
//   begin ─► put (every frame) ─► finish
//
// Shape      `Segment.footer` is the image of the slot from `footer_offset` to its end
// Allocates  in `footer_begin`
// Source     src/storage/FORMAT.md §8
#pragma once

#include "storage/format.h"
#include "storage/index.h"
#include "storage/segment.h"

#include <cstdint>

namespace penstock::storage {

// What a trailer says of the journal rather than of the segment.
struct FooterContext {
  CellId cell;
  std::uint64_t tag = 0;
  std::uint64_t slot_bytes = 0;
};

// REQUIRES: the segment is sealed: `frame_count` and `shards` are final.
void footer_begin(Segment& segment, std::uint64_t slot_bytes);
// `number`: of the entry, counted over all runs.
void footer_put(Segment& segment, std::uint32_t number, const format::FrameEntry& entry);
// REQUIRES: every entry was put; the segment's blocks are durable, all up to `durable`.
void footer_finish(Segment& segment, const Index& index, const FooterContext& context, Lsn durable);

}  // namespace penstock::storage
