// Filling and sending. What is answered is in producer_answers.cc, what becomes of doubt in producer_settle.cc.
#include "client/native/producer_lane.h"

#include "base/assert.h"
#include "client/native/producer_engine.h"

#include <algorithm>
#include <utility>

namespace penstock::client::native {

using proto::MessageKind;

ProducerLane::ProducerLane(ProducerEngine& engine, const route::ShardRoute& shard, StreamUid stream,
                           std::uint64_t producer)
    : engine_(engine), shard_(shard), stream_(stream), producer_(producer) {}

ProducerLane::~ProducerLane() { leave(); }

void ProducerLane::append(NewRecord&& record, Nanos now) {
  const ProducerSettings& settings = engine_.settings();
  const std::size_t more = record.view.key.size() + record.view.data.size();
  const std::size_t with =
      BatchBytes::flat_bytes(filling_.size() + 1, filling_.bytes->bytes.size() + more);
  if (!filling_.empty() && with > settings.batch_bytes) seal();
  if (filling_.empty()) {
    filling_since_ = now;
    if (!filling_.has_room()) filling_ = engine_.spare_batch();
  }
  filling_.add(std::move(record));
  if (filling_.size() >= settings.batch_records || filling_.flat_bytes() >= settings.batch_bytes) {
    seal();
  }
}

void ProducerLane::seal() {
  queue_.push_back(std::exchange(filling_, {}));
  flushing_ = false;
}

void ProducerLane::flush() { flushing_ = !filling_.empty(); }

bool ProducerLane::filling_due(Nanos now) const {
  return !filling_.empty() &&
         (flushing_ || now >= filling_since_ + engine_.settings().linger_nanos);
}

void ProducerLane::pump(Nanos now) {
  if (resolved_) return;
  if (halted_ && under_way_ == 0 && now >= not_before_) take_turn(now);
  if (resolved_ || now < not_before_) return;
  if (state_ == State::kClosed && (!queue_.empty() || filling_due(now))) return open(now);
  if (state_ == State::kOpen && !halted_) send_more(now);
}

void ProducerLane::open(Nanos now) {
  Link& link = engine_.link();
  if (!link.open()) return;
  if (idempotent() && doubt_from(0) && now >= ended_ + kRememberedNanos) become_another();
  lane_ = link.open_lane({.priority = transport::Priority::kPut}, *this);
  if (lane_ == 0) {
    not_before_ = now + (engine_.free_lane(now) ? kFreedNanos : kRetryNanos);
    return;
  }
  state_ = State::kOpening;
  open_request_ = link.next_request();
  flatbuffers::FlatBufferBuilder table;
  const auto name = table.CreateString(engine_.settings().stream);
  const bool resume = idempotent() && has_sent_;
  table.Finish(proto::CreateOpenPut(table, name, shard_.number.raw(), producer_,
                                    idempotent() ? epoch_ : 0, resume));
  link.send(lane_, {.kind = MessageKind::kOpenPut, .request = open_request_}, table);
  ++engine_.counters().lanes_opened;
}

// The lane is ended, and will be opened again. REQUIRES: nothing is under way.
void ProducerLane::leave() {
  if (state_ != State::kClosed) engine_.link().reset_lane(lane_);
  state_ = State::kClosed;
  lane_ = 0;
}

bool ProducerLane::rest() {
  if (state_ != State::kOpen || !idle() || resolving_) return false;
  leave();
  return true;
}

bool ProducerLane::wants_epoch(const ProducerBatch& batch) const {
  const bool used_up = batch.sequence == 0 && next_sequence_ > engine_.settings().sequence_max;
  return batch.held || used_up;
}

// The server knows the last eight: one whose answer is late must stay among them.
bool ProducerLane::window_is_full() const {
  if (under_way_ == 0 || under_way_ == queue_.size()) return false;
  if (!idempotent()) return under_way_ == kWindow;
  const std::uint32_t next =
      queue_[under_way_].sequence != 0 ? queue_[under_way_].sequence : next_sequence_;
  return next - queue_.front().sequence >= kWindow;
}

void ProducerLane::send_more(Nanos now) {
  const flatbuffers::FlatBufferBuilder no_table;
  while (state_ == State::kOpen) {
    if (under_way_ == queue_.size()) {
      if (!filling_due(now)) return;
      seal();
    }
    ProducerBatch& batch = queue_[under_way_];
    PENSTOCK_ASSERT(batch.request == 0);
    if (wants_epoch(batch)) {
      if (under_way_ > 0) return;
      fresh_epoch();
      return open(now);
    }
    if (window_is_full()) return;
    if (!idempotent()) {
      if (batch.in_doubt) ++engine_.counters().batches_repeated;
    } else if (batch.sequence == 0) {
      batch.sequence = next_sequence_++;
    }
    batch.request = engine_.link().next_request();
    has_sent_ = true;
    ++under_way_;
    ++engine_.counters().batches_sent;
    engine_.link().send(
        lane_, {.kind = MessageKind::kPut, .request = batch.request, .sequence = batch.sequence},
        no_table, batch.bytes);
  }
}

Nanos ProducerLane::next_deadline() const {
  constexpr Nanos kNever{INT64_MAX};
  if (resolved_ || idle() || !engine_.link().open() || state_ == State::kOpening) return kNever;
  if (halted_) return under_way_ == 0 ? not_before_ : kNever;
  if (queue_.size() > under_way_) {
    const bool later = under_way_ > 0 && (window_is_full() || wants_epoch(queue_[under_way_]));
    return later ? kNever : not_before_;
  }
  if (filling_.empty()) return kNever;
  const Nanos due = flushing_ ? Nanos() : filling_since_ + engine_.settings().linger_nanos;
  return std::max(not_before_, due);
}

}  // namespace penstock::client::native
