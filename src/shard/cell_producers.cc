// Idempotent producers in a cell: which of their batches are placed, and how an epoch is opened.
//
// An answer never says more than what is durable: one that rests on a block under way goes with the
// newest block, which is durable no earlier.
#include "base/assert.h"
#include "shard/cell.h"

#include <algorithm>
#include <utility>

namespace penstock::shard {

// --- Batches --------------------------------------------------------------------------------------

bool Cell::to_be_placed(Shard& shard) {
  const BatchPut& batch = *shard.pending_head->batch;
  if (batch.producer == 0) return true;
  const auto decision = ProducerWindows::decide(producers_.find(shard.key, batch.producer),
                                                batch.epoch, batch.sequence);
  if (decision.kind == ProducerWindows::Decision::Kind::kNext) return true;
  PutEntry& entry = take_first(shard);
  if (decision.kind == ProducerWindows::Decision::Kind::kRefused) {
    refuse(entry, decision.error, turn_now_);
  } else {
    repeat(entry, shard, decision.first);
  }
  return false;
}

// A batch becomes visible as a whole.
void Cell::repeat(PutEntry& entry, const Shard& shard, const ProducerWindow::Entry& first) {
  entry.repeated = true;
  entry.index = first.first;
  entry.arrival = first.arrival;
  if (first.first < shard.visible) {
    entry.stored = true;
    outlet_.settled(&entry, 1, turn_now_);
  } else {
    newest_ticket().append(entry, entry, 1, entry.request->deadline);
  }
}

// --- Openings -------------------------------------------------------------------------------------

void Cell::open_producer(ProducerRequest& request, Nanos now, WallMillis wall) {
  turn_now_ = now;
  turn_wall_ = wall;
  producers_.set_now(now);
  request.closed = false;
  request.state = {};
  request.next = nullptr;
  request.at = nullptr;
  if (resolve(request)) return;
  (openings_ == nullptr ? openings_ : last_opening_->next) = &request;
  last_opening_ = &request;
}

void Cell::answer(ProducerRequest& request, Result<> outcome) {
  request.outcome = outcome;
  outlet_.finished(request, turn_now_);
}

bool Cell::resolve(ProducerRequest& request) {
  const auto answered = [&](Result<> outcome) {
    answer(request, outcome);
    return true;
  };
  const Shard* shard = find(request.shard);
  if (failed_) return answered(fail(ErrorCode::kFenced));
  if (shard == nullptr) return answered(fail(ErrorCode::kNotFound));
  if (request.producer == 0) return answered(fail(ErrorCode::kMalformed));
  // A close may be taken back, and the shard then take what came late: nothing is final yet.
  if (shard->life == ShardLife::kClosing) return answered(fail(ErrorCode::kWrongShard));
  ProducerWindow* window = producers_.find(request.shard, request.producer);
  if (shard->life == ShardLife::kClosed) return resolve_closed(request, window);
  if (window != nullptr && request.epoch < window->newest()) {
    return answered(fail(ErrorCode::kProducerFenced));
  }
  if (window == nullptr || request.epoch > window->newest()) {
    if (request.resume) return answered(fail(ErrorCode::kProducerUnknown));
    const bool room = window != nullptr || producers_.has_room();
    return room ? false : answered(fail(ErrorCode::kProducersFull));
  }
  producers_.use(*window, turn_wall_);
  request.state = ProducerWindows::state(*window);
  if (window->under_way == 0) return answered({});
  Ticket& ticket = newest_ticket();
  request.next = ticket.openings;
  ticket.openings = &request;
  return true;
}

// All that it has is durable, and nothing comes any more.
bool Cell::resolve_closed(ProducerRequest& request, const ProducerWindow* window) {
  const Result<> known = ProducerWindows::check(window, request.epoch);
  request.closed = true;
  if (known) request.state = ProducerWindows::state(*window);
  answer(request, known);
  return true;
}

bool Cell::place_openings(Nanos now, WallMillis wall) {
  while (openings_ != nullptr) {
    ProducerRequest& request = *openings_;
    openings_ = request.next;
    request.next = nullptr;
    if (resolve(request)) continue;  // by what came before it
    const storage::AppendState state = journal_.append_state(false);
    if (refuses(state) && !ticket_open_) {
      answer(request, fail(ErrorCode::kJournalFull));
      continue;
    }
    if (state == storage::AppendState::kOpen && place_opening(request)) continue;
    request.next = openings_;
    openings_ = &request;
    if (request.next == nullptr) last_opening_ = &request;
    if (state != storage::AppendState::kOpen) return true;
    if (!submit_full(now, wall)) return false;
  }
  return true;
}

// False when the open block has no room for it.
bool Cell::place_opening(ProducerRequest& request) {
  storage::ShardControl control;
  control.kind = storage::ShardControlKind::kProducer;
  control.range_begin[0] = request.producer;
  control.range_begin[1] = request.epoch;
  const auto body = std::as_bytes(std::span<const storage::ShardControl>(&control, 1));
  const std::span<std::byte> room = journal_.open_frame(body.size(), body.size());
  if (room.empty()) return false;
  std::copy(body.begin(), body.end(), room.begin());
  journal_.close_frame({.kind = storage::FrameKind::kShard,
                        .shard = request.shard,
                        .first = {},
                        .records = 0,
                        .arrival_min = turn_wall_,
                        .arrival_max = turn_wall_},
                       body.size());
  request.opening = &producers_.begin(producers_.find(request.shard, request.producer),
                                      request.shard, request.producer, request.epoch, turn_wall_);
  request.state = ProducerWindows::state(*request.opening);
  request.at = find(request.shard);
  ++request.at->frames_under_way;
  Ticket& ticket = open_ticket();
  request.next = ticket.openings;
  ticket.openings = &request;
  return true;
}

// In the order of the journal: batches of an epoch, then the opening of the next one.
void Cell::settle_producers(Ticket& ticket, const Result<>& outcome, Nanos now) {
  const bool durable = outcome.has_value();
  for (const Mark& mark : ticket.marks) {
    ProducerWindows::settle(*mark.window, mark.sequence, durable);
  }
  ticket.marks.clear();
  ProducerRequest* in_order = nullptr;
  while (ticket.openings != nullptr) {
    ProducerRequest* request = ticket.openings;
    ticket.openings = request->next;
    request->next = in_order;
    in_order = request;
  }
  while (in_order != nullptr) {
    ProducerRequest& request = *in_order;
    in_order = request.next;
    if (request.at != nullptr) {
      ProducerWindows::settle_opening(*request.opening, request.epoch, durable);
      --request.at->frames_under_way;
      remove_if_idle(*request.at);
    }
    request.outcome = outcome;
    outlet_.finished(request, now);
  }
}

// Those that wait for room. They keep their order.
void Cell::expire_openings(ErrorCode error, Nanos now) {
  turn_now_ = now;
  ProducerRequest* waiting = std::exchange(openings_, nullptr);
  while (waiting != nullptr) {
    ProducerRequest& request = *waiting;
    waiting = request.next;
    request.next = nullptr;
    if (request.deadline < now) {
      answer(request, fail(error));
      continue;
    }
    (openings_ == nullptr ? openings_ : last_opening_->next) = &request;
    last_opening_ = &request;
  }
}

void Cell::refuse_openings(ErrorCode error) {
  while (openings_ != nullptr) {
    ProducerRequest& request = *openings_;
    openings_ = request.next;
    answer(request, fail(error));
  }
}

}  // namespace penstock::shard
