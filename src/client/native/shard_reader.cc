#include "client/native/shard_reader.h"

#include "client/native/consumer_engine.h"
#include "client/native/shard_words.h"

#include <algorithm>
#include <utility>

namespace penstock::client::native {

using proto::MessageKind;
using transport::CloseCode;

ShardReader::ShardReader(ConsumerEngine& engine, const route::ShardRoute& shard,
                         const StartAt& start)
    : engine_(engine), shard_(shard), start_(start), credit_(engine.settings().credit_bytes) {
  if (start.kind == StartAt::Kind::kIndex) next_ = start.index.raw();
}

ShardReader::~ShardReader() { leave(); }

void ShardReader::leave() {
  if (lane_ != 0) engine_.link().reset_lane(lane_);
  lane_ = 0;
  asked_ = false;
  if (state_ == State::kReading) state_ = State::kIdle;
}

void ShardReader::pump(Nanos now) {
  if (!engine_.link().open() || now < not_before_) return;
  if (state_ == State::kIdle) return open(now);
  if (state_ == State::kReading && engine_.settings().polling && !asked_) get();
}

Nanos ShardReader::next_deadline() const {
  const bool idle = state_ == State::kIdle ||
                    (state_ == State::kReading && engine_.settings().polling && !asked_);
  return idle && engine_.link().open() ? not_before_ : Nanos(INT64_MAX);
}

void ShardReader::open(Nanos now) {
  const bool polling = engine_.settings().polling;
  lane_ = engine_.link().open_lane(
      {.priority = transport::Priority::kTail, .own_account = !polling}, *this);
  if (lane_ == 0) return go_without_lane(kRetryNanos, now);
  state_ = State::kReading;
  polling ? get() : subscribe();
}

void ShardReader::go_without_lane(std::int64_t retry_nanos, Nanos now) {
  not_before_ = now + retry_nanos;
  if (!tell_laneless_) tell_laneless_ = now + kLanelessNanos;
  if (now < *tell_laneless_) return;
  tell_laneless_ = Nanos(INT64_MAX);
  engine_.problem(shard_.number, Error{ErrorCode::kOverloaded});
}

proto::Position ShardReader::position() const {
  if (next_) return {*next_, 0, proto::From::Index};
  switch (start_.kind) {
    case StartAt::Kind::kLatest:
      return {0, 0, proto::From::Latest};
    case StartAt::Kind::kTime:
      return {0, start_.time.raw(), proto::From::Time};
    default:
      return {0, 0, proto::From::Horizon};
  }
}

void ShardReader::subscribe() {
  flatbuffers::FlatBufferBuilder table;
  const auto name = table.CreateString(engine_.settings().stream);
  const proto::Position from = position();
  table.Finish(proto::CreateSubscribe(table, name, shard_.number.raw(), &from,
                                      engine_.settings().delivery_bytes));
  Link& link = engine_.link();
  link.send(lane_, {.kind = MessageKind::kSubscribe, .request = link.next_request()}, table);
  taken_ = 0;
  link.grant(lane_, credit_);
  ++engine_.counters().subscriptions;
}

void ShardReader::get() {
  asked_ = true;
  flatbuffers::FlatBufferBuilder table;
  const auto name = table.CreateString(engine_.settings().stream);
  const proto::Position from = position();
  const ConsumerSettings& settings = engine_.settings();
  table.Finish(proto::CreateGet(table, name, shard_.number.raw(), &from, settings.delivery_bytes,
                                settings.get_records, settings.poll_wait_ms));
  Link& link = engine_.link();
  link.send(lane_, {.kind = MessageKind::kGet, .request = link.next_request()}, table);
}

void ShardReader::on_message(const proto::DecodedMessage& message, Nanos now) {
  if (engine_.stopped()) return;
  tell_laneless_.reset();
  const auto bytes = static_cast<std::uint64_t>(proto::kMessageHeaderBytes + message.table.size() +
                                                message.attachment.size());
  taken_ += round_up(bytes, std::uint64_t{8});
  switch (message.header.kind) {
    case MessageKind::kSubscribed: {
      const auto& subscribed = *flatbuffers::GetRoot<proto::Subscribed>(message.table.data());
      if (StreamUid(subscribed.stream()) != engine_.uid()) {
        // Another stream of this name, of which the map is on its way: there the position means nothing.
        leave();
        not_before_ = now + kRetryNanos;
        return engine_.need_newer_map(now);
      }
      next_ = subscribed.next();
      engine_.note(shard_.number, *next_, false);
      break;
    }
    case MessageKind::kDelivery: {
      const auto& delivered = *flatbuffers::GetRoot<proto::Delivered>(message.table.data());
      deliver(message.attachment, delivered.from(), delivered.next(), delivered.millis_behind());
      break;
    }
    case MessageKind::kShardEnd: {
      const auto& over = *flatbuffers::GetRoot<proto::ShardEnd>(message.table.data());
      next_ = over.next();
      return end(over.children(), now);
    }
    case MessageKind::kGot: {
      const auto& got = *flatbuffers::GetRoot<proto::Got>(message.table.data());
      asked_ = false;
      // A server that does not wait where there is nothing is not asked at once again.
      if (got.next() == got.from()) not_before_ = now + kRetryNanos;
      deliver(message.attachment, got.from(), got.next(), got.millis_behind());
      if (got.end() && !engine_.stopped()) return end(got.children(), now);
      break;
    }
    case MessageKind::kFailed:
      return on_failed(message, now);
    default:
      break;
  }
  if (state_ == State::kReading && !engine_.settings().polling) {
    engine_.link().grant(lane_, taken_ + credit_);
  }
}

void ShardReader::deliver(std::span<const std::byte> batches, std::uint64_t from,
                          std::uint64_t next, std::int64_t millis_behind) {
  const std::uint64_t wanted = std::max(from, next_.value_or(from));
  engine_.counters().bytes += batches.size();
  records_.clear();
  while (!batches.empty()) {
    const auto batch = StoredBatch::open(batches, batches);
    if (!batch) {
      engine_.problem(shard_.number, batch.error());
      break;
    }
    for (std::uint32_t i = 0; i < batch->count(); ++i) {
      const RecordIndex index = batch->first() + i;
      if (index.raw() < wanted || index.raw() >= next) continue;
      const RecordView view = batch->record(i);
      records_.push_back({.key = view.key,
                          .data = view.data,
                          .index = index,
                          .arrival = batch->arrival(),
                          .hash_high = view.hash.high,
                          .hash_low = view.hash.low});
    }
  }
  next_ = std::max(wanted, next);
  if (!records_.empty()) {
    engine_.hand_on({.shard = shard_.number,
                     .shard_created_second = shard_.created_second,
                     .records = records_,
                     .next = RecordIndex(*next_),
                     .millis_behind = millis_behind});
  }
  engine_.note(shard_.number, *next_, false);
  if (millis_behind > 0 || std::exchange(caught_up_, true)) return;
  engine_.check_caught_up();
}

void ShardReader::end(const flatbuffers::Vector<flatbuffers::Offset<proto::Shard>>* children,
                      Nanos now) {
  leave();
  state_ = State::kEnded;
  engine_.note(shard_.number, next_.value_or(0), true);
  std::vector<route::ShardRoute> shards;
  if (children != nullptr) {
    for (const proto::Shard* child : *children) shards.push_back(shard_of(*child));
  }
  engine_.on_end(shard_.number, shards, now);
}

void ShardReader::vanish(Nanos now) {
  engine_.problem(shard_.number, Error{ErrorCode::kNotFound});
  end(nullptr, now);
}

void ShardReader::on_failed(const proto::DecodedMessage& message, Nanos now) {
  const auto& failure = *flatbuffers::GetRoot<proto::Failure>(message.table.data());
  const auto code = static_cast<ErrorCode>(failure.code());
  leave();
  not_before_ =
      now + (failure.retry_after_ms() > 0 ? std::int64_t{failure.retry_after_ms()} * kNanosPerMilli
                                          : kRetryNanos);
  if (code == ErrorCode::kDataLoss) {
    next_ = std::max(failure.next(), next_.value_or(0));
    not_before_ = now;
    engine_.note(shard_.number, *next_, false);
  }
  if (code == ErrorCode::kNotFound || code == ErrorCode::kWrongShard) engine_.need_newer_map(now);
  if (!retryable(code)) engine_.problem(shard_.number, Error{code});
}

void ShardReader::on_lane_end(CloseCode code, bool lost, Nanos now) {
  lane_ = 0;
  asked_ = false;
  if (state_ == State::kReading) state_ = State::kIdle;
  if (lost) return tell_laneless_.reset();
  if (code == CloseCode::kOverloaded) return go_without_lane(kOverloadedNanos, now);
  not_before_ = now + kRetryNanos;
  if (code == CloseCode::kGone) engine_.need_newer_map(now);
  // One batch may be larger than all that was granted.
  if (code == CloseCode::kSlow) credit_ = std::min(credit_ * 2, std::max(kCreditMax, credit_));
}

}  // namespace penstock::client::native
