// How a journal takes over from recovery: segments with a footer are known by their runs; sealed ones
// without get their footer made again; the open one goes on where it ended.
#include "base/assert.h"
#include "storage/journal_impl.h"

namespace penstock::storage {

JournalImpl::JournalImpl(const JournalOptions& options, RecoveredJournal recovered,
                         runtime::DiskQueue& writes, runtime::DiskQueue& reads)
    : limits_(append_limits(options, recovered.slot_bytes)),
      tail_(limits_.tail_bytes),
      index_({.frames_max = limits_.frames_max,
              .runs_max = limits_.runs_max,
              .cache_bytes = options.index_cache_bytes}),
      append_(options, limits_, recovered, tail_, index_, segments_, writes),
      reader_(index_, tail_, append_, limits_.slot_bytes, reads, this, unpinned),
      footers_({.cell = recovered.cell, .tag = recovered.tag, .slot_bytes = recovered.slot_bytes},
               index_, writes),
      next_to_foot_(recovered.next_segment),
      slots_total_(recovered.free.size() + recovered.segments.size()) {
  adopt(recovered);
}

void JournalImpl::adopt(RecoveredJournal& recovered) {
  for (RecoveredSegment& r : recovered.segments) {
    Segment& segment = segments_.add(r.number);
    segment.file = r.file;
    segment.slot = r.slot;
    segment.base = r.base;
    segment.last = r.last;
    segment.base_chain = r.base_chain;
    segment.last_chain = r.last_chain;
    segment.last_epoch = r.last_epoch;
    segment.block_count = r.block_count;
    segment.blocks_end = r.blocks_end;
    segment.frame_count = r.frame_count;
    segment.header_durable = true;
    if (r.footer) {
      segment.sealed = segment.settled = segment.footed = true;
      segment.footer_offset = r.footer_offset;
      index_.adopt(segment, r.runs);
    } else if (r.sealed) {
      segment.sealed = segment.settled = true;
      index_.adopt(segment, limits_.slot_bytes, r.frames);
      footers_.enqueue(segment);
    } else {
      PENSTOCK_ASSERT(&r == &recovered.segments.back());
      index_.open(segment);
      for (const RecoveredFrame& f : r.frames) index_.add(f.shard, f.entry, f.arrival_max);
      append_.resume(segment);
      next_to_foot_ = segment.number;
    }
    r.frames = {};
    r.runs = {};
  }
}

}  // namespace penstock::storage
