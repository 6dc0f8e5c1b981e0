// How a reader goes on: it watches the shard until there is something, takes memory for it, reads, and
// hands over; a subscription begins again, one delivery ahead of what the client has taken.
#include "base/assert.h"
#include "net/conversation.h"

#include <algorithm>
#include <utility>

namespace penstock::net {

using proto::MessageKind;
using transport::CloseCode;

namespace {

// Deliveries of a subscription that are not all sent: one on its way, one behind it.
constexpr std::uint32_t kQueuedMax = 2;
constexpr std::int64_t kShortWaitNanos = 100 * kNanosPerMilli;
constexpr std::int64_t kNoCreditNanos = 30 * kNanosPerSecond;
// For the word that there is nothing yet.
constexpr std::int64_t kFirstCreditNanos = 1 * kNanosPerSecond;
// What is queued may take so long, and while others wait for its memory; and for each 64 KiB a second more.
constexpr std::int64_t kPatienceNanos = 30 * kNanosPerSecond;
constexpr std::int64_t kHasteNanos = 2 * kNanosPerSecond;
constexpr std::uint64_t kBytesPerSecond = std::uint64_t{64} * kKiB;
constexpr std::uint32_t kThrottledRetryMs = 200;  // five transactions a second

}  // namespace

void Conversation::ask(ReadOperation& reader, ReadStep step, Nanos now) {
  shard::ReadRequest& request = reader.request;
  const route::StreamRoute* stream = find(reader.stream, request.shard.stream);
  const route::ShardRoute* shard = stream == nullptr ? nullptr : stream->find(request.shard.shard);
  if (shard == nullptr) {
    request.outcome = penstock::fail(ErrorCode::kNotFound);
    return read_failed(reader, now);
  }
  reader.step = step;
  wait_for(reader, ReadPhase::kAnswer, now);
  request.owner = shard->core;
  request.sink = step == ReadStep::kRead ? &reader.sink : nullptr;
  request.wait_until = Nanos{};
  if (step == ReadStep::kWatch) {
    request.wait_until = reader.subscription ? runtime::kNever : reader.until;
  }
  // Where it resolves, it begins as it was asked to.
  if (step != ReadStep::kResolve) {
    request.start = reader.by_time ? shard::ReadStart::kTimestamp : shard::ReadStart::kIndex;
  }
  request.index = reader.at;
  request.timestamp = reader.time;
  ++under_way_;
  shared_.data.read(request, now);
}

void Conversation::read_done(shard::ReadRequest& request, Nanos now) {
  auto& reader = *static_cast<ReadOperation*>(request.context);
  Conversation& self = *reader.conversation;
  --self.under_way_;
  reader.phase = ReadPhase::kServed;
  if (!self.lanes_.contains(reader.lane)) {  // nobody waits for it any more
    self.drop(reader);
  } else {
    self.on_read(reader, now);
  }
  self.serve(now);
}

void Conversation::on_read(ReadOperation& reader, Nanos now) {
  const bool lost =
      !reader.request.outcome && reader.request.outcome.error().code == ErrorCode::kDataLoss;
  if (!reader.request.outcome && !lost) return read_failed(reader, now);
  switch (reader.step) {
    case ReadStep::kResolve:
      return resolved(reader, now);
    case ReadStep::kWatch:
      return watched(reader, now);
    case ReadStep::kRead:
      return have_read(reader, now);
  }
}

void Conversation::resolved(ReadOperation& reader, Nanos now) {
  reader.at = reader.request.next;
  if (reader.subscription) {
    flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
    table.Finish(
        proto::CreateSubscribed(table, reader.request.shard.stream.raw(), reader.at.raw()));
    reply(reader.lane,
          shared_.answers.make(
              {.kind = MessageKind::kSubscribed, .request = reader.asked, .map_epoch = epoch()}));
  }
  watched(reader, now);
}

void Conversation::watch(ReadOperation& reader, Nanos now) {
  if (shared_.stopping && reader.subscription) return wait_for(reader, ReadPhase::kLater, now);
  ask(reader, ReadStep::kWatch, now);
}

// Either there is something, or there will be nothing more, or nothing has come.
void Conversation::watched(ReadOperation& reader, Nanos now) {
  const shard::ReadRequest& request = reader.request;
  reader.at = request.next;
  if (request.millis_behind > 0) return want_read(reader, now);
  reader.sink = {};
  // The wait of a core that stops: others are some seconds.
  const bool cut_short = reader.step == ReadStep::kWatch && now - reader.since < kShortWaitNanos;
  if (!reader.subscription) {
    const bool over = request.at_end || cut_short || now >= reader.until;
    return over ? answer_get(reader, now) : watch(reader, now);
  }
  if (request.at_end) return end_of_shard(reader, now);
  if (cut_short) return wait_for(reader, ReadPhase::kLater, now);
  // A subscriber hears at the beginning, too, that it has everything. Its credit may be on the way.
  const bool first = reader.step == ReadStep::kResolve;
  const bool credit = peer_.session().credit(reader.lane) > 0;
  if (first && !credit) return wait_for(reader, ReadPhase::kCredit, now);
  if (credit && (first || lanes_.at(reader.lane).queued == 0)) deliver(reader, now);
  watch(reader, now);
}

void Conversation::want_read(ReadOperation& reader, Nanos now) {
  if (reader.subscription) {
    if (shared_.stopping) return wait_for(reader, ReadPhase::kLater, now);
    if (lanes_.at(reader.lane).queued >= kQueuedMax) {
      return wait_for(reader, ReadPhase::kQueue, now);
    }
    if (peer_.session().credit(reader.lane) == 0) return wait_for(reader, ReadPhase::kCredit, now);
  }
  MemoryQueue& others = shared_.operations.memory_wanted;
  if (others.empty() && shared_.deliveries.has_room(reader.bytes)) return read(reader, now);
  // Reading ahead is for memory that nobody wants: a subscription never waits for some while it holds some.
  const bool ahead = reader.subscription && lanes_.at(reader.lane).queued_bytes > 0;
  if (ahead) return wait_for(reader, ReadPhase::kQueue, now);
  ++under_way_;
  wait_for(reader, ReadPhase::kMemory, now);
  others.push_back(reader);
}

void Conversation::on_memory(ReadOperation& reader, Nanos now) {
  --under_way_;
  reader.phase = ReadPhase::kServed;
  read(reader, now);
  serve(now);
}

void Conversation::read(ReadOperation& reader, Nanos now) {
  reader.buffer = shared_.deliveries.take(reader.bytes);
  PENSTOCK_ASSERT(reader.buffer);
  const auto room = std::as_writable_bytes(std::span(reader.buffer.data, reader.buffer.bytes));
  reader.sink = DeliverySink(room.first(reader.bytes), reader.aimed, reader.records);
  ask(reader, ReadStep::kRead, now);
}

void Conversation::have_read(ReadOperation& reader, Nanos now) {
  const shard::ReadRequest& request = reader.request;
  const RecordIndex from = std::exchange(reader.at, request.next);
  if (reader.sink.used() == 0) shared_.deliveries.give(reader.buffer);
  reader.request.push = true;  // where a get reads on, it has been counted
  if (reader.sink.wanted() > 0) {
    reader.bytes = reader.sink.wanted();
    return want_read(reader, now);
  }
  reader.bytes = reader.room();
  const bool moved = reader.sink.used() > 0 || request.next > from;
  if (moved) reader.by_time = false;
  const bool lost = !request.outcome;
  if (!reader.subscription) {
    if (lost && reader.sink.used() == 0) {
      tell_loss(reader, from);
      --lanes_.at(reader.lane).waiting;
      return drop(reader);
    }
    // What was passed over had expired, or came before the time that is meant.
    const bool nothing = moved && reader.sink.used() == 0 && request.millis_behind > 0;
    return nothing ? want_read(reader, now) : answer_get(reader, now);
  }
  if (reader.sink.used() > 0) deliver(reader, now);
  if (lost) tell_loss(reader, from);
  if (request.at_end) return end_of_shard(reader, now);
  // Never twice in a turn for nothing.
  if (!moved && !lost) return wait_for(reader, ReadPhase::kLater, now);
  request.millis_behind > 0 || lost ? want_read(reader, now) : watch(reader, now);
}

void Conversation::read_failed(ReadOperation& reader, Nanos now) {
  shared_.deliveries.give(reader.buffer);
  const ErrorCode code = reader.request.outcome.error().code;
  if (reader.subscription && code == ErrorCode::kThrottled) {
    return wait_for(reader, ReadPhase::kLater, now);
  }
  if (reader.subscription) {
    const bool gone = code == ErrorCode::kNotFound;
    return end_lane(reader.lane, CloseCode::kGone,
                    gone ? "the shard does not exist any more" : penstock::text(code));
  }
  fail(reader.lane, reader.asked,
       {.code = code, .retry_after_ms = code == ErrorCode::kThrottled ? kThrottledRetryMs : 0});
  --lanes_.at(reader.lane).waiting;
  drop(reader);
}

// --- What wakes it --------------------------------------------------------------------------------

void Conversation::wait_for(ReadOperation& reader, ReadPhase phase, Nanos now) {
  reader.phase = phase;
  reader.since = now;
}

// Credit came, or all that was queued was sent.
void Conversation::on_lane_ready(std::uint32_t id, bool sent, Nanos now) {
  const auto at = lanes_.find(id);
  if (at == lanes_.end()) return;
  Lane& lane = at->second;
  if (sent) {
    lane.queued = 0;
    lane.queued_bytes = 0;
  }
  if (lane.reader == nullptr) return;
  ReadOperation& reader = *lane.reader;
  if (reader.phase != (sent ? ReadPhase::kQueue : ReadPhase::kCredit)) return;
  reader.step == ReadStep::kResolve ? watched(reader, now) : want_read(reader, now);
}

bool Conversation::slow(const Lane& lane, Nanos now) const {
  if (lane.queued_bytes == 0) return false;
  const bool haste = !shared_.operations.memory_wanted.empty();
  // What is behind waits for what is not, however long, as far as the client takes that and nobody wants the memory.
  if (lane.catches_up && !haste && !peer_.stalled(now)) return false;
  const std::int64_t due =
      (haste ? kHasteNanos : kPatienceNanos) +
      static_cast<std::int64_t>(lane.queued_bytes / kBytesPerSecond) * kNanosPerSecond;
  return now - lane.queued_since >= due;
}

void Conversation::tick_lanes(Nanos now) {
  for (auto at = lanes_.begin(); at != lanes_.end();) {
    const auto lane = at++;  // it may end
    if (slow(lane->second, now)) {
      ++shared_.counters.readers_slow;
      // A reset would leave what is on its way where it is, memory and all.
      if (peer_.stalled(now)) return violate(CloseCode::kSlow, "what was read is not taken");
      end_lane(lane->first, CloseCode::kSlow, "what was read is not taken");
    } else if (lane->second.reader != nullptr) {
      tick_reader(lane->first, *lane->second.reader, now);
    }
  }
}

void Conversation::tick_reader(std::uint32_t id, ReadOperation& reader, Nanos now) {
  switch (reader.phase) {
    case ReadPhase::kQueue:
      if (lanes_.at(id).queued_bytes > 0) return;  // that has a patience of its own
      [[fallthrough]];
    case ReadPhase::kCredit:
      if (reader.step == ReadStep::kResolve && reader.request.millis_behind == 0) {
        return now - reader.since < kFirstCreditNanos ? void() : watch(reader, now);
      }
      if (now - reader.since < kNoCreditNanos) return;
      ++shared_.counters.readers_slow;
      return end_lane(id, CloseCode::kSlow, "records wait, and there was no credit for 30 s");
    case ReadPhase::kLater:
      return watch(reader, now);
    case ReadPhase::kMap:
      if (find(reader.stream, reader.request.shard.stream) == nullptr) {
        return end_lane(id, CloseCode::kGone, "the stream has been deleted");
      }
      // The close may have been taken back, and records have come since.
      return children_of(reader).empty() ? watch(reader, now) : end_of_shard(reader, now);
    default:
      return;
  }
}

// --- The end --------------------------------------------------------------------------------------

void Conversation::drop(ReadOperation& reader) {
  shared_.deliveries.give(reader.buffer);
  reader.conversation = nullptr;
  shared_.operations.reads.give(reader);
}

void Conversation::end_lane(Lanes::iterator lane) {
  const bool asked = lane->second.waiting > 0 || lane->second.reader != nullptr;
  drop_idle(lane->second);
  lanes_.erase(lane);
  if (asked) want_no_memory();
}

void Conversation::end_lanes() {
  for (auto& [id, lane] : lanes_) drop_idle(lane);
  lanes_.clear();
  want_no_memory();
}

// What is under way comes back and finds no lane.
void Conversation::drop_idle(Lane& lane) {
  ReadOperation* const reader = std::exchange(lane.reader, nullptr);
  if (reader == nullptr || reader->phase == ReadPhase::kAnswer) return;
  if (reader->phase != ReadPhase::kMemory) drop(*reader);
}

// Readers whose lanes have ended: they might wait for what is queued for their own client.
void Conversation::want_no_memory() {
  MemoryQueue& wanted = shared_.operations.memory_wanted;
  for (ReadOperation* reader = wanted.front(); reader != nullptr;) {
    ReadOperation& one = *std::exchange(reader, reader->memory.next);
    if (one.conversation != this || lanes_.contains(one.lane)) continue;
    wanted.remove(one);
    --under_way_;
    drop(one);
  }
}

void Conversation::end_lane(std::uint32_t id, CloseCode code, std::string_view reason) {
  peer_.session().reset(id, code, reason);
  end_lane(lanes_.find(id));
}

}  // namespace penstock::net
