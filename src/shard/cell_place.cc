// How a turn's entries become a block: control frames first, openings of producers, then shard after
// shard, one frame each.
// While the journal has all the blocks in flight that it may, one more is filled, turn after turn, and
// waits.
#include "base/assert.h"
#include "shard/cell.h"
#include "storage/batch.h"

#include <algorithm>

namespace penstock::shard {
namespace {

// What the entry takes at least, as the first of a batch.
std::size_t bytes_of(const PutEntry& entry) {
  return entry.batch != nullptr ? storage::kBatchHeaderBytes + entry.batch->bytes.size()
                                : storage::batch_bytes(1, entry.payload_bytes());
}

}  // namespace

runtime::WorkCount Cell::place(Nanos now, WallMillis wall) {
  if (failed_) {
    refuse_all(now);
    return 0;
  }
  if (block_full_ && !submit(now, wall)) return 0;
  runtime::WorkCount work = 0;
  while (!commands_.empty()) {
    const storage::AppendState state = journal_.append_state(true);
    if (state == storage::AppendState::kFull && !ticket_open_) {
      // Even the reserve is used up. Room comes from a snapshot, which waits for whoever waits here.
      refuse_commands(ErrorCode::kJournalFull, now);
      break;
    }
    if (state != storage::AppendState::kOpen) break;
    if (place_command(*commands_.front())) {
      commands_.pop_front();
      ++work;
    } else if (!submit_full(now, wall)) {
      return work;
    }
  }
  if (openings_ != nullptr && !place_openings(now, wall)) return work + 1;
  while (touched_head_ != nullptr) {
    const storage::AppendState state = journal_.append_state(false);
    if (refuses(state) && !ticket_open_) {
      full_ = true;
      refuse_pending(ErrorCode::kJournalFull, now);
      break;
    }
    if (state != storage::AppendState::kOpen) break;
    // What one block holds comes with the next that may leave, in one frame a shard. Ahead of that, turn
    // after turn, it would be a frame a turn: more headers than records, and segments full of them.
    if (pending_bytes_ < options_.block_target && !journal_.can_submit()) break;
    if (ticket_open_ && open_ticket().placed.size() == kPlacedPerBlock) {
      if (!submit_full(now, wall)) return work;
      continue;
    }
    Shard& shard = *touched_head_;
    touched_head_ = shard.next_touched;
    shard.touched = false;
    place_shard(shard, wall);
    ++work;
    if (shard.pending_head != nullptr) {  // the block is full: the others first, then the rest
      touch(shard);
      if (!submit_full(now, wall)) return work;
    } else {
      remove_if_idle(shard);
    }
  }
  submit(now, wall);
  return work;
}

// As many of the entries from `head` on, up to `end`, as one batch of so many bytes takes; at least one.
Cell::Piece Cell::first_piece(const PutEntry* head, const PutEntry* end, std::size_t bytes_max) {
  Piece piece;
  for (const PutEntry* e = head; e != end; e = e->next) {
    const std::size_t payload = piece.payload + e->payload_bytes();
    const bool fits = piece.records < storage::kBatchRecordsMax &&
                      storage::batch_bytes(piece.records + 1, payload) <= bytes_max;
    if (!fits && piece.records > 0) break;
    ++piece.records;
    piece.payload = payload;
  }
  return piece;
}

Cell::Piece Cell::first_piece(const Shard& shard, std::size_t bytes_max) {
  if (shard.pending_count <= storage::kBatchRecordsMax &&
      storage::batch_bytes(shard.pending_count, shard.pending_bytes) <= bytes_max) {
    return {shard.pending_count, shard.pending_bytes};
  }
  return first_piece(shard.pending_head, nullptr, bytes_max);
}

// Moves as many of the shard's entries into the open block as it has room for.
void Cell::place_shard(Shard& shard, WallMillis wall) {
  if (shard.pending_head == nullptr) return;
  if (shard.pending_batches > 0) return place_mixed(shard, wall);
  Piece piece = first_piece(shard, options_.block_target);
  const std::span<std::byte> room =
      journal_.open_frame(storage::batch_bytes(1, shard.pending_head->payload_bytes()),
                          storage::batch_bytes(piece.records, piece.payload));
  if (room.empty()) return;
  if (storage::batch_bytes(piece.records, piece.payload) > room.size()) {
    piece = first_piece(shard, room.size());
  }
  const WallMillis arrival = std::max(shard.last_arrival, wall);
  const RecordIndex first = shard.next;
  close_frame(shard, first, arrival, write_piece(shard, piece, room, arrival));
}

// One frame, of as many of the first entries as the open block takes.
void Cell::place_mixed(Shard& shard, WallMillis wall) {
  const WallMillis arrival = std::max(shard.last_arrival, wall);
  const RecordIndex first = shard.next;
  std::span<std::byte> room;
  std::size_t used = 0;
  while (shard.pending_head != nullptr) {
    if (shard.pending_head->batch != nullptr && !to_be_placed(shard)) continue;
    if (ticket_open_ && newest_ticket().marks.size() == kMarksPerBlock) break;
    const PutEntry& entry = *shard.pending_head;
    const std::size_t least = bytes_of(entry);
    if (used == 0) {
      room = journal_.open_frame(least, std::max<std::size_t>(least, options_.block_target));
      if (room.empty()) return;
    }
    const std::span<std::byte> rest = room.subspan(used);
    if (least > rest.size()) break;
    if (entry.batch != nullptr) {
      used += write_batch(shard, rest, arrival);
    } else {
      const PutEntry* end = &entry;
      while (end != nullptr && end->batch == nullptr) end = end->next;
      used += write_piece(shard, first_piece(&entry, end, rest.size()), rest, arrival);
    }
  }
  if (used > 0) close_frame(shard, first, arrival, used);
}

// Inline, with the one below: as calls they cost a frame 65 instructions more (measured).
[[gnu::always_inline]] inline std::size_t Cell::write_piece(Shard& shard, const Piece& piece,
                                                            std::span<std::byte> room,
                                                            WallMillis arrival) {
  storage::BatchWriter batch(room, {.first = shard.next, .arrival = arrival}, piece.records,
                             piece.payload);
  PutEntry* entry = shard.pending_head;
  PutEntry* last = entry;
  RecordIndex index = shard.next;
  batch.add_all([&]() -> const storage::RecordRef& {
    last = entry;
    entry = entry->next;
    last->index = index;
    last->arrival = arrival;
    ++index;
    return last->record;
  });
  PutEntry& head = *shard.pending_head;
  const Nanos deadline = shard.pending_deadline;
  shard.drop_front(*last, piece.records, piece.payload);
  pending_bytes_ -= piece.payload;
  open_ticket().append(head, *last, piece.records, deadline);
  shard.next = index;
  counters_.records_in += piece.records;
  counters_.bytes_in += piece.payload;
  return batch.finish();
}

// The frame has the shard's records from `first` on.
[[gnu::always_inline]] inline void Cell::close_frame(Shard& shard, RecordIndex first,
                                                     WallMillis arrival, std::size_t bytes) {
  shard.last_arrival = arrival;
  journal_.close_frame({.kind = storage::FrameKind::kBatches,
                        .shard = shard.key,
                        .first = first,
                        .records = static_cast<std::uint32_t>(shard.next - first),
                        .arrival_min = arrival,
                        .arrival_max = arrival},
                       bytes);
  newest_ticket().placed.push_back({&shard, shard.next, arrival});
  ++shard.frames_under_way;
}

// False when the open block has no room for it.
bool Cell::place_command(CellCommand& command) {
  const bool catalogue = command.kind == CommandKind::kCatalogue;
  const std::span<const std::byte> body =
      catalogue ? std::span<const std::byte>(command.body)
                : std::as_bytes(std::span<const storage::ShardControl>(&command.control, 1));
  const std::span<std::byte> room = journal_.open_frame(body.size(), body.size());
  if (room.empty()) return false;
  std::copy(body.begin(), body.end(), room.begin());
  journal_.close_frame(
      {.kind = catalogue ? storage::FrameKind::kCatalogue : storage::FrameKind::kShard,
       .shard = catalogue ? ShardKey{} : command.shard,
       .first = {},
       .records = 0,
       .arrival_min = turn_wall_,
       .arrival_max = turn_wall_},
      body.size());
  open_ticket().commands.push_back(&command);
  return true;
}

Cell::Ticket& Cell::open_ticket() {
  if (!ticket_open_) {
    PENSTOCK_ASSERT(ticket_count_ < kTickets);
    ++ticket_count_;
    ticket_open_ = true;
  }
  return newest_ticket();
}

// What it holds is durable no earlier than anything that was placed. REQUIRES: there is one.
Cell::Ticket& Cell::newest_ticket() {
  PENSTOCK_ASSERT(ticket_count_ > 0);
  return tickets_[(first_ticket_ + ticket_count_ - 1) % kTickets];
}

bool Cell::submit(Nanos now, WallMillis wall) {
  if (!journal_.block_open()) return true;
  if (!journal_.can_submit()) return false;
  PENSTOCK_ASSERT(ticket_open_);
  open_ticket().lsn = journal_.submit_block(now, wall, retention_now_);
  ticket_open_ = false;
  block_full_ = false;
  return true;
}

bool Cell::submit_full(Nanos now, WallMillis wall) {
  block_full_ = !submit(now, wall);
  return !block_full_;
}

}  // namespace penstock::shard
