// Lanes of puts: opened for one shard, perhaps for an idempotent producer, or for any; then batch
// after batch.
#include "base/assert.h"
#include "net/conversation.h"

#include <span>
#include <utility>

namespace penstock::net {

using proto::MessageKind;
using transport::CloseCode;

namespace {

constexpr std::uint32_t kAnyShard = UINT32_MAX;
constexpr std::uint32_t kWaitingMax = 64;
constexpr std::uint32_t kProducerWaitingMax = storage::ProducerState::kWindow;
// A guess at what a limit of a second needs.
constexpr std::uint32_t kThrottledRetryMs = 100;

std::uint32_t retry_after(ErrorCode code) {
  return code == ErrorCode::kThrottled || code == ErrorCode::kThrottledInCall ? kThrottledRetryMs
                                                                              : 0;
}

}  // namespace

// --- Opening ------------------------------------------------------------------------------------

bool Conversation::open_put(transport::IncomingMessage& incoming,
                            const proto::DecodedMessage& message, Nanos now) {
  const std::uint32_t id = incoming.lane;
  const auto& asked = *flatbuffers::GetRoot<proto::OpenPut>(message.table.data());
  const std::uint64_t request = message.header.request;
  const std::string name = asked.stream() == nullptr ? std::string() : asked.stream()->str();
  const route::StreamRoute* stream = shared_.data.routes()->find(name);
  if (stream == nullptr) {
    fail(id, request, {.code = ErrorCode::kNotFound, .text = "there is no stream of this name"});
    return false;
  }
  Lane lane{.mixed = asked.shard() == kAnyShard,
            .stream = stream->uid,
            .name = name,
            .shard = ShardNumber(asked.shard()),
            .producer = asked.producer(),
            .epoch = asked.epoch()};
  peer_.session().set_lane(id, {.priority = transport::Priority::kControl});
  if (lane.mixed) {
    if (lane.producer != 0) {
      fail(id, request,
           {.code = ErrorCode::kMalformed,
            .text = "a lane for any shard has no producer: order is a shard's"});
      return false;
    }
    lanes_[id] = std::move(lane);
    put_opened(id, request, {}, false);
    return false;
  }
  const route::ShardRoute* shard = stream->find(lane.shard);
  if (shard == nullptr) {
    fail(id, request,
         {.code = ErrorCode::kNotFound, .text = "the stream has no shard of this number"});
    return false;
  }
  const ShardKey key{lane.stream, lane.shard};
  const std::uint64_t producer = lane.producer;
  const std::uint32_t lives = lane.epoch;
  lanes_[id] = std::move(lane);
  if (producer == 0) {
    put_opened(id, request, {}, !shard->open);
    return false;
  }
  ProducerOperation& operation = shared_.operations.producers.take();
  ++under_way_;
  operation.conversation = this;
  operation.lane = id;
  operation.asked = request;
  operation.request = {};
  operation.request.shard = key;
  operation.request.owner = shard->core;
  operation.request.producer = producer;
  operation.request.epoch = lives;
  operation.request.resume = asked.resume();
  operation.request.deadline = now + shared_.options.put_deadline_nanos;
  operation.request.done = &Conversation::producer_opened;
  operation.request.context = &operation;
  operation.message = std::exchange(incoming, {});
  shared_.data.open_producer(operation.request, now);
  return true;
}

void Conversation::producer_opened(shard::ProducerRequest& request, Nanos now) {
  auto& operation = *static_cast<ProducerOperation*>(request.context);
  Conversation& self = *operation.conversation;
  --self.under_way_;
  if (request.closed && !self.shows_closed(operation)) {
    self.fail(operation.lane, operation.asked, {.code = ErrorCode::kWrongShard});
  } else if (request.outcome) {
    self.put_opened(operation.lane, operation.asked, request.state, request.closed);
  } else {
    self.fail(operation.lane, operation.asked, {.code = request.outcome.error().code});
  }
  self.peer_.session().release(operation.message);
  self.shared_.operations.producers.give(operation);
  self.serve(now);
}

// Until a map shows it, a close may be taken back, and what is stored is not final.
bool Conversation::shows_closed(const ProducerOperation& operation) const {
  const auto lane = lanes_.find(operation.lane);
  const route::StreamRoute* stream =
      lane == lanes_.end() ? nullptr : find(lane->second.name, lane->second.stream);
  const route::ShardRoute* shard = stream == nullptr ? nullptr : stream->find(lane->second.shard);
  return shard == nullptr || !shard->open;
}

// Of a closed shard too: batches are then told so, each for itself.
void Conversation::put_opened(std::uint32_t id, std::uint64_t request,
                              const storage::ProducerState& known, bool closed) {
  const auto at = lanes_.find(id);
  if (at == lanes_.end()) return;  // reset meanwhile
  at->second.open = true;
  flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
  std::vector<proto::Stored> window;
  for (std::uint32_t i = 0; i < known.count; ++i) {
    window.emplace_back(known.window[i].first.raw(), known.window[i].arrival.raw());
  }
  const auto list = table.CreateVectorOfStructs(window);
  table.Finish(
      proto::CreatePutOpened(table, at->second.stream.raw(), known.last_sequence, list, closed));
  reply(id, shared_.answers.make(
                {.kind = MessageKind::kPutOpened, .request = request, .map_epoch = epoch()}));
}

// --- Batches ------------------------------------------------------------------------------------

bool Conversation::put(transport::IncomingMessage& incoming, const proto::DecodedMessage& message,
                       Nanos now) {
  const std::uint64_t request = message.header.request;
  const auto at = lanes_.find(incoming.lane);
  if (at == lanes_.end() || !at->second.open) {
    fail(incoming.lane, request,
         {.code = ErrorCode::kConflict, .text = "the lane has not been opened for puts"});
    return false;
  }
  Lane& lane = at->second;
  if (lane.waiting == (lane.producer != 0 ? kProducerWaitingMax : kWaitingMax)) {
    violate(CloseCode::kProtocol, "too many batches without a result on one lane");
    return false;
  }
  const route::StreamRoute* stream = find(lane.name, lane.stream);
  if (stream == nullptr) {
    peer_.session().reset(incoming.lane, CloseCode::kGone, "the stream has been deleted");
    lanes_.erase(at);
    return false;
  }
  ++shared_.counters.batches_in;
  PutOperation& operation = shared_.operations.puts.take();
  operation.conversation = this;
  operation.lane = incoming.lane;
  operation.asked = request;
  operation.mixed = lane.mixed;
  operation.batch = {.bytes = message.attachment,
                     .producer = lane.producer,
                     .epoch = lane.epoch,
                     .sequence = message.header.sequence};
  const bool good =
      lane.mixed ? put_mixed(operation, *stream) : put_whole(operation, lane, *stream);
  if (!good) {
    shared_.operations.puts.give(operation);
    return false;
  }
  operation.message = std::exchange(incoming, {});
  ++lane.waiting;
  ++under_way_;
  operation.request.stream = lane.stream;
  operation.request.deadline = now + shared_.options.put_deadline_nanos;
  operation.request.done = &Conversation::put_done;
  operation.request.context = &operation;
  shared_.data.put(operation.request, now);
  return true;
}

// One shard's: stored as it came.
bool Conversation::put_whole(PutOperation& operation, const Lane& lane,
                             const route::StreamRoute& stream) {
  const route::ShardRoute* shard = stream.find(lane.shard);
  if (shard == nullptr || !shard->open) {
    ++shared_.counters.batches_refused;
    fail(operation.lane, operation.asked, {.code = ErrorCode::kWrongShard});
    return false;
  }
  const BatchVerdict verdict = check_batch(
      operation.batch.bytes,
      {.begin = shard->begin, .end = shard->end, .record_bytes_max = stream.record_bytes_max});
  if (!verdict.good()) return refuse_batch(operation, verdict);
  operation.batch.count = verdict.shape.count;
  operation.batch.payload_bytes = static_cast<std::uint32_t>(verdict.shape.payload_bytes);
  operation.whole = {};
  operation.whole.carry(operation.batch, lane.shard);
  operation.request = {};
  operation.request.entries = {&operation.whole, 1};
  operation.request.batches = true;
  return true;
}

// Of any shards: taken apart, and put together again by shard.
bool Conversation::put_mixed(PutOperation& operation, const route::StreamRoute& stream) {
  const BatchVerdict verdict = check_batch(
      operation.batch.bytes,
      {.begin = {}, .end = base::kHashKeyMax, .record_bytes_max = stream.record_bytes_max});
  if (!verdict.good()) return refuse_batch(operation, verdict);
  ++shared_.counters.batches_split;
  operation.batch.count = verdict.shape.count;
  operation.records.clear();
  operation.records.resize(verdict.shape.count);
  for (std::uint32_t i = 0; i < verdict.shape.count; ++i) {
    operation.records[i].record = storage::record_of(verdict.shape, i);
  }
  operation.request = {};
  operation.request.entries = operation.records;
  return true;
}

bool Conversation::refuse_batch(const PutOperation& operation, const BatchVerdict& verdict) {
  ++shared_.counters.batches_refused;
  fail(operation.lane, operation.asked,
       {.code = verdict.code, .text = verdict.why, .record = verdict.record});
  return false;
}

void Conversation::put_done(shard::PutRequest& request, Nanos now) {
  auto& operation = *static_cast<PutOperation*>(request.context);
  Conversation& self = *operation.conversation;
  --self.under_way_;
  const auto lane = self.lanes_.find(operation.lane);
  if (lane != self.lanes_.end()) {
    --lane->second.waiting;
    self.answer_put(operation);
  }
  self.peer_.session().release(operation.message);
  self.shared_.operations.puts.give(operation);
  self.serve(now);
}

void Conversation::answer_put(PutOperation& operation) {
  flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
  flatbuffers::Offset<proto::PutResult> result;
  if (operation.mixed) {
    std::vector<proto::RecordResult>& results = shared_.results;
    results.clear();
    for (const shard::PutEntry& entry : operation.records) {
      const auto code = entry.stored ? 0U : static_cast<std::uint32_t>(entry.error);
      results.emplace_back(entry.index.raw(), entry.arrival.raw(), entry.shard.raw(), code);
      if (entry.stored) ++shared_.counters.records_in;
    }
    result = proto::CreatePutResult(table, 0, 0, false, table.CreateVectorOfStructs(results));
  } else {
    const shard::PutEntry& entry = operation.whole;
    if (!entry.stored) {
      ++shared_.counters.batches_refused;
      return fail(operation.lane, operation.asked,
                  {.code = entry.error, .retry_after_ms = retry_after(entry.error)});
    }
    ++(entry.repeated ? shared_.counters.batches_repeated : shared_.counters.batches_stored);
    if (!entry.repeated) shared_.counters.records_in += operation.batch.count;
    result = proto::CreatePutResult(table, entry.index.raw(), entry.arrival.raw(), entry.repeated);
  }
  table.Finish(result);
  reply(operation.lane,
        shared_.answers.make(
            {.kind = MessageKind::kPutDone, .request = operation.asked, .map_epoch = epoch()}));
}

}  // namespace penstock::net
