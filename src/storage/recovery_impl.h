// One cell's recovery, step by step; recovery.h says what it yields.
//
// recovery.cc      which segments are live, and the whole
// recovery_scan.cc one segment, block by block, and what a missing block means
//
// Owner      one thread, at start-up
// Source     src/storage/FORMAT.md §7
#pragma once

#include "storage/block_reader.h"
#include "storage/cell_recovery.h"
#include "storage/recovery.h"
#include "storage/segment_window.h"
#include "storage/shard_table.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace penstock::storage {

// The last block known: what the next one must follow.
struct Cursor {
  std::uint64_t segment = 0;
  std::uint64_t lsn = 0;
  std::uint64_t chain = 0;
  std::uint32_t epoch = 0;
  std::uint64_t recovered_lsn = 0;
  // False where the block itself was not read: epoch is a lower bound, recovered_lsn unknown.
  bool exact = false;
};

// A block header found by looking ahead.
struct Candidate {
  std::uint64_t offset = 0;
  format::BlockHeader header;
};

class CellRecovery {
 public:
  CellRecovery(env::Volume& volume, const CellRecoveryInput& input, RecoveryReport& report)
      : volume_(volume),
        in_(input),
        report_(report),
        window_(volume),
        table_(input.snapshot),
        covered_(input.snapshot == nullptr ? 0 : input.snapshot->covered.raw()),
        evidence_(covered_) {}

  Result<CellRecoveryOutput> run();

 private:
  // What the slots' first and last sectors state.
  Result<> survey();
  Result<> note_epoch(std::uint32_t epoch);
  void note_durable(std::uint64_t lsn) { evidence_ = std::max(evidence_, lsn); }

  // Which segments are live.
  [[nodiscard]] Slot* find(std::uint64_t segment);
  [[nodiscard]] Slot* continuation();
  [[nodiscard]] Slot* behind_hole();
  [[nodiscard]] Slot* covering();
  // Whether block `lsn` of `epoch` is stale: a later epoch began below it.
  [[nodiscard]] bool cut_off(std::uint32_t epoch, std::uint64_t lsn) const;
  Result<> listed_segments();
  Result<> take(Slot& slot);
  void expect(const format::SlotHeader& header);

  // One segment.
  [[nodiscard]] std::optional<std::vector<format::RunEntry>> directory(const Slot& slot);
  Result<> scan(Slot& slot, RecoveredSegment& segment);
  Result<bool> step(RecoveredSegment& segment, std::uint64_t limit, const Slot& slot);
  [[nodiscard]] bool continues(const format::BlockHeader& header) const;
  Result<bool> unreadable(RecoveredSegment& segment, std::uint64_t limit, const Slot& slot,
                          Error why);
  void accept(RecoveredSegment& segment, const format::BlockHeader& header, BlockState state);
  void index(RecoveredSegment& segment, const format::BlockHeader& header, const BlockFrame& frame);

  // The first block that is missing.
  Result<bool> missing(RecoveredSegment& segment, std::uint64_t limit, const Slot& slot);
  Result<std::vector<Candidate>> look_ahead(const RecoveredSegment& segment, std::uint64_t limit);
  void drop_stale(std::vector<Candidate>& candidates) const;
  Result<bool> resume(RecoveredSegment& segment, std::vector<Candidate>& candidates);
  void hole(std::uint64_t last_lost, std::uint64_t bytes, const std::string& where);
  void sealed_by_trailer(RecoveredSegment& segment, const format::Trailer& trailer);

  void finish(CellRecoveryOutput& out);
  void note(const std::string& text);

  env::Volume& volume_;
  const CellRecoveryInput& in_;
  RecoveryReport& report_;
  SegmentWindow window_;
  ShardTable table_;
  SlotSurvey slots_;
  Cursor cursor_;
  std::uint64_t slots_unreadable_ = 0;
  std::uint64_t covered_;
  std::uint64_t evidence_;         // D of §7: highest LSN that somebody called durable
  std::int64_t retention_ms_ = 0;  // of the last block
  std::uint64_t seen_lsn_ = 0;     // highest LSN of any block that is not stale, readable or not
  std::map<std::uint32_t, std::uint64_t> cuts_;  // epoch → its recovered_lsn
  std::vector<RecoveredSegment> segments_;
  std::vector<RecoveredControl> controls_;
  std::vector<BlockFrame> frames_;
  struct Accepted {
    std::uint64_t lsn;
    TailPiece piece;
  };
  std::vector<Accepted> accepted_;
};

}  // namespace penstock::storage
