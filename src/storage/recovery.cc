#include "storage/recovery.h"

#include "base/assert.h"
#include "storage/block_reader.h"
#include "storage/cell_recovery.h"
#include "storage/footer_reader.h"
#include "storage/sabotage.h"
#include "storage/segment_window.h"
#include "storage/shard_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

namespace penstock::storage {
namespace {

// Four blocks of the largest size: what can have been in flight behind a block that is missing.
constexpr std::uint64_t kLookAheadBytes = 4 * std::uint64_t{format::kBlockBytesMax};

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
  void note(const std::string& text) {
    report_.notes.push_back(fmt::format("cell {}: {}", in_.identity.cell, text));
  }

  env::Volume& volume_;
  const CellRecoveryInput& in_;
  RecoveryReport& report_;
  SegmentWindow window_;
  ShardTable table_;
  SlotSurvey slots_;
  Cursor cursor_;
  std::uint64_t covered_;
  std::uint64_t evidence_;      // D of §7: highest LSN that somebody called durable
  RetentionClockState clock_;   // of the last block
  std::uint64_t seen_lsn_ = 0;  // highest LSN of any block that is not stale, readable or not
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

// --- Survey -----------------------------------------------------------------------------------

Result<> CellRecovery::note_epoch(std::uint32_t epoch) {
  if (epoch > in_.stored_epoch) {
    return fail(ErrorCode::kSuperblockStale, static_cast<std::int32_t>(epoch));
  }
  return {};
}

Result<> CellRecovery::survey() {
  auto slots = survey_slots(volume_, in_.identity);
  if (!slots) return std::unexpected(slots.error());
  slots_ = std::move(*slots);
  for (const Slot& slot : slots_.slots) {
    if (slot.header) {
      note_durable(slot.header->durable_lsn);
      if (auto ok = note_epoch(slot.header->epoch); !ok) return ok;
    }
    // A trailer is written when every block of its segment is durable.
    if (slot.trailer) note_durable(slot.trailer->durable_lsn);
    if (slot.first_block) {
      note_durable(slot.first_block->durable_lsn);
      cuts_.emplace(slot.first_block->epoch, slot.first_block->recovered_lsn);
      if (auto ok = note_epoch(slot.first_block->epoch); !ok) return ok;
    }
  }
  return {};
}

// --- Which segments are live --------------------------------------------------------------------

// The higher header epoch counts: the other slot belongs to a tail that was cut off.
Slot* CellRecovery::find(std::uint64_t segment) {
  Slot* best = nullptr;
  for (Slot& slot : slots_.slots) {
    if (!slot.header || slot.live || slot.header->segment_no != segment) continue;
    if (best == nullptr || slot.header->epoch > best->header->epoch) best = &slot;
  }
  return best;
}

Slot* CellRecovery::continuation() {
  Slot* best = nullptr;
  for (Slot& slot : slots_.slots) {
    if (!slot.header || slot.live) continue;
    const format::SlotHeader& h = *slot.header;
    if (h.segment_no != cursor_.segment + 1 || h.base_lsn != cursor_.lsn + 1) continue;
    if (!sabotaged(Sabotage::kSkipChain) && h.prev_chain != cursor_.chain) continue;
    if (best == nullptr || h.epoch > best->header->epoch) best = &slot;
  }
  return best;
}

// The next segment that can be read behind blocks which cannot.
Slot* CellRecovery::behind_hole() {
  Slot* best = nullptr;
  for (Slot& slot : slots_.slots) {
    if (!slot.header || slot.live) continue;
    const format::SlotHeader& h = *slot.header;
    if (h.segment_no <= cursor_.segment || h.base_lsn <= cursor_.lsn) continue;
    if (h.epoch < cursor_.epoch) continue;
    if (cut_off(h.epoch, h.base_lsn - 1)) continue;
    if (best == nullptr || h.segment_no < best->header->segment_no ||
        (h.segment_no == best->header->segment_no && h.epoch > best->header->epoch)) {
      best = &slot;
    }
  }
  return best;
}

bool CellRecovery::cut_off(std::uint32_t epoch, std::uint64_t lsn) const {
  return std::any_of(cuts_.upper_bound(epoch), cuts_.end(),
                     [lsn](const auto& cut) { return lsn > cut.second; });
}

// The segment where the last covered block is: a snapshot need not list the open one, and what lies
// between those that it lists may have been recycled. It is the one with the highest base_lsn that
// is not above the block. That may be a stale header of a cut-off tail, but then the segment before it
// is still there and holds the block: so that one is taken first, and whether the other one continues
// it will show.
Slot* CellRecovery::covering() {
  Slot* best = nullptr;
  for (Slot& slot : slots_.slots) {
    if (!slot.header || slot.live) continue;
    const format::SlotHeader& h = *slot.header;
    if (h.segment_no <= cursor_.segment || h.base_lsn > covered_ + 1) continue;
    if (covered_ == 0 && h.prev_chain != cursor_.chain) continue;
    if (cut_off(h.epoch, h.base_lsn - 1)) continue;
    if (best == nullptr || h.base_lsn > best->header->base_lsn ||
        (h.base_lsn == best->header->base_lsn && h.epoch > best->header->epoch)) {
      best = &slot;
    }
  }
  if (best == nullptr || best->header->segment_no <= cursor_.segment + 1) return best;
  Slot* before = find(best->header->segment_no - 1);
  return before != nullptr ? before : best;
}

// The block before a segment is what its header says it is.
void CellRecovery::expect(const format::SlotHeader& header) {
  cursor_.segment = header.segment_no - 1;
  cursor_.lsn = header.base_lsn - 1;
  cursor_.chain = header.prev_chain;
  cursor_.exact = false;
}

Result<> CellRecovery::listed_segments() {
  bool lost = false;
  for (const SegmentNumber number : in_.snapshot->segments) {
    Slot* slot = find(number.raw());
    if (slot == nullptr) {
      lost = true;
      ++report_.quarantined_blocks;
      note(fmt::format("segment {} is in the snapshot but in no slot: its records are lost",
                       number.raw()));
      cursor_.segment = number.raw();
      continue;
    }
    const format::SlotHeader& header = *slot->header;
    // Segments between two that are listed may have been recycled: those are covered.
    if (header.base_lsn - 1 > std::max(cursor_.lsn, covered_)) {
      hole(header.base_lsn - 1, in_.identity.slot_bytes,
           fmt::format("before segment {}", number.raw()));
    }
    if (header.base_lsn != cursor_.lsn + 1 || header.prev_chain != cursor_.chain) expect(header);
    lost = false;
    if (auto taken = take(*slot); !taken) return taken;
  }
  if (lost) table_.hole(Lsn(UINT64_MAX), in_.identity.slot_bytes);
  return {};
}

// --- One segment --------------------------------------------------------------------------------

std::optional<std::vector<format::RunEntry>> CellRecovery::directory(const Slot& slot) {
  const format::Trailer& t = *slot.trailer;
  const auto shape = format::footer_shape(t.frame_count, t.run_count);
  base::Pages pages(std::uint64_t{shape.run_pages} * format::kSectorBytes + 1);
  const auto bytes = pages.bytes().first(std::uint64_t{shape.run_pages} * format::kSectorBytes);
  if (!bytes.empty()) {
    const std::uint64_t offset =
        t.footer_offset + std::uint64_t{shape.entry_pages} * format::kSectorBytes;
    if (!read_patiently(volume_, slot.file, offset, bytes)) return std::nullopt;
  }
  return parse_directory(t, bytes);
}

Result<> CellRecovery::take(Slot& slot) {
  slot.live = true;
  RecoveredSegment segment;
  segment.number = SegmentNumber(slot.header->segment_no);
  segment.file = slot.file;
  segment.slot = slot.number;
  segment.base = Lsn(slot.header->base_lsn);
  segment.last = Lsn(slot.header->base_lsn - 1);
  segment.base_chain = slot.header->prev_chain;
  segment.last_chain = slot.header->prev_chain;
  segment.last_epoch = slot.header->epoch;
  segment.blocks_end = format::kSectorBytes;
  cursor_.segment = slot.header->segment_no;

  if (slot.trailer) {
    if (auto runs = directory(slot)) {
      segment.footer = true;
      segment.footer_offset = slot.trailer->footer_offset;
      segment.runs = std::move(*runs);
    }
  }
  if (segment.footer && slot.trailer->last_lsn <= covered_) {
    sealed_by_trailer(segment, *slot.trailer);
  } else if (auto scanned = scan(slot, segment); !scanned) {
    return scanned;
  }
  if (segment.footer) {
    segment.frames.clear();
    sealed_by_trailer(segment, *slot.trailer);
  } else {
    segment.frame_count = static_cast<std::uint32_t>(segment.frames.size());
  }
  segments_.push_back(std::move(segment));
  return {};
}

void CellRecovery::sealed_by_trailer(RecoveredSegment& segment, const format::Trailer& trailer) {
  segment.last = Lsn(trailer.last_lsn);
  segment.last_chain = trailer.last_chain;
  segment.last_epoch = trailer.epoch;
  segment.block_count = trailer.block_count;
  segment.blocks_end = trailer.blocks_end;
  segment.frame_count = trailer.frame_count;
  segment.sealed = true;
  const bool same = cursor_.exact && cursor_.lsn == trailer.last_lsn;
  cursor_.lsn = trailer.last_lsn;
  cursor_.chain = trailer.last_chain;
  cursor_.epoch = trailer.epoch;
  cursor_.exact = same;
}

Result<> CellRecovery::scan(Slot& slot, RecoveredSegment& segment) {
  window_.open(slot.file, in_.identity.slot_bytes);
  const std::uint64_t limit =
      slot.trailer ? slot.trailer->blocks_end : in_.identity.slot_bytes - format::kSectorBytes;
  while (!segment.sealed) {
    const auto more = step(segment, limit, slot);
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
  }
  return {};
}

bool CellRecovery::continues(const format::BlockHeader& h) const {
  if (h.segment_no != cursor_.segment || h.lsn != cursor_.lsn + 1) return false;
  // Epoch and chain each prove descent from the block before; the planted bug drops the proof.
  if (sabotaged(Sabotage::kSkipChain)) return true;
  if (h.prev_chain != cursor_.chain) return false;
  const bool first = (h.flags & format::kBlockFirstAfterRecovery) != 0;
  if (first) {
    const bool rises = cursor_.exact ? h.epoch > cursor_.epoch : h.epoch >= cursor_.epoch;
    return rises && h.recovered_lsn == cursor_.lsn;
  }
  if (!cursor_.exact) return h.epoch >= cursor_.epoch;
  return h.epoch == cursor_.epoch && h.recovered_lsn == cursor_.recovered_lsn;
}

// Takes the block at the segment's end. False: the segment has no more.
Result<bool> CellRecovery::step(RecoveredSegment& segment, std::uint64_t limit, const Slot& slot) {
  const std::uint64_t offset = segment.blocks_end;
  if (offset + format::kSectorBytes > limit) return missing(segment, limit, slot);
  const auto sector = window_.at(offset, format::kSectorBytes);
  if (!sector) {
    if (cursor_.lsn + 1 > evidence_) return std::unexpected(sector.error());
    return missing(segment, limit, slot);
  }
  const auto header = format::load<format::BlockHeader>(*sector);
  if (!block_belongs(header, in_.identity)) return missing(segment, limit, slot);
  if (auto ok = note_epoch(header.epoch); !ok) return std::unexpected(ok.error());
  if (!continues(header) || header.total_len > limit - offset) return missing(segment, limit, slot);

  const auto block = window_.at(offset, header.total_len);
  if (!block) {
    if (cursor_.lsn + 1 > evidence_) return std::unexpected(block.error());
    return missing(segment, limit, slot);
  }
  const BlockState state = take_apart(header, *block, frames_);
  if (state == BlockState::kBroken) return missing(segment, limit, slot);
  if (state == BlockState::kPartial) {
    // Torn, unless somebody knows the block to be durable: for that what lies ahead must be seen.
    if (header.lsn > evidence_) {
      if (auto seen = look_ahead(segment, limit); !seen) return std::unexpected(seen.error());
    }
    if (header.lsn > evidence_) return missing(segment, limit, slot);
    const auto again = window_.at(offset, header.total_len);
    if (!again) return std::unexpected(again.error());
    static_cast<void>(take_apart(header, *again, frames_));
  }
  accept(segment, header, state);
  return true;
}

void CellRecovery::accept(RecoveredSegment& segment, const format::BlockHeader& header,
                          BlockState state) {
  ++report_.blocks_scanned;
  note_durable(header.durable_lsn);
  cuts_.emplace(header.epoch, header.recovered_lsn);
  if (state == BlockState::kPartial) {
    ++report_.quarantined_blocks;
    note(fmt::format("block {} of segment {} has frames that cannot be read", header.lsn,
                     header.segment_no));
  }
  for (const BlockFrame& frame : frames_) {
    table_.apply(Lsn(header.lsn), frame);
    index(segment, header, frame);
  }
  accepted_.push_back({header.lsn, {segment.file, segment.blocks_end, header.total_len}});
  cursor_ = {header.segment_no, header.lsn, header.chain, header.epoch, header.recovered_lsn, true};
  seen_lsn_ = std::max(seen_lsn_, header.lsn);
  clock_ = {header.retention_ms, header.wall_ms};
  segment.last = Lsn(header.lsn);
  segment.last_chain = header.chain;
  segment.last_epoch = header.epoch;
  ++segment.block_count;
  segment.blocks_end += header.total_len;
  segment.sealed = (header.flags & format::kBlockSeal) != 0;
}

void CellRecovery::index(RecoveredSegment& segment, const format::BlockHeader& header,
                         const BlockFrame& frame) {
  const format::FrameHeader& h = frame.header;
  const bool data = h.kind == static_cast<std::uint8_t>(FrameKind::kBatches);
  RecoveredFrame out;
  if (data) out.shard = {StreamUid(h.stream), ShardNumber(h.shard)};
  out.entry.first_index = data ? h.first_index : header.lsn;
  out.entry.arrival = h.arrival_min;
  out.entry.retention = h.retention_ms;
  out.entry.offset = static_cast<std::uint32_t>(segment.blocks_end + frame.offset);
  out.entry.length = static_cast<std::uint32_t>(sizeof(h)) + h.stored_len;
  out.entry.records = h.records;
  out.entry.header_crc = h.header_crc;
  out.arrival_max = h.arrival_max;
  segment.frames.push_back(out);

  if (h.kind != static_cast<std::uint8_t>(FrameKind::kCatalogue) || header.lsn <= covered_) return;
  if (!frame.body_good) {
    note(fmt::format("a catalogue entry in block {} is lost", header.lsn));
    return;
  }
  RecoveredControl control{FrameKind::kCatalogue,
                           {StreamUid(h.stream), ShardNumber(h.shard)},
                           Lsn(header.lsn),
                           {frame.body.begin(), frame.body.end()}};
  controls_.push_back(std::move(control));
}

// --- The first block that is missing ----------------------------------------------------------

// Block headers behind the segment's last block, sector by sector. Adds to the evidence.
Result<std::vector<Candidate>> CellRecovery::look_ahead(const RecoveredSegment& segment,
                                                        std::uint64_t limit) {
  std::vector<Candidate> candidates;
  const std::uint64_t end = std::min(limit, segment.blocks_end + kLookAheadBytes);
  for (std::uint64_t at = segment.blocks_end; at + format::kSectorBytes <= end;
       at += format::kSectorBytes) {
    const auto sector = window_.at(at, format::kSectorBytes);
    if (!sector) continue;  // counts as a sector without a block
    const auto header = format::load<format::BlockHeader>(*sector);
    if (header.magic != format::kBlockMagic || !block_belongs(header, in_.identity)) continue;
    if (header.segment_no != segment.number.raw() || header.lsn <= cursor_.lsn) continue;
    if (auto ok = note_epoch(header.epoch); !ok) return std::unexpected(ok.error());
    note_durable(header.durable_lsn);
    cuts_.emplace(header.epoch, header.recovered_lsn);
    candidates.push_back({at, header});
  }
  drop_stale(candidates);
  return candidates;
}

void CellRecovery::drop_stale(std::vector<Candidate>& candidates) const {
  std::erase_if(candidates, [this](const Candidate& c) {
    return c.header.epoch < cursor_.epoch || cut_off(c.header.epoch, c.header.lsn);
  });
}

// Block cursor_.lsn + 1 is not at the segment's end. Decides what that means; true where reading
// goes on in this segment.
Result<bool> CellRecovery::missing(RecoveredSegment& segment, std::uint64_t limit,
                                   const Slot& slot) {
  auto candidates = look_ahead(segment, limit);
  if (!candidates) return std::unexpected(candidates.error());
  for (const Candidate& c : *candidates) seen_lsn_ = std::max(seen_lsn_, c.header.lsn);

  if (sabotaged(Sabotage::kResurrectAfterTruncate) && evidence_ <= cursor_.lsn) {
    return resume(segment, *candidates);
  }
  if (evidence_ <= cursor_.lsn) {
    report_.torn_blocks += candidates->size();
    return false;
  }
  const std::uint64_t from = segment.blocks_end;
  auto resumed = resume(segment, *candidates);
  if (!resumed || *resumed) return resumed;
  if (slot.trailer) {
    hole(slot.trailer->last_lsn, slot.trailer->blocks_end - from,
         fmt::format("at the end of segment {}", segment.number.raw()));
    sealed_by_trailer(segment, *slot.trailer);
    return false;
  }
  const Slot* next = behind_hole();
  const std::uint64_t last_lost =
      next != nullptr ? next->header->base_lsn - 1 : std::max(evidence_, seen_lsn_);
  // A hole of no block: the segment simply ended, without its SEAL.
  if (last_lost > cursor_.lsn) {
    hole(last_lost, limit - from, fmt::format("at the end of segment {}", segment.number.raw()));
    if (next == nullptr) table_.hole(Lsn(UINT64_MAX), limit - from);
  }
  segment.sealed = true;
  cursor_.lsn = last_lost;
  cursor_.exact = false;
  if (next != nullptr) cursor_.chain = next->header->prev_chain;
  return false;
}

// Goes on at the first whole block behind the gap, if there is one in this segment.
Result<bool> CellRecovery::resume(RecoveredSegment& segment, std::vector<Candidate>& candidates) {
  for (const Candidate& c : candidates) {
    if (c.header.lsn <= cursor_.lsn + 1) continue;
    if (c.header.total_len > in_.identity.slot_bytes - format::kSectorBytes - c.offset) continue;
    const auto block = window_.at(c.offset, c.header.total_len);
    if (!block || take_apart(c.header, *block, frames_) == BlockState::kBroken) continue;
    if (evidence_ > cursor_.lsn) {
      hole(c.header.lsn - 1, c.offset - segment.blocks_end,
           fmt::format("in segment {}", segment.number.raw()));
    }
    cursor_ = {c.header.segment_no, c.header.lsn - 1,       c.header.prev_chain,
               c.header.epoch,      c.header.recovered_lsn, false};
    segment.blocks_end = c.offset;
    return true;
  }
  return false;
}

void CellRecovery::hole(std::uint64_t last_lost, std::uint64_t bytes, const std::string& where) {
  report_.quarantined_blocks += last_lost - cursor_.lsn;
  note(fmt::format("blocks {} to {} {} cannot be read: acknowledged records are lost",
                   cursor_.lsn + 1, last_lost, where));
  table_.hole(Lsn(last_lost), bytes);
}

// --- The whole --------------------------------------------------------------------------------

Result<CellRecoveryOutput> CellRecovery::run() {
  if (auto surveyed = survey(); !surveyed) return std::unexpected(surveyed.error());
  cursor_.lsn = 0;
  cursor_.chain = format::first_chain(in_.identity.tag, in_.identity.cell);
  cursor_.exact = true;

  if (in_.snapshot != nullptr) {
    if (auto taken = listed_segments(); !taken) return std::unexpected(taken.error());
  }
  if (segments_.empty() ||
      (segments_.back().sealed && cursor_.lsn < covered_ && continuation() == nullptr)) {
    if (Slot* slot = covering()) {
      expect(*slot->header);
      if (auto taken = take(*slot); !taken) return std::unexpected(taken.error());
    } else if (covered_ > cursor_.lsn) {
      // Whatever was recycled, some slot has a header at or below the last covered block, since only
      // what is covered makes room.
      hole(covered_, in_.identity.slot_bytes, "and any behind them");
      table_.hole(Lsn(UINT64_MAX), in_.identity.slot_bytes);
      cursor_.lsn = covered_;
    }
  }
  // Only behind a sealed segment, or one that is lost, can there be another.
  while (segments_.empty() || segments_.back().sealed) {
    Slot* next = continuation();
    if (next == nullptr && evidence_ > cursor_.lsn) {
      next = behind_hole();
      const std::uint64_t last_lost = next != nullptr ? next->header->base_lsn - 1 : evidence_;
      if (last_lost > cursor_.lsn) {
        hole(last_lost, in_.identity.slot_bytes, "behind the last segment that is left");
        // Where nothing is left behind it, nobody knows how far it went.
        if (next == nullptr) table_.hole(Lsn(UINT64_MAX), in_.identity.slot_bytes);
      }
      cursor_.lsn = last_lost;
      if (next != nullptr) expect(*next->header);
    }
    if (next == nullptr) break;
    if (auto taken = take(*next); !taken) return std::unexpected(taken.error());
  }
  CellRecoveryOutput out;
  finish(out);
  return out;
}

void CellRecovery::finish(CellRecoveryOutput& out) {
  table_.finish();
  auto journal = std::make_unique<RecoveredJournal>();
  journal->cell = CellId(in_.identity.cell);
  journal->box = in_.identity.box;
  journal->tag = in_.identity.tag;
  journal->slot_bytes = in_.identity.slot_bytes;
  journal->recovered = Lsn(cursor_.lsn);
  journal->next_lsn = Lsn(cursor_.lsn + 1);
  journal->chain = cursor_.chain;
  journal->lost = table_.take_lost();
  // Numbers are dense. Where no segment is left, the next one is above all that there ever were.
  std::uint64_t highest = cursor_.segment;
  for (const Slot& slot : slots_.slots) {
    if (slot.header && segments_.empty()) highest = std::max(highest, slot.header->segment_no);
    if (!slot.live) journal->free.push_back({slot.file, slot.number});
  }
  journal->segments = std::move(segments_);
  journal->next_segment = SegmentNumber(highest + 1);

  for (const Accepted& block : accepted_) {
    if (block.lsn > evidence_) out.tail.push_back(block.piece);
  }
  report_.bytes_scanned += window_.bytes_read();
  out.cell.cell = journal->cell;
  out.cell.shards = table_.take_shards();
  out.cell.controls = std::move(controls_);
  out.cell.journal = std::move(journal);
  out.partial = std::move(slots_.partial);
  out.clock = clock_;
  out.next_slot = slots_.next_number;
}

}  // namespace

Result<CellRecoveryOutput> recover_cell(env::Volume& volume, const CellRecoveryInput& input,
                                        RecoveryReport& report) {
  return CellRecovery(volume, input, report).run();
}

}  // namespace penstock::storage
