// How a turn's entries become a block: control frames first, then shard after shard, one frame each.
// While the journal has all the blocks in flight that it may, one more is filled and waits.
#include "base/assert.h"
#include "shard/cell.h"
#include "storage/batch.h"

#include <algorithm>

namespace penstock::shard {

runtime::WorkCount Cell::place(Nanos now, WallMillis wall) {
  if (failed_) {
    refuse_all(now);
    return 0;
  }
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
    } else if (!submit(now, wall)) {
      break;
    }
  }
  while (touched_head_ != nullptr) {
    const storage::AppendState state = journal_.append_state(false);
    if (state == storage::AppendState::kFull && !ticket_open_) {
      refuse_pending(ErrorCode::kJournalFull, now);
      break;
    }
    if (state != storage::AppendState::kOpen) break;
    if (ticket_open_ && open_ticket().placed.size() == kPlacedPerBlock && !submit(now, wall)) break;
    Shard& shard = *touched_head_;
    touched_head_ = shard.next_touched;
    shard.touched = false;
    place_shard(shard, wall);
    ++work;
    if (shard.pending_head != nullptr) {  // the block is full: the others first, then the rest
      touch(shard);
      if (!submit(now, wall)) break;
    } else {
      remove_if_idle(shard);
    }
  }
  submit(now, wall);
  return work;
}

// Moves as many of the shard's entries into the open block as it has room for.
void Cell::place_shard(Shard& shard, WallMillis wall) {
  if (shard.pending_head == nullptr) return;
  const auto bytes_of = [](const PutEntry& entry) {
    return std::size_t{entry.record.key_bytes} + entry.record.data_bytes;
  };
  std::size_t wanted = 0;
  std::uint32_t count = 0;
  for (const PutEntry* e = shard.pending_head; e != nullptr && count < storage::kBatchRecordsMax;
       e = e->next) {
    if (count > 0 &&
        storage::batch_bytes(count + 1, wanted + bytes_of(*e)) > options_.block_target) {
      break;
    }
    wanted += bytes_of(*e);
    ++count;
  }
  const std::span<std::byte> room = journal_.open_frame(
      storage::batch_bytes(1, bytes_of(*shard.pending_head)), storage::batch_bytes(count, wanted));
  if (room.empty()) return;

  std::size_t payload = wanted;
  std::uint32_t fitting = count;
  if (storage::batch_bytes(count, wanted) > room.size()) {
    payload = 0;
    fitting = 0;
    for (const PutEntry* e = shard.pending_head; fitting < count; e = e->next) {
      if (storage::batch_bytes(fitting + 1, payload + bytes_of(*e)) > room.size()) break;
      payload += bytes_of(*e);
      ++fitting;
    }
  }
  PENSTOCK_ASSERT(fitting > 0);
  const WallMillis arrival = std::max(shard.last_arrival, wall);
  const RecordIndex first = shard.next;
  storage::BatchWriter batch(room, {.first = first, .arrival = arrival}, fitting, payload);
  Ticket& ticket = open_ticket();
  for (std::uint32_t i = 0; i < fitting; ++i) {
    PutEntry& entry = shard.pop();
    batch.add(entry.record);
    entry.index = shard.next;
    entry.arrival = arrival;
    entry.shard = shard.key.shard;
    ++shard.next;
    entry.next = nullptr;
    ticket.deadline = std::min(ticket.deadline, entry.request->deadline);
    (ticket.tail == nullptr ? ticket.head : ticket.tail->next) = &entry;
    ticket.tail = &entry;
  }
  ticket.entries += fitting;
  shard.last_arrival = arrival;
  journal_.close_frame({.kind = storage::FrameKind::kBatches,
                        .shard = shard.key,
                        .first = first,
                        .records = fitting,
                        .arrival_min = arrival,
                        .arrival_max = arrival},
                       batch.finish());
  ticket.placed.push_back({&shard, shard.next, arrival});
  ++shard.blocks_in_flight;
  counters_.records_in += fitting;
  counters_.bytes_in += payload;
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
  return tickets_[(first_ticket_ + ticket_count_ - 1) % kTickets];
}

bool Cell::submit(Nanos now, WallMillis wall) {
  if (!journal_.block_open()) return true;
  if (!journal_.can_submit()) return false;
  PENSTOCK_ASSERT(ticket_open_);
  open_ticket().lsn = journal_.submit_block(now, wall, retention_now_);
  ticket_open_ = false;
  return true;
}

}  // namespace penstock::shard
