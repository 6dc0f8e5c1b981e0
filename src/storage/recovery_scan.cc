#include "storage/footer_reader.h"
#include "storage/recovery_impl.h"
#include "storage/sabotage.h"

#include <fmt/format.h>

#include <algorithm>

namespace penstock::storage {
namespace {

// Four blocks of the largest size: what can have been in flight behind a block that is missing.
constexpr std::uint64_t kLookAheadBytes = 4 * std::uint64_t{format::kBlockBytesMax};

}  // namespace

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
  if (!sector) return unreadable(segment, limit, slot, sector.error());
  const auto header = format::load<format::BlockHeader>(*sector);
  if (!block_belongs(header, in_.identity)) return missing(segment, limit, slot);
  if (auto ok = note_epoch(header.epoch); !ok) return std::unexpected(ok.error());
  if (!continues(header) || header.total_len > limit - offset) return missing(segment, limit, slot);

  const auto block = window_.at(offset, header.total_len);
  if (!block) return unreadable(segment, limit, slot, block.error());
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

// A bad sector where the next block should be counts as one without a block: drives leave such a sector
// where power failed in the middle of it. A device that reads nothing behind it either says nothing at all.
Result<bool> CellRecovery::unreadable(RecoveredSegment& segment, std::uint64_t limit,
                                      const Slot& slot, Error why) {
  if (!window_.readable_behind(segment.blocks_end)) return std::unexpected(why);
  note(fmt::format("block {} of segment {} cannot be read", cursor_.lsn + 1, segment.number.raw()));
  return missing(segment, limit, slot);
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
  retention_ms_ = header.retention_ms;
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

}  // namespace penstock::storage
