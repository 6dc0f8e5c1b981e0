// One segment of a journal: a slot's worth of blocks, as the running journal knows it.
//
// Owner      its journal. Addresses are stable from opening to the end of the last pin after recycling
// States     open ─► sealed (takes no more blocks) ─► settled (all its blocks are durable) ─► footed (its
//            footer is durable);  recycled at any time after settled
#pragma once

#include "base/pages.h"
#include "env/disk.h"
#include "penstock/ids.h"
#include "penstock/units.h"
#include "storage/journal.h"

#include <cstdint>
#include <vector>

namespace penstock::storage {

struct Segment {
  SegmentNumber number;
  env::FileId file = env::FileId::kNone;
  std::uint32_t slot = 0;
  Lsn base;  // LSN of its first block
  Lsn last;  // of its last, in flight or durable
  std::uint64_t base_chain = 0;
  std::uint64_t last_chain = 0;
  std::uint32_t last_epoch = 0;
  std::uint32_t block_count = 0;
  std::uint64_t blocks_end = 0;  // where the next block goes
  std::uint32_t frame_count = 0;

  bool header_durable = false;
  bool sealed = false;
  bool settled = false;
  bool footed = false;
  bool recycled = false;
  std::uint32_t pins = 0;  // reads and the footer's writer that still use the slot

  // Since sealing.
  std::vector<ShardKey> shards;              // sorted; {0, 0} stands for control frames
  std::vector<SegmentSummary::Run> summary;  // made when first asked for: it changes no more
  std::uint64_t footer_offset = 0;
  std::uint64_t first_frame = 0;  // FrameSeq of its first frame
  base::Pages footer;             // the whole footer, until it is durable; again, if it rots
  bool footer_built = false;      // `footer` is complete
  bool entries_lost = false;      // neither the footer nor the blocks say where all frames lie
};

}  // namespace penstock::storage
