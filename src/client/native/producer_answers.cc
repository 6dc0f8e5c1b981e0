// What the server answers to openings and batches.
#include "base/assert.h"
#include "client/native/producer_engine.h"
#include "client/native/producer_lane.h"

#include <algorithm>
#include <utility>

namespace penstock::client::native {

using proto::MessageKind;
using transport::CloseCode;

namespace {

// Refusals that another time may not meet.
bool passes(ErrorCode code) {
  switch (code) {
    case ErrorCode::kThrottled:
    case ErrorCode::kThrottledInCall:
    case ErrorCode::kJournalFull:
    case ErrorCode::kFenced:
    case ErrorCode::kOverloaded:
    case ErrorCode::kStopping:
    case ErrorCode::kProducersFull:
    case ErrorCode::kNoSpace:
    case ErrorCode::kSystem:
    case ErrorCode::kConflict:
    case ErrorCode::kUnknownOutcome:  // of an opening: the next one says
      return true;
    default:
      return false;
  }
}

const proto::Failure& failure_of(const proto::DecodedMessage& message) {
  return *flatbuffers::GetRoot<proto::Failure>(message.table.data());
}

}  // namespace

void ProducerLane::on_message(const proto::DecodedMessage& message, Nanos now) {
  const std::uint64_t request = message.header.request;
  const bool failed = message.header.kind == MessageKind::kFailed;
  if (state_ == State::kOpening && request == open_request_) {
    if (failed) {
      on_not_opened(message, now);
    } else if (message.header.kind == MessageKind::kPutOpened) {
      on_opened(message, now);
    }
  } else if (request != 0) {
    const auto batch = std::ranges::find(queue_, request, &ProducerBatch::request);
    if (batch == queue_.end()) return;
    const auto at = static_cast<std::size_t>(batch - queue_.begin());
    if (failed) {
      on_refused(at, message, now);
    } else if (message.header.kind == MessageKind::kPutDone) {
      on_stored(at, *flatbuffers::GetRoot<proto::PutResult>(message.table.data()));
    }
  }
  engine_.wake(*this);
}

void ProducerLane::on_lane_end(CloseCode code, bool lost, Nanos now) {
  if (state_ != State::kOpening) ended_ = now;
  state_ = State::kClosed;
  lane_ = 0;
  for (ProducerBatch& batch : queue_) {
    if (std::exchange(batch.request, 0) != 0) batch.in_doubt = true;
  }
  under_way_ = 0;
  halted_ = reopen_ = false;  // opening settles what there is to settle
  if (forgotten_) become_another();
  if (!lost) {
    if (code == CloseCode::kReplaced) return engine_.fence(now);
    if (code == CloseCode::kGone) engine_.need_newer_map(now);
    not_before_ = now + kRetryNanos;
    // All clients together have too many lanes: one of ours gives way.
    if (code == CloseCode::kOverloaded && !engine_.free_lane(now)) {
      not_before_ = now + kOverloadedNanos;
    }
  }
  engine_.wake(*this);
}

void ProducerLane::wait(std::uint32_t retry_after_ms, Nanos now) {
  const std::int64_t nanos = std::int64_t{retry_after_ms} * kNanosPerMilli;
  not_before_ = std::max(not_before_, now + (nanos > 0 ? nanos : kRetryNanos));
}

// --- Openings -------------------------------------------------------------------------------------

void ProducerLane::on_opened(const proto::DecodedMessage& message, Nanos now) {
  const auto& opened = *flatbuffers::GetRoot<proto::PutOpened>(message.table.data());
  if (StreamUid(opened.stream()) != stream_) {  // another stream of this name
    leave();
    wait(0, now);
    return engine_.need_map(message.header.map_epoch, now);
  }
  if (opened.last() < stored_) {  // it has forgotten what it once said was stored
    become_another();
    return;
  }
  state_ = State::kOpen;
  stored_ = opened.last();
  const std::uint32_t count = opened.window() == nullptr ? 0 : opened.window()->size();
  while (!queue_.empty() && queue_.front().sequence != 0 && queue_.front().sequence <= stored_) {
    ProducerBatch batch = extract(0);
    const std::uint32_t back = stored_ - batch.sequence;
    if (back >= count) {
      finish_failed(std::move(batch), ErrorCode::kSequenceOld);
      continue;
    }
    const proto::Stored* entry = opened.window()->Get(count - 1 - back);
    finish_stored(std::move(batch), entry->first_index(), entry->arrival_ms());
  }
  if (!opened.closed()) return renumber();
  for (ProducerBatch& batch : queue_) batch.in_doubt = batch.in_doubt && !idempotent();
  leave();
  resolved_ = true;
  engine_.need_map(message.header.map_epoch, now);
}

void ProducerLane::on_not_opened(const proto::DecodedMessage& message, Nanos now) {
  const auto code = static_cast<ErrorCode>(failure_of(message).code());
  leave();
  wait(failure_of(message).retry_after_ms(), now);
  engine_.need_map(message.header.map_epoch, now);
  if (code == ErrorCode::kProducerFenced) return engine_.fence(now);
  if (code == ErrorCode::kProducerUnknown || code == ErrorCode::kNotFound) {
    if (idempotent()) become_another();
    // It closed without a batch of ours, or is gone: there is nothing to hear of it.
    if (resolving_) resolved_ = true;
  } else if (code != ErrorCode::kWrongShard && !passes(code)) {
    fail_all(code);
  }
}

// --- Batches --------------------------------------------------------------------------------------

void ProducerLane::on_stored(std::size_t at, const proto::PutResult& result) {
  ProducerBatch batch = extract(at);
  stored_ = std::max(stored_, batch.sequence);
  if (result.duplicate()) ++engine_.counters().batches_repeated;
  finish_stored(std::move(batch), result.first_index(), result.arrival_ms());
}

void ProducerLane::on_refused(std::size_t at, const proto::DecodedMessage& message, Nanos now) {
  const proto::Failure& failure = failure_of(message);
  const auto code = static_cast<ErrorCode>(failure.code());
  ProducerBatch& batch = queue_[at];
  batch.request = 0;
  --under_way_;
  halted_ = true;
  ++(code == ErrorCode::kThrottled ? engine_.counters().batches_throttled
                                   : engine_.counters().batches_refused);
  switch (code) {
    case ErrorCode::kSequenceGap:
      // Before the first of ours there is nothing that could be missing.
      if (at == 0 && batch.sequence == stored_ + 1) reopen_ = true;
      return;
    case ErrorCode::kUnknownOutcome:
      batch.in_doubt = true;
      reopen_ = idempotent();
      return wait(failure.retry_after_ms(), now);
    case ErrorCode::kProducerUnknown:
      forgotten_ = true;
      return;
    case ErrorCode::kProducerFenced:
      refuse_for_good(at, code, UINT32_MAX);
      return engine_.fence(now);
    case ErrorCode::kWrongShard:
      wait(failure.retry_after_ms(), now);
      return engine_.need_map(message.header.map_epoch, now);
    case ErrorCode::kSequenceOld:
      stored_ = std::max(stored_, batch.sequence);
      return refuse_for_good(at, code, UINT32_MAX);
    default:
      if (passes(code)) return wait(failure.retry_after_ms(), now);
      return refuse_for_good(at, code, failure.record());
  }
}

// A batch, or its one record that the server names, gets this for its result. The others are sent again.
void ProducerLane::refuse_for_good(std::size_t at, ErrorCode code, std::uint32_t record) {
  ProducerBatch& batch = queue_[at];
  if (!idempotent()) code = batch.verdict(code);  // another copy may have been taken
  if (record >= batch.size() || batch.size() == 1) {
    return finish_failed(extract(at), code);
  }
  const RecordView view = batch.bytes->record(record);
  PutDone done = std::move(batch.pending[record].done);
  const bool told = record < batch.told;
  const std::size_t cost = view.key.size() + view.data.size();
  batch.remove(record);
  if (!told) engine_.finish(done, cost, fail(code));
}

}  // namespace penstock::client::native
