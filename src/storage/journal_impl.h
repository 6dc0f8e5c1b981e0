// The parts of a running journal, put together. Included by journal.cc and journal_open.cc alone.
//
// Owner      Journal
#pragma once

#include "storage/append.h"
#include "storage/footer_writer.h"
#include "storage/index.h"
#include "storage/journal.h"
#include "storage/reader.h"
#include "storage/recovery.h"
#include "storage/segment_table.h"
#include "storage/tail.h"

namespace penstock::storage {

class JournalImpl {
 public:
  JournalImpl(const JournalOptions& options, RecoveredJournal recovered, runtime::DiskQueue& writes,
              runtime::DiskQueue& reads);

  [[nodiscard]] runtime::WorkCount poll(Nanos now, WallMillis wall, RetentionMillis retention);
  [[nodiscard]] Nanos next_deadline() const;
  [[nodiscard]] bool quiet() const;
  Lsn submit(Nanos now, WallMillis wall, RetentionMillis retention);

  [[nodiscard]] RecordIndex find_arrival(ShardKey shard, WallMillis arrival, RecordIndex from,
                                         RecordIndex until) const;
  [[nodiscard]] RecordIndex find_retention(ShardKey shard, RetentionMillis horizon,
                                           RecordIndex from, RecordIndex until) const;

  [[nodiscard]] std::vector<SegmentNumber> sealed_numbers() const;
  void visit_sealed(const Journal::SealedVisit& visit) const;
  void recycle(std::span<const SegmentNumber> numbers);
  void add_slot(FreeSlot slot);

  [[nodiscard]] JournalMetrics metrics() const;
  [[nodiscard]] std::size_t memory_bytes() const;

  Appender& append() { return append_; }
  Reader& reader() { return reader_; }
  Index& index() { return index_; }

 private:
  void adopt(RecoveredJournal& recovered);
  void note_sealed();
  [[nodiscard]] runtime::WorkCount note_footed();
  void summarise(Segment& segment) const;
  void free_slot(Segment& segment);
  static void unpinned(void* self, Segment& segment);

  AppendLimits limits_;
  TailWindow tail_;
  Index index_;
  SegmentTable segments_;
  Appender append_;
  Reader reader_;
  FooterWriter footers_;
  SegmentNumber next_to_foot_;  // segments from here on were not given to `footers_`
  std::uint64_t slots_total_ = 0;
};

}  // namespace penstock::storage
