#include "storage/recovery.h"

#include "storage/recovery_impl.h"
#include "storage/sabotage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace penstock::storage {

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
    if (slot.unreadable) {
      ++slots_unreadable_;
      note(fmt::format("slot {} cannot be read: it is not used", slot.number));
    }
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

void CellRecovery::note(const std::string& text) {
  report_.notes.push_back(fmt::format("cell {}: {}", in_.identity.cell, text));
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
  // Behind a sealed segment comes another, and it may be in the slot that cannot be read.
  if (slots_unreadable_ > 0 && (segments_.empty() || segments_.back().sealed)) {
    return fail(ErrorCode::kSystem, EIO);
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
    if (!slot.live && !slot.unreadable) journal->free.push_back({slot.file, slot.number});
  }
  journal->segments = std::move(segments_);
  journal->next_segment = SegmentNumber(highest + 1);

  for (const Accepted& block : accepted_) {
    if (block.lsn > evidence_) out.tail.push_back(block.piece);
  }
  report_.bytes_scanned += window_.bytes_read();
  out.cell.cell = journal->cell;
  out.cell.producers = table_.take_producers();
  out.cell.shards = table_.take_shards();
  out.cell.controls = std::move(controls_);
  out.cell.journal = std::move(journal);
  out.partial = std::move(slots_.partial);
  out.retention_ms = retention_ms_;
  out.next_slot = slots_.next_number;
}

Result<CellRecoveryOutput> recover_cell(env::Volume& volume, const CellRecoveryInput& input,
                                        RecoveryReport& report) {
  return CellRecovery(volume, input, report).run();
}

}  // namespace penstock::storage
