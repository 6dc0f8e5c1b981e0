// Lanes of gets: what a client asks for, and what it is answered. How a reader goes on is in
// conversation_read.cc.
#include "net/conversation.h"
#include "net/shard_table.h"

#include <algorithm>
#include <utility>

namespace penstock::net {

using proto::MessageKind;
using transport::CloseCode;

namespace {

constexpr std::uint32_t kGetsWaitingMax = 64;
// Of one client, with those that have been forgotten and end in some seconds.
constexpr std::size_t kUnderWayMax = 4096;
constexpr std::uint32_t kOverloadedRetryMs = 1000;
constexpr std::size_t kDeliveryBytes = std::size_t{256} * kKiB;
constexpr std::size_t kGotBytes = std::size_t{1} * kMiB;
constexpr std::size_t kDeliveryBytesMax = std::size_t{4} * kMiB;
constexpr std::int64_t kWaitMillisMax = 20'000;

std::size_t aimed_at(std::uint32_t asked, std::size_t usual) {
  return asked == 0 ? usual : std::min<std::size_t>(asked, kDeliveryBytesMax);
}

}  // namespace

ReadOperation* Conversation::begin_read(std::uint32_t id, std::uint64_t request,
                                        std::string_view name, std::uint32_t number,
                                        const proto::Position* from) {
  const auto refuse = [&](const Failing& failing) {
    fail(id, request, failing);
    return nullptr;
  };
  const auto lane = lanes_.find(id);
  if (lane != lanes_.end() && (lane->second.kind != LaneKind::kGet || lane->second.reader)) {
    return refuse({.code = ErrorCode::kConflict, .text = "the lane is for something else"});
  }
  if (under_way_ >= kUnderWayMax) {
    return refuse({.code = ErrorCode::kOverloaded,
                   .text = "too many reads of this client are under way",
                   .retry_after_ms = kOverloadedRetryMs});
  }
  const route::StreamRoute* stream = shared_.data.routes()->find(name);
  if (stream == nullptr) {
    return refuse({.code = ErrorCode::kNotFound, .text = "there is no stream of this name"});
  }
  if (stream->find(ShardNumber(number)) == nullptr) {
    return refuse({.code = ErrorCode::kNotFound, .text = "the stream has no shard of this number"});
  }
  if (from == nullptr || from->from() > proto::From::Time) {
    return refuse({.code = ErrorCode::kMalformed, .text = "a position says where to begin"});
  }
  ReadOperation& reader = shared_.operations.reads.take();
  PENSTOCK_ASSERT(!reader.buffer);
  reader.conversation = this;
  reader.lane = id;
  reader.asked = request;
  reader.stream = name;
  reader.subscription = false;
  reader.until = Nanos{};
  reader.at = RecordIndex(from->index());
  reader.by_time = from->from() == proto::From::Time;
  reader.time = WallMillis(from->time_ms());
  reader.records = UINT32_MAX;
  reader.phase = ReadPhase::kServed;
  reader.request = {};
  reader.request.shard = {stream->uid, ShardNumber(number)};
  reader.request.done = &Conversation::read_done;
  reader.request.context = &reader;
  switch (from->from()) {
    case proto::From::Index:
      reader.request.start = shard::ReadStart::kIndex;
      break;
    case proto::From::Horizon:
      reader.request.start = shard::ReadStart::kTrimHorizon;
      break;
    case proto::From::Latest:
      reader.request.start = shard::ReadStart::kLatest;
      break;
    case proto::From::Time:
      reader.request.start = shard::ReadStart::kTimestamp;
      break;
  }
  lanes_[id].kind = LaneKind::kGet;
  return &reader;
}

void Conversation::subscribe(std::uint32_t id, const proto::DecodedMessage& message, Nanos now) {
  const auto& asked = *flatbuffers::GetRoot<proto::Subscribe>(message.table.data());
  ReadOperation* const reader =
      begin_read(id, message.header.request, view(asked.stream()), asked.shard(), asked.position());
  if (reader == nullptr) return;
  reader->subscription = true;
  reader->aimed = aimed_at(asked.delivery_bytes(), kDeliveryBytes);
  reader->bytes = reader->room();
  reader->request.push = true;
  lanes_.at(id).reader = reader;
  peer_.session().set_lane(id, {.priority = transport::Priority::kTail, .own_account = true});
  ask(*reader, ReadStep::kResolve, now);
}

void Conversation::get(std::uint32_t id, const proto::DecodedMessage& message, Nanos now) {
  const auto& asked = *flatbuffers::GetRoot<proto::Get>(message.table.data());
  const auto at = lanes_.find(id);
  if (at != lanes_.end() && at->second.waiting == kGetsWaitingMax) {
    return violate(CloseCode::kProtocol, "too many gets without an answer on one lane");
  }
  ReadOperation* const reader =
      begin_read(id, message.header.request, view(asked.stream()), asked.shard(), asked.position());
  if (reader == nullptr) return;
  ++lanes_.at(id).waiting;
  reader->aimed = aimed_at(asked.bytes_max(), kGotBytes);
  reader->bytes = reader->room();
  if (asked.records_max() > 0) reader->records = asked.records_max();
  reader->until = now + std::min<std::int64_t>(asked.wait_ms(), kWaitMillisMax) * kNanosPerMilli;
  ask(*reader, ReadStep::kResolve, now);
}

// --- Answers ------------------------------------------------------------------------------------

// What was read goes out; the reader begins the next in other memory.
void Conversation::send_read(ReadOperation& reader, Answer& answer, Nanos now) {
  Lane& lane = lanes_.at(reader.lane);
  ++lane.queued;
  if (reader.sink.used() > 0) {
    if (lane.queued_bytes == 0) lane.queued_since = now;
    lane.queued_bytes += reader.sink.used();
    Answers::attach(answer, std::exchange(reader.buffer, {}), reader.sink.used());
  }
  shared_.counters.records_out += reader.sink.records();
  reply(reader.lane, answer);
}

void Conversation::deliver(ReadOperation& reader, Nanos now) {
  const shard::ReadRequest& request = reader.request;
  const bool empty = reader.sink.used() == 0;
  flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
  table.Finish(proto::CreateDelivered(table, empty ? request.next.raw() : reader.sink.first().raw(),
                                      request.next.raw(),
                                      std::max<std::int64_t>(request.millis_behind, 0)));
  ++shared_.counters.deliveries;
  lanes_.at(reader.lane).catches_up = request.from_device;
  peer_.session().set_priority(reader.lane, request.from_device ? transport::Priority::kCatchUp
                                                                : transport::Priority::kTail);
  send_read(reader,
            shared_.answers.make(
                {.kind = MessageKind::kDelivery, .request = reader.asked, .map_epoch = epoch()}),
            now);
}

void Conversation::answer_get(ReadOperation& reader, Nanos now) {
  const shard::ReadRequest& request = reader.request;
  const bool empty = reader.sink.used() == 0;
  flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
  std::vector<flatbuffers::Offset<proto::Shard>> children;
  // As in GetRecords: who is told that a shard has ended is told of its children.
  if (request.at_end) {
    for (const route::ShardRoute* shard : children_of(reader)) {
      children.push_back(write_shard(table, *shard));
    }
  }
  const auto list = table.CreateVector(children);
  table.Finish(proto::CreateGot(
      table, empty ? request.next.raw() : reader.sink.first().raw(), request.next.raw(),
      std::max<std::int64_t>(request.millis_behind, 0), !children.empty(), list));
  --lanes_.at(reader.lane).waiting;
  send_read(reader,
            shared_.answers.make(
                {.kind = MessageKind::kGot, .request = reader.asked, .map_epoch = epoch()}),
            now);
  drop(reader);
}

void Conversation::tell_loss(ReadOperation& reader, RecordIndex from) {
  if (reader.subscription) ++lanes_.at(reader.lane).queued;
  fail(reader.lane, reader.asked,
       {.code = ErrorCode::kDataLoss, .from = from.raw(), .next = reader.request.next.raw()});
}

std::vector<const route::ShardRoute*> Conversation::children_of(const ReadOperation& reader) const {
  std::vector<const route::ShardRoute*> children;
  const route::StreamRoute* stream = find(reader.stream, reader.request.shard.stream);
  if (stream == nullptr) return children;
  const ShardNumber parent = reader.request.shard.shard;
  for (const route::ShardRoute& shard : stream->shards) {
    if (shard.parent == parent || shard.adjacent_parent == parent) children.push_back(&shard);
  }
  return children;
}

// Everything has been delivered. Between a parent's close and the map that shows its children there is
// nothing to tell yet.
void Conversation::end_of_shard(ReadOperation& reader, Nanos now) {
  const auto children = children_of(reader);
  if (children.empty()) return wait_for(reader, ReadPhase::kMap, now);
  flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
  std::vector<flatbuffers::Offset<proto::Shard>> list;
  for (const route::ShardRoute* shard : children) list.push_back(write_shard(table, *shard));
  const auto written = table.CreateVector(list);
  table.Finish(proto::CreateShardEnd(table, reader.at.raw(), written));
  reply(reader.lane,
        shared_.answers.make(
            {.kind = MessageKind::kShardEnd, .request = reader.asked, .map_epoch = epoch()}));
  lanes_.at(reader.lane).reader = nullptr;
  drop(reader);
}

}  // namespace penstock::net
