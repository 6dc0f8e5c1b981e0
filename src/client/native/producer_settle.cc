// Sequences, epochs and doubt: what is done when nothing is under way.
#include "base/assert.h"
#include "client/native/producer_engine.h"
#include "client/native/producer_lane.h"

#include <algorithm>
#include <utility>

namespace penstock::client::native {

// All that was under way when the lane halted is answered.
void ProducerLane::take_turn(Nanos now) {
  halted_ = false;
  if (forgotten_) become_another();
  const bool sent =
      std::ranges::any_of(queue_, [](const ProducerBatch& batch) { return batch.sequence != 0; });
  // The server takes batches one after the other: what is in front of one that is stored is stored, too, by a
  // copy that was sent before this one was refused. The opening says where.
  reopen_ = reopen_ || std::ranges::any_of(queue_, [this](const ProducerBatch& batch) {
              return batch.sequence != 0 && batch.sequence <= stored_;
            });
  if (resolving_ && !sent) {
    leave();
    resolved_ = true;
  } else if (resolving_ || reopen_) {
    if (state_ == State::kOpen) ended_ = now;  // so far the server has known the producer
    leave();
  } else {
    renumber();
  }
  reopen_ = false;
}

bool ProducerLane::doubt_from(std::size_t at) const {
  return std::any_of(queue_.begin() + static_cast<std::ptrdiff_t>(at), queue_.end(),
                     [](const ProducerBatch& batch) { return batch.in_doubt; });
}

// Closes the gaps that batches have left which will not be sent again. A batch in doubt keeps its number, since a copy
// of it may still come: so behind a gap it goes in a new epoch, and waits until those in front of it are settled.
void ProducerLane::renumber() {
  PENSTOCK_ASSERT(under_way_ == 0);
  for (std::size_t at = 0; at < queue_.size();) {
    if (changeable(queue_[at])) queue_[at].drop_told();
    queue_[at].empty() ? static_cast<void>(extract(at)) : static_cast<void>(++at);
  }
  std::uint32_t expected = stored_ + 1;
  for (std::size_t at = 0; at < queue_.size() && queue_[at].sequence != 0; ++at, ++expected) {
    ProducerBatch& batch = queue_[at];
    batch.held = false;
    if (batch.sequence == expected) continue;
    if (doubt_from(at)) {
      batch.held = true;
      return;
    }
    batch.sequence = expected;
  }
  next_sequence_ = expected;
}

// Sequences from 1 again. Nothing in front of the first batch is open, so no copy of a batch in doubt can have been
// stored in the old epoch, or will be.
void ProducerLane::fresh_epoch() {
  PENSTOCK_ASSERT(under_way_ == 0);
  leave();
  ++epoch_;
  has_sent_ = false;
  stored_ = 0;
  next_sequence_ = 1;
  for (ProducerBatch& batch : queue_) {
    batch.sequence = 0;
    batch.in_doubt = batch.held = false;
  }
  renumber();
}

// The server does not know the producer: what is in doubt stays so, the rest goes under another name.
void ProducerLane::become_another() {
  PENSTOCK_ASSERT(under_way_ == 0);
  leave();
  forgotten_ = false;
  give_up_doubt();
  producer_ = engine_.new_producer();
  epoch_ = 1;
  has_sent_ = false;
  stored_ = 0;
  next_sequence_ = 1;
  for (ProducerBatch& batch : queue_) {
    batch.sequence = 0;
    batch.held = false;
  }
}

void ProducerLane::give_up_doubt() {
  for (std::size_t at = 0; at < queue_.size();) {
    if (queue_[at].certain()) {
      ++at;
    } else {
      finish_failed(extract(at), ErrorCode::kUnknownOutcome);
    }
  }
}

void ProducerLane::fail_all(ErrorCode others) {
  give_up_doubt();
  leave();
  while (!queue_.empty()) finish_failed(extract(0), others);
  const ErrorCode code = filling_.verdict(others);
  finish_failed(std::exchange(filling_, {}), code);
}

void ProducerLane::on_shard_closed(Nanos now) {
  if (resolved_) return;
  resolving_ = halted_ = true;
  not_before_ = std::min(not_before_, now);
}

std::vector<ProducerBatch> ProducerLane::take_rest() {
  PENSTOCK_ASSERT(under_way_ == 0);
  std::vector<ProducerBatch> rest;
  rest.reserve(queue_.size() + 1);
  for (ProducerBatch& batch : queue_) rest.push_back(std::move(batch));
  queue_.clear();
  rest.push_back(std::exchange(filling_, {}));
  return rest;
}

// --- Results --------------------------------------------------------------------------------------

ProducerBatch ProducerLane::extract(std::size_t at) {
  ProducerBatch batch = std::move(queue_[at]);
  queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(at));
  if (std::exchange(batch.request, 0) != 0) --under_way_;
  return batch;
}

void ProducerLane::finish_stored(ProducerBatch batch, std::uint64_t first_index,
                                 std::int64_t arrival_ms) {
  for (std::size_t i = batch.told; i < batch.size(); ++i) {
    const RecordView view = batch.bytes->record(i);
    const Stored stored{.shard = shard_.number,
                        .index = RecordIndex(first_index + i),
                        .arrival = WallMillis(arrival_ms),
                        .shard_created_second = shard_.created_second};
    engine_.finish(batch.pending[i].done, view.key.size() + view.data.size(), stored);
  }
  engine_.keep_spare(std::move(batch));
}

void ProducerLane::finish_failed(ProducerBatch batch, ErrorCode code) {
  for (std::size_t i = batch.told; i < batch.size(); ++i) {
    const RecordView view = batch.bytes->record(i);
    engine_.finish(batch.pending[i].done, view.key.size() + view.data.size(), fail(code));
  }
}

// --- Deadlines ------------------------------------------------------------------------------------

Nanos ProducerLane::expire(Nanos now) {
  Nanos next{INT64_MAX};
  for (ProducerBatch& batch : queue_) next = std::min(next, expire(batch, now));
  for (std::size_t at = 0; at < queue_.size();) {
    // One that has a number leaves a gap, which is closed before anything is sent.
    const bool over = changeable(queue_[at]) && queue_[at].empty();
    if (over && queue_[at].sequence != 0) halted_ = true;
    over ? static_cast<void>(extract(at)) : static_cast<void>(++at);
  }
  return std::min(next, expire(filling_, now));
}

Nanos ProducerLane::expire(ProducerBatch& batch, Nanos now) {
  const ErrorCode code = batch.verdict(engine_.expiry());
  while (batch.told < batch.size() && batch.pending[batch.told].deadline <= now) {
    const RecordView view = batch.bytes->record(batch.told);
    PutDone done = std::move(batch.pending[batch.told++].done);
    engine_.finish(done, view.key.size() + view.data.size(), fail(code));
  }
  if (changeable(batch)) batch.drop_told();
  return batch.told < batch.size() ? batch.pending[batch.told].deadline : Nanos(INT64_MAX);
}

}  // namespace penstock::client::native
