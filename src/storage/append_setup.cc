// What group commit does at start-up and when it goes from one segment to the next: the part that
// allocates.
#include "base/assert.h"
#include "storage/append.h"

#include <algorithm>

namespace penstock::storage {
namespace {

[[nodiscard]] RetentionMillis latest_retention(const RecoveredJournal& recovered) {
  std::int64_t latest = INT64_MIN;
  for (const RecoveredSegment& segment : recovered.segments) {
    for (const format::RunEntry& run : segment.runs) latest = std::max(latest, run.retention_last);
    for (const RecoveredFrame& f : segment.frames) latest = std::max(latest, f.entry.retention);
  }
  return RetentionMillis(latest);
}

}  // namespace

Appender::Appender(const JournalOptions& options, const AppendLimits& limits,
                   const RecoveredJournal& recovered, TailWindow& tail, Index& index,
                   SegmentTable& segments, runtime::DiskQueue& writes)
    : limits_(limits),
      idle_nanos_(options.idle_block_nanos),
      tail_(tail),
      index_(index),
      segments_(segments),
      writes_(writes),
      slots_(writes, this, header_written),
      cell_(recovered.cell),
      box_(recovered.box),
      tag_(recovered.tag),
      epoch_(recovered.epoch),
      recovered_(recovered.recovered),
      next_(recovered.next_lsn),
      chain_(recovered.chain),
      next_segment_(recovered.next_segment),
      retention_(latest_retention(recovered)),
      durable_(recovered.recovered),
      durable_segment_(recovered.next_segment),  // all that recovery found is durable
      fenced_(recovered.fenced) {
  for (const FreeSlot& slot : recovered.free) slots_.add(slot);
  for (Flight& f : flights_) {
    f.appender = this;
    f.complete = written;
  }
}

void Appender::resume(Segment& open) {
  open_ = &open;
  durable_segment_ = open.number;
  durable_end_ = open.blocks_end;
}

void Appender::open_segment() {
  const FreeSlot slot = slots_.take();
  Segment& segment = segments_.add(next_segment_);
  ++next_segment_;
  segment.file = slot.file;
  segment.slot = slot.slot;
  segment.base = next_;
  segment.last = next_ - 1;
  segment.base_chain = chain_;
  segment.last_epoch = epoch_;
  segment.blocks_end = format::kSectorBytes;
  format::SlotHeader header;
  header.cell = cell_.raw();
  header.box = box_;
  header.tag = tag_;
  header.slot = slot.slot;
  header.epoch = epoch_;
  header.segment_no = segment.number.raw();
  header.base_lsn = next_.raw();
  header.prev_chain = chain_;
  header.durable_lsn = std::min(durable_, next_ - 1).raw();
  header.slot_bytes = limits_.slot_bytes;
  format::seal(header);
  slots_.write_header(segment, header);
  counters_.bytes_written += format::kSectorBytes;
  index_.open(segment);
  open_ = &segment;
}

void Appender::seal_segment() {
  open_->sealed = true;
  index_.seal();
  open_ = nullptr;
}

}  // namespace penstock::storage
