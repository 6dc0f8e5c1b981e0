#include "shard/cell.h"

#include "base/assert.h"
#include "storage/recovery.h"
#include "storage/sabotage.h"

#include <algorithm>
#include <utility>

namespace penstock::shard {

Cell::Cell(const storage::JournalOptions& options, storage::RecoveredCell recovered,
           runtime::DiskQueue& writes, runtime::DiskQueue& reads, Outlet& outlet,
           std::uint32_t producers_max)
    : id_(options.cell),
      options_(options),
      outlet_(outlet),
      journal_(options, std::move(*recovered.journal), writes, reads),
      producers_(producers_max),
      covered_(journal_.durable()) {
  for (Ticket& ticket : tickets_) {
    ticket.placed.reserve(kPlacedPerBlock);
    ticket.marks.reserve(kMarksPerBlock);
  }
  if (!storage::sabotaged(storage::Sabotage::kForgetProducers)) {
    producers_.load(recovered.producers);
  }
  for (const storage::ShardState& state : recovered.shards) {
    auto shard = std::make_unique<Shard>();
    shard->key = state.shard;
    shard->begin = {state.range_begin[0], state.range_begin[1]};
    shard->end = {state.range_end[0], state.range_end[1]};
    shard->created_second = state.created_second;
    shard->catalogue_version = state.catalogue_version;
    shard->life = state.closed != 0 ? ShardLife::kClosed : ShardLife::kOpen;
    shard->next = shard->visible = RecordIndex(state.next_index);
    shard->trim = RecordIndex(state.trim_index);
    shard->last_arrival = shard->visible_arrival = WallMillis(state.last_arrival);
    shards_.emplace(shard->key, std::move(shard));
  }
}

Cell::~Cell() = default;

Shard* Cell::find(ShardKey key) {
  const auto at = shards_.find(key);
  return at == shards_.end() || at->second->removed ? nullptr : at->second.get();
}

bool Cell::take(PutEntry& entry, Shard* shard, Nanos now) {
  const auto refuse = [&](ErrorCode error) {
    entry.stored = false;
    entry.error = error;
    // It comes again by a newer map: to this very shard where its split or merge was abandoned.
    if (error == ErrorCode::kWrongShard) return false;
    if (shard != nullptr) {
      shard->refusing = entry.request->serial;
      shard->refusal = error == ErrorCode::kThrottled ? ErrorCode::kThrottledInCall : error;
    }
    count_refused(error, entry.records());
    return false;
  };
  // A fenced cell could not store the opening of a shard that the catalogue has already shown: no
  // newer map will show another.
  if (shard == nullptr && failed_) return refuse(ErrorCode::kFenced);
  if (shard == nullptr || shard->life != ShardLife::kOpen || shard->removed) {
    return refuse(ErrorCode::kWrongShard);
  }
  if (shard->refusing == entry.request->serial) return refuse(shard->refusal);
  if (failed_) return refuse(ErrorCode::kFenced);
  if (full_) return refuse(ErrorCode::kJournalFull);
  if (!shard->write_bytes.admits(now) || !shard->write_records.admits(now)) {
    return refuse(ErrorCode::kThrottled);
  }
  shard->write_bytes.debit(entry.record.data_bytes + entry.record.key_bytes, now);
  shard->write_records.debit(1, now);
  shard->push(entry);
  pending_bytes_ += entry.payload_bytes();
  if (!shard->touched) touch(*shard);
  return true;
}

void Cell::count_refused(ErrorCode error, std::uint32_t records) {
  const bool throttled = error == ErrorCode::kThrottled || error == ErrorCode::kThrottledInCall;
  if (error == ErrorCode::kUnknownOutcome) {
    counters_.records_unknown += records;
  } else if (error != ErrorCode::kWrongShard) {  // then the right one is asked
    (throttled ? counters_.records_throttled : counters_.records_refused) += records;
  }
}

void Cell::touch(Shard& shard) {
  shard.touched = true;
  shard.next_touched = nullptr;
  if (touched_head_ == nullptr) {
    touched_head_ = &shard;
  } else {
    touched_tail_->next_touched = &shard;
  }
  touched_tail_ = &shard;
}

bool Cell::quiet() const {
  return touched_head_ == nullptr && commands_.empty() && openings_ == nullptr &&
         ticket_count_ == 0 && journal_.quiet();
}

void Cell::remove_if_idle(Shard& shard) {
  if (!shard.removed || !shard.idle()) return;
  shards_.erase(shard.key);
  shards_gone_ = true;
}

// --- Settling -------------------------------------------------------------------------------------

runtime::WorkCount Cell::settle(Nanos now, WallMillis wall) {
  turn_now_ = now;
  turn_wall_ = wall;
  producers_.set_now(now);
  runtime::WorkCount work = journal_.poll(now, wall, retention_now_);
  if (full_) full_ = full();
  covered_ = std::max(covered_, journal_.durable());
  while (ticket_count_ > (ticket_open_ ? 1U : 0U)) {
    Ticket& ticket = tickets_[first_ticket_];
    if (ticket.lsn > covered_) break;
    settle_ticket(ticket, {}, now);
    first_ticket_ = (first_ticket_ + 1) % kTickets;
    --ticket_count_;
    ++work;
  }
  if (journal_.fenced() && !failed_) {
    failed_ = true;
    fail_all(now);
    ++work;
  }
  if (!woken_.empty()) go_on_reading(now);
  if (std::exchange(shards_gone_, false)) {
    producers_.remove_if([this](ShardKey shard) { return !shards_.contains(shard); });
  }
  return work;
}

void Cell::settle_ticket(Ticket& ticket, const Result<>& outcome, Nanos now) {
  const bool durable = outcome.has_value();
  if (!ticket.marks.empty() || ticket.openings != nullptr) settle_producers(ticket, outcome, now);
  for (const Placed& placed : ticket.placed) {
    Shard& shard = *placed.shard;
    --shard.frames_under_way;
    if (durable) {
      shard.visible = placed.next;
      shard.visible_arrival = placed.arrival;
      if (!shard.readers.empty()) wake_readers(shard);
    }
    remove_if_idle(shard);
  }
  ticket.placed.clear();
  if (ticket.entries > 0) {
    for (PutEntry* entry = ticket.head; entry != nullptr; entry = entry->next) {
      entry->stored = durable;
      if (durable) continue;
      // What it repeats may be stored, though this block is not.
      entry->error = entry->repeated ? ErrorCode::kUnknownOutcome : outcome.error().code;
      count_refused(entry->error, entry->records());
    }
    outlet_.settled(ticket.head, ticket.entries, now);
  }
  ticket.head = ticket.tail = nullptr;
  ticket.entries = 0;
  ticket.deadline = runtime::kNever;
  for (CellCommand* command : ticket.commands) {
    if (!durable) {
      command->outcome = outcome;
    } else if (command->kind == CommandKind::kOpenShard) {
      apply_open(*command, now);
    } else if (command->kind == CommandKind::kCloseShard) {
      if (Shard* shard = find(command->shard); shard != nullptr) {
        shard->life = ShardLife::kClosed;
        wake_readers(*shard);
      }
    } else if (command->kind == CommandKind::kTrimShard) {
      apply_trim(*command);
    }
    outlet_.finished(*command, now);
  }
  ticket.commands.clear();
}

void Cell::refuse(PutEntry& entry, ErrorCode error, Nanos now) {
  entry.next = nullptr;
  entry.stored = false;
  entry.error = error;
  count_refused(error, entry.records());
  outlet_.settled(&entry, 1, now);
}

// The journal is fenced: nothing in flight has a known outcome; what the open block holds, and what is
// pending, will not be written.
void Cell::fail_all(Nanos now) {
  for (; ticket_count_ > 0; --ticket_count_) {
    const bool open = ticket_open_ && ticket_count_ == 1;
    settle_ticket(tickets_[first_ticket_],
                  fail(open ? ErrorCode::kFenced : ErrorCode::kUnknownOutcome), now);
    first_ticket_ = (first_ticket_ + 1) % kTickets;
  }
  ticket_open_ = false;
  refuse_all(now);
}

// What waits for a block will get none.
void Cell::refuse_all(Nanos now) {
  refuse_pending(ErrorCode::kFenced, now);
  refuse_commands(ErrorCode::kFenced, now);
  refuse_openings(ErrorCode::kFenced);
}

void Cell::refuse_commands(ErrorCode error, Nanos now) {
  while (!commands_.empty()) {
    CellCommand& command = *commands_.front();
    commands_.pop_front();
    command.outcome = fail(error);
    outlet_.finished(command, now);
  }
}

void Cell::refuse_pending(ErrorCode error, Nanos now) {
  while (touched_head_ != nullptr) {
    Shard& shard = *touched_head_;
    touched_head_ = shard.next_touched;
    shard.touched = false;
    refuse_pending(shard, error, now);
    remove_if_idle(shard);
  }
}

void Cell::refuse_pending(Shard& shard, ErrorCode error, Nanos now) {
  pending_bytes_ -= shard.pending_bytes;
  while (shard.pending_head != nullptr) refuse(shard.pop(), error, now);
}

// Entries lie in the order in which they were placed, not of their calls: an old one may stand behind a
// younger one. So a list keeps its earliest deadline, and is walked only when that has passed.
void Cell::expire(Nanos now) {
  while (ReadRequest* const request = waiting_.due(now)) end_wait(*request, now);
  for (std::size_t i = 0; i < ticket_count_; ++i) {
    Ticket& ticket = tickets_[(first_ticket_ + i) % kTickets];
    if (ticket.deadline >= now) continue;
    const Kept kept = refuse_late(ticket.head, ErrorCode::kUnknownOutcome, now);
    ticket.head = kept.head;
    ticket.tail = kept.tail;
    ticket.entries = kept.entries;
    ticket.deadline = kept.deadline;
  }
  const bool without_room = journal_.append_state(false) == storage::AppendState::kFull;
  const ErrorCode late = without_room ? ErrorCode::kJournalFull : ErrorCode::kOverloaded;
  expire_openings(late, now);
  Shard** at = &touched_head_;
  touched_tail_ = nullptr;
  while (*at != nullptr) {
    Shard& shard = **at;
    if (shard.pending_deadline < now) expire_pending(shard, late, now);
    if (shard.pending_head != nullptr) {
      touched_tail_ = &shard;
      at = &shard.next_touched;
      continue;
    }
    // Nothing of it waits for a block any more: it is not to keep the cell from being quiet.
    *at = shard.next_touched;
    shard.touched = false;
    remove_if_idle(shard);
  }
}

void Cell::expire_pending(Shard& shard, ErrorCode late, Nanos now) {
  const Kept kept = refuse_late(shard.pending_head, late, now);
  pending_bytes_ -= shard.pending_bytes - kept.bytes;
  shard.pending_head = kept.head;
  shard.pending_tail = kept.tail;
  shard.pending_deadline = kept.deadline;
  shard.pending_count = kept.entries;
  shard.pending_batches = kept.batches;
  shard.pending_bytes = kept.bytes;
}

// Those that are late have their outcome then; the others stay a list, in their order.
Cell::Kept Cell::refuse_late(PutEntry* entry, ErrorCode error, Nanos now) {
  Kept kept;
  while (entry != nullptr) {
    PutEntry* following = entry->next;
    entry->next = nullptr;
    if (entry->request->deadline < now) {
      refuse(*entry, error, now);
    } else {
      (kept.tail == nullptr ? kept.head : kept.tail->next) = entry;
      kept.tail = entry;
      ++kept.entries;
      if (entry->batch != nullptr) ++kept.batches;
      kept.bytes += entry->payload_bytes();
      kept.deadline = std::min(kept.deadline, entry->request->deadline);
    }
    entry = following;
  }
  return kept;
}

}  // namespace penstock::shard
