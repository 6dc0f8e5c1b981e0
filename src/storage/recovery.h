// What recovery hands to a cell's Journal so that it goes on where the last boot ended, and recovery
// itself.
//
// Recovery reads only. It finds the live chain of segments, loads the run directories of those with a
// valid footer, scans the others block by block, and tells a torn tail (never acknowledged: cut off)
// from bit rot of acknowledged data (a hole: named, never skipped in silence).
//
// Units      offsets and lengths in bytes
// Owner      one thread, at start-up
// Source     src/storage/FORMAT.md §7
#pragma once

#include "env/disk.h"
#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "storage/format.h"
#include "storage/journal.h"

#include <cstdint>
#include <vector>

namespace penstock::storage {

// A frame of a segment that has no footer (the open one, and those whose footer was not written or
// cannot be read), in journal order. `shard` is {0, 0} for control frames.
struct RecoveredFrame {
  ShardKey shard;
  format::FrameEntry entry;
  std::int64_t arrival_max = 0;
};

struct RecoveredSegment {
  SegmentNumber number;
  env::FileId file = env::FileId::kNone;
  std::uint32_t slot = 0;
  Lsn base;                      // LSN of the first block
  Lsn last;                      // of the last; base − 1 where there is none yet
  std::uint64_t base_chain = 0;  // prev_chain of the slot header
  std::uint64_t last_chain = 0;
  std::uint32_t last_epoch = 0;
  std::uint32_t block_count = 0;
  std::uint64_t blocks_end = 0;  // offset behind the last block
  bool sealed = false;           // takes no more blocks
  bool footer = false;           // then `runs` and the four fields below are set, else `frames`
  std::uint64_t footer_offset = 0;
  std::uint32_t frame_count = 0;
  std::vector<format::RunEntry> runs;  // sorted by key
  std::vector<RecoveredFrame> frames;  // journal order
};

// A gap in a shard's indices between stored frames is lost data wherever it shows; these are the ones
// that recovery came upon, those at the end of a shard included.
struct LostRange {
  ShardKey shard;
  RecordIndex from;
  RecordIndex until;
};

struct FreeSlot {
  env::FileId file = env::FileId::kNone;
  std::uint32_t slot = 0;
};

struct RecoveredJournal {
  CellId cell;
  format::Uuid box = {};
  std::uint64_t tag = 0;
  std::uint64_t slot_bytes = 0;
  std::uint32_t epoch = 0;  // this boot's: higher than that of any stored block
  Lsn recovered;            // last valid LSN: recovered_lsn of every block of this epoch
  Lsn next_lsn;             // recovered + 1
  std::uint64_t chain = 0;  // prev_chain of block next_lsn
  // Live segments, oldest first. Where the last one is not sealed it is the open one: the first
  // block of this epoch goes to its `blocks_end`. Otherwise a new segment is opened first.
  std::vector<RecoveredSegment> segments;
  SegmentNumber next_segment;  // number of the next segment to be opened
  std::vector<FreeSlot> free;  // written through, used by no live segment
  std::vector<LostRange> lost;
  bool fenced = false;
};

}  // namespace penstock::storage
