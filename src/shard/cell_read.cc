// Reads: limits, the start, waits for what is to come, and what the reader is told of where it stands.
#include "base/assert.h"
#include "shard/cell.h"
#include "storage/sabotage.h"

#include <algorithm>

namespace penstock::shard {

void Cell::read(ReadRequest& request, Nanos now, WallMillis wall) {
  turn_now_ = now;
  turn_wall_ = wall;
  request.cell = this;
  request.asked = wall;
  request.outcome = {};
  request.at_end = false;
  request.millis_behind = 0;
  request.from_device = false;
  Shard* shard = find(request.shard);
  if (shard == nullptr) {
    // A fenced cell could not store the opening of a shard that the catalogue has already shown.
    request.outcome = fail(journal_.fenced() ? ErrorCode::kFenced : ErrorCode::kNotFound);
    outlet_.finished(request, now);
    return;
  }
  start_read(request, *shard, now);
}

// How far behind a reader is that has come to `request.next`, by the arrival of what it read last.
void Cell::tell_distance(ReadRequest& request, const Shard& shard, WallMillis reached) {
  if (request.next >= shard.visible) return;
  request.millis_behind = std::max<std::int64_t>(1, request.asked - reached);
}

void Cell::start_read(ReadRequest& request, Shard& shard, Nanos now) {
  RecordIndex from = shard.trim;
  switch (request.start) {
    case ReadStart::kIndex:
      from = std::max(request.index, shard.trim);
      break;
    case ReadStart::kLatest:
      from = shard.visible;
      break;
    case ReadStart::kTrimHorizon:
      break;
    case ReadStart::kTimestamp:
      from = journal_.find_arrival(request.shard, request.timestamp, shard.trim, shard.visible);
      break;
  }
  request.next = from;
  const bool closed = shard.life == ShardLife::kClosed;
  if (from >= shard.visible && !closed && request.wait_until > now && !waits_ended_) {
    return wait(request, shard, now);
  }
  if (request.sink == nullptr) {
    request.at_end = closed && from >= shard.visible;
    tell_distance(request, shard, shard.visible_arrival);
    outlet_.finished(request, now);
    return;
  }
  if ((!request.push && !shard.reads.admits(now)) || !shard.read_bytes.admits(now)) {
    ++counters_.reads_throttled;
    request.outcome = fail(ErrorCode::kThrottled);
    outlet_.finished(request, now);
    return;
  }
  if (!request.push) shard.reads.debit(1, now);
  ++shard.reads_in_flight;
  const auto horizon = horizons_.find(request.shard.stream);
  storage::ReadOp& op = request.op;
  op = {};
  op.shard = request.shard;
  op.from = from;
  op.until = std::max(from, shard.visible);
  if (storage::sabotaged(storage::Sabotage::kVisibleBeforeDurable)) op.until = shard.next;
  if (request.start == ReadStart::kTimestamp) op.arrival_from = request.timestamp;
  if (horizon != horizons_.end()) op.retention_from = horizon->second;
  op.sink = request.sink;
  op.done = &Cell::read_done;
  op.context = &request;
  journal_.start(op, now);
}

// --- Waits ------------------------------------------------------------------------------------

void Cell::wait(ReadRequest& request, Shard& shard, Nanos now) {
  if (request.start == ReadStart::kLatest) {
    request.start = ReadStart::kIndex;
    request.index = request.next;
  }
  ++shard.reads_in_flight;
  shard.readers.push_back(request);
  waiting_.add(request, now);
}

// They go on at the end of `settle`, when this turn's blocks have all been looked at.
void Cell::wake_readers(Shard& shard) {
  while (ReadRequest* const request = shard.readers.pop_front()) {
    waiting_.remove(*request);
    woken_.push_back(*request);
  }
}

void Cell::go_on_reading(Nanos now) {
  while (ReadRequest* const request = woken_.pop_front()) {
    const auto at = shards_.find(request->shard);
    PENSTOCK_ASSERT(at != shards_.end());
    Shard& shard = *at->second;
    --shard.reads_in_flight;
    if (shard.removed) {
      request->outcome = fail(ErrorCode::kNotFound);
      outlet_.finished(*request, now);
      remove_if_idle(shard);
    } else {
      request->asked = turn_wall_;
      start_read(*request, shard, now);
    }
  }
}

// In vain: nothing is there.
void Cell::end_wait(ReadRequest& request, Nanos now) {
  Shard& shard = *shards_.find(request.shard)->second;
  shard.readers.remove(request);
  --shard.reads_in_flight;
  outlet_.finished(request, now);
}

void Cell::end_waits(Nanos now) {
  waits_ended_ = true;
  for (const auto& [key, shard] : shards_) {
    while (ReadRequest* const request = shard->readers.front()) {
      waiting_.remove(*request);
      end_wait(*request, now);
    }
  }
}

void Cell::read_done(storage::ReadOp& op) {
  ReadRequest& request = *static_cast<ReadRequest*>(op.context);
  Cell& cell = *request.cell;
  request.outcome = op.outcome;
  request.next = op.next;
  request.from_device = op.from_device;
  const auto at = cell.shards_.find(request.shard);
  if (at != cell.shards_.end()) {
    Shard& shard = *at->second;
    --shard.reads_in_flight;
    shard.read_bytes.debit(op.bytes_taken, cell.turn_now_);
    cell.counters_.bytes_out += op.bytes_taken;
    request.at_end = shard.life == ShardLife::kClosed && !shard.removed && op.next >= shard.visible;
    tell_distance(request, shard,
                  op.last_arrival == WallMillis{} ? shard.visible_arrival : op.last_arrival);
    cell.remove_if_idle(shard);
  }
  cell.outlet_.finished(request, cell.turn_now_);
}

}  // namespace penstock::shard
