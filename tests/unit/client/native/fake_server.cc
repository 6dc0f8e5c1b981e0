#include "tests/unit/client/native/fake_server.h"

#include "net/batch_check.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace penstock::client::native::test {

using proto::MessageKind;

namespace {

__extension__ using Wide = unsigned __int128;

Wide wide(base::HashKey key) { return (Wide{key.high} << 64) | key.low; }
base::HashKey narrow(Wide value) {
  return {static_cast<std::uint64_t>(value >> 64), static_cast<std::uint64_t>(value)};
}

flatbuffers::Offset<proto::Shard> write_shard(flatbuffers::FlatBufferBuilder& table,
                                              const route::ShardRoute& shard) {
  const proto::HashKey begin(shard.begin.high, shard.begin.low);
  const proto::HashKey end(shard.end.high, shard.end.low);
  return proto::CreateShard(table, shard.number.raw(), &begin, &end, 0, shard.open,
                            shard.parent.raw(), shard.adjacent_parent.raw(), shard.created_second,
                            shard.final_index);
}

std::vector<flatbuffers::Offset<proto::Shard>> write_children(flatbuffers::FlatBufferBuilder& table,
                                                              const FakeStream& stream,
                                                              ShardNumber parent) {
  std::vector<flatbuffers::Offset<proto::Shard>> children;
  for (const auto& [number, shard] : stream.shards) {
    if (shard.route.parent == parent || shard.route.adjacent_parent == parent) {
      children.push_back(write_shard(table, shard.route));
    }
  }
  return children;
}

// First index at or behind a position.
std::uint64_t index_of(const FakeShard& shard, const proto::Position* position) {
  if (position == nullptr) return 0;
  switch (position->from()) {
    case proto::From::Index:
      return position->index();
    case proto::From::Latest:
      return shard.next;
    default:
      return 0;
  }
}

// Whole batches from the one that has `from` on; `next` is behind the last.
std::vector<std::byte> batches_from(const FakeShard& shard, std::uint64_t from,
                                    std::size_t records_max, std::uint64_t& next) {
  std::vector<std::byte> out;
  next = from;
  std::size_t records = 0;
  for (const FakeShard::Batch& batch : shard.batches) {
    if (batch.first + batch.count <= from) continue;
    if (records > 0 && records + batch.count > records_max) break;
    out.insert(out.end(), batch.stored.begin(), batch.stored.end());
    records += batch.count;
    next = batch.first + batch.count;
  }
  return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> FakeStream::all() const {
  std::vector<std::pair<std::string, std::string>> records;
  for (const auto& [number, shard] : shards) {
    records.insert(records.end(), shard.records.begin(), shard.records.end());
  }
  return records;
}

FakeServer::FakeServer() = default;
FakeServer::~FakeServer() = default;

FakeStream& FakeServer::create(const std::string& name, std::uint32_t count) {
  FakeStream& stream = streams[name];
  stream = {};
  stream.uid = StreamUid(epoch * 100 + streams.size());
  const Wide step = ~Wide{0} / count;
  for (std::uint32_t i = 0; i < count; ++i) {
    FakeShard& shard = stream.shards[i];
    shard.route.number = ShardNumber(i);
    shard.route.begin = i == 0 ? base::HashKey{} : narrow(step * i + 1);
    shard.route.end = i + 1 == count ? base::kHashKeyMax : narrow(step * (i + 1));
    shard.route.created_second = 1'700'000'000 + i;
  }
  reshaped();
  return stream;
}

void FakeServer::split(const std::string& name, std::uint32_t number) {
  FakeStream& stream = streams.at(name);
  FakeShard& parent = stream.shards.at(number);
  const Wide middle = wide(parent.route.begin) / 2 + wide(parent.route.end) / 2;
  const std::uint32_t next = stream.shards.rbegin()->first + 1;
  for (std::uint32_t i = 0; i < 2; ++i) {
    FakeShard& child = stream.shards[next + i];
    child.route = parent.route;
    child.route.number = ShardNumber(next + i);
    child.route.parent = ShardNumber(number);
    child.route.created_second += 1000;
    (i == 0 ? child.route.end : child.route.begin) = narrow(i == 0 ? middle : middle + 1);
  }
  parent.route.open = false;
  parent.route.final_index = parent.next;
  reshaped();
}

void FakeServer::merge(const std::string& name, std::uint32_t a, std::uint32_t b) {
  FakeStream& stream = streams.at(name);
  FakeShard& first = stream.shards.at(a);
  FakeShard& second = stream.shards.at(b);
  const std::uint32_t next = stream.shards.rbegin()->first + 1;
  route::ShardRoute child = first.route;
  child.number = ShardNumber(next);
  child.begin = std::min(first.route.begin, second.route.begin);
  child.end = std::max(first.route.end, second.route.end);
  child.parent = ShardNumber(a);
  child.adjacent_parent = ShardNumber(b);
  for (FakeShard* parent : {&first, &second}) {
    parent->route.open = false;
    parent->route.final_index = parent->next;
  }
  stream.shards[next].route = child;
  reshaped();
}

void FakeServer::forget_producers() {
  for (auto& [name, stream] : streams) {
    for (auto& [number, shard] : stream.shards) shard.producers.clear();
  }
}

void FakeServer::reshaped() {
  ++epoch;
  if (!tells) return;
  for (FakeConnection* connection : connections) connection->map_changed();
}

// --- A connection ---------------------------------------------------------------------------------

FakeConnection::FakeConnection(FakeServer& server, Nanos now) : server_(server) {
  transport::SessionOptions options;
  options.server = true;
  options.turned_away = server.full;
  session_ = std::make_unique<transport::Session>(options, server.staging, now);
  server_.connections.push_back(this);
}

FakeConnection::~FakeConnection() { std::erase(server_.connections, this); }

void FakeConnection::feed(std::span<const std::byte> bytes, Nanos now) {
  while (!bytes.empty()) {
    const std::span<std::byte> into = session_->destination();
    if (into.empty()) return;
    const std::size_t take = std::min(into.size(), bytes.size());
    std::memcpy(into.data(), bytes.data(), take);
    bytes = bytes.subspan(take);
    session_->arrived(take, now);
    drain(now);
  }
}

std::vector<std::byte> FakeConnection::take(Nanos now) {
  std::vector<std::byte> out;
  std::span<const std::byte> spans[64];
  while (const std::size_t count = session_->gather(spans, 256 * kKiB)) {
    for (const auto& span : std::span(spans).first(count)) {
      out.insert(out.end(), span.begin(), span.end());
    }
    session_->sent(now);
  }
  return out;
}

void FakeConnection::tick(Nanos now) {
  session_->tick(now);
  drain(now);
  for (std::size_t i = 0; i < late_.size();) {
    if (late_[i].at > now) {
      ++i;
      continue;
    }
    const Late late = late_[i];
    late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(i));
    if (session_->open() && session_->has_lane(late.lane)) late.answer();
  }
  std::vector<std::uint32_t> lanes;
  for (const auto& [lane, subscription] : subscriptions_) lanes.push_back(lane);
  for (const std::uint32_t lane : lanes) deliver(lane);
}

void FakeConnection::drain(Nanos now) {
  for (auto event = session_->next_event(); event.kind != transport::SessionEventKind::kNone;
       event = session_->next_event()) {
    if (event.kind == transport::SessionEventKind::kReset) {
      puts_.erase(event.lane);
      subscriptions_.erase(event.lane);
      server_.log.emplace_back("Reset");
    }
    if (event.kind == transport::SessionEventKind::kClosed) {
      server_.log.emplace_back("Close " + std::string(name(event.code)) + " " +
                               std::string(event.reason));
    }
    if (event.kind != transport::SessionEventKind::kMessage) continue;
    const Result<proto::DecodedMessage> message = proto::decode_message(event.message.bytes());
    if (message) {
      on_message(event.message.lane, *message, now);
    } else {
      server_.log.emplace_back("malformed");
      session_->close(transport::CloseCode::kProtocol, "malformed");
    }
    session_->release(event.message);
  }
}

void FakeConnection::on_message(std::uint32_t lane, const proto::DecodedMessage& message,
                                Nanos now) {
  switch (message.header.kind) {
    case MessageKind::kHello:
      return hello(message);
    case MessageKind::kGetMap:
      return get_map(message);
    case MessageKind::kAdmin:
      return admin(message);
    case MessageKind::kOpenPut:
      return open_put(lane, message);
    case MessageKind::kPut:
      return put(lane, message, now);
    case MessageKind::kSubscribe:
      return subscribe(lane, message);
    case MessageKind::kGet:
      return get(lane, message);
    default:
      return fail(lane, message.header.request, {.code = ErrorCode::kUnsupported});
  }
}

void FakeConnection::reply(std::uint32_t lane, MessageKind kind, std::uint64_t request,
                           const flatbuffers::FlatBufferBuilder& table,
                           const std::vector<std::byte>& attachment) {
  std::vector<std::byte> bytes(round_up(std::size_t{table.GetSize()}, std::size_t{8}));
  std::memcpy(bytes.data(), table.GetBufferPointer(), table.GetSize());
  if (server_.rewrite) {
    send(lane, MessageKind{99}, request, bytes, {});
    bytes = server_.rewrite(kind, bytes);
  }
  send(lane, kind, request, bytes, attachment);
}

void FakeConnection::send(std::uint32_t lane, MessageKind kind, std::uint64_t request,
                          std::span<const std::byte> table, std::span<const std::byte> attachment) {
  if (mute || !session_->open() || !session_->has_lane(lane)) return;
  struct Owned {
    transport::OutgoingMessage message;
    std::vector<std::byte> bytes;
  };
  auto* owned = new Owned;
  const auto head = proto::encode({.kind = kind,
                                   .table_bytes = static_cast<std::uint32_t>(table.size()),
                                   .request = request,
                                   .map_epoch = server_.epoch});
  for (const std::span<const std::byte> part :
       {std::span<const std::byte>(head), table, attachment}) {
    owned->bytes.insert(owned->bytes.end(), part.begin(), part.end());
  }
  owned->message.parts[0] = owned->bytes;
  owned->message.part_count = 1;
  owned->message.context = owned;
  owned->message.done = [](transport::OutgoingMessage& sent, bool) {
    delete static_cast<Owned*>(sent.context);
  };
  session_->send(lane, owned->message);
}

void FakeConnection::fail(std::uint32_t lane, std::uint64_t request, const Refusal& refusal) {
  flatbuffers::FlatBufferBuilder table;
  table.Finish(proto::CreateFailure(table, static_cast<std::uint32_t>(refusal.code), 0,
                                    refusal.retry_after_ms, refusal.record, 0, refusal.next));
  reply(lane, MessageKind::kFailed, request, table);
}

void FakeConnection::end_lane(std::uint32_t lane) {
  puts_.erase(lane);
  subscriptions_.erase(lane);
  session_->reset(lane, transport::CloseCode::kOverloaded, "for a test");
}

void FakeConnection::map_changed() {
  if (!greeted_ || !session_->open()) return;
  for (const auto& [name, stream] : server_.streams) {
    flatbuffers::FlatBufferBuilder table;
    table.Finish(proto::CreateStreamName(table, table.CreateString(name)));
    reply(0, MessageKind::kMapChanged, 0, table);
  }
}

void FakeConnection::hello(const proto::DecodedMessage& message) {
  server_.log.emplace_back("Hello");
  const auto& hello = *flatbuffers::GetRoot<proto::Hello>(message.table.data());
  proto::Sha256 hash;
  const auto nonce = std::as_bytes(std::span(hello.nonce()->data(), hello.nonce()->size()));
  const proto::Sha256Digest expected =
      proto::hello_proof(hash, FakeServer::kSecret, channel, hello.client_time_ms(), nonce);
  if (hello.access_key()->str() != FakeServer::kKey ||
      !std::ranges::equal(std::as_bytes(std::span(hello.proof()->data(), hello.proof()->size())),
                          expected)) {
    return session_->close(transport::CloseCode::kDenied, "the proof is wrong");
  }
  greeted_ = true;
  flatbuffers::FlatBufferBuilder table;
  const auto name = table.CreateString("fake");
  table.Finish(proto::CreateWelcome(table, 1, 1, name, 0, 16 * kMiB, server_.lanes_max, 64 * kKiB,
                                    60'000, 0));
  reply(0, MessageKind::kWelcome, message.header.request, table);
}

void FakeConnection::get_map(const proto::DecodedMessage& message) {
  server_.log.emplace_back("GetMap");
  const auto& asked = *flatbuffers::GetRoot<proto::StreamName>(message.table.data());
  const auto at = server_.streams.find(asked.name()->str());
  if (at == server_.streams.end()) {
    return fail(0, message.header.request, {.code = ErrorCode::kNotFound});
  }
  flatbuffers::FlatBufferBuilder table;
  std::vector<flatbuffers::Offset<proto::Shard>> shards;
  auto shard = at->second.shards.lower_bound(asked.from());
  for (; shard != at->second.shards.end() && shards.size() < server_.shards_per_map; ++shard) {
    shards.push_back(write_shard(table, shard->second.route));
  }
  const auto list = table.CreateVector(shards);
  const auto name = table.CreateString(at->first);
  table.Finish(proto::CreateShardMap(table, name, at->second.uid.raw(), server_.epoch,
                                     proto::StreamState::Active, at->second.record_bytes_max, 24,
                                     list, shard != at->second.shards.end()));
  reply(0, MessageKind::kMap, message.header.request, table);
}

void FakeConnection::admin(const proto::DecodedMessage& message) {
  const auto& call = *flatbuffers::GetRoot<proto::Admin>(message.table.data());
  server_.log.emplace_back("Admin");
  const std::string name = call.stream()->str();
  const bool there = server_.streams.contains(name);
  std::vector<std::string> names;
  if (call.operation() == proto::AdminOperation::CreateStream) {
    if (there) return fail(0, message.header.request, {.code = ErrorCode::kConflict});
    server_.create(name, call.shard_count());
  } else if (call.operation() == proto::AdminOperation::ListStreams) {
    for (const auto& [stream, value] : server_.streams) {
      if (stream > call.after()->str()) names.push_back(stream);
    }
  } else if (!there) {
    return fail(0, message.header.request, {.code = ErrorCode::kNotFound});
  } else if (call.operation() == proto::AdminOperation::SplitShard) {
    server_.split(name, call.shard());
  } else if (call.operation() == proto::AdminOperation::MergeShards) {
    server_.merge(name, call.shard(), call.adjacent());
  } else if (call.operation() == proto::AdminOperation::DeleteStream) {
    server_.streams.erase(name);
    server_.reshaped();
  }
  flatbuffers::FlatBufferBuilder table;
  table.Finish(proto::CreateAdminResult(table, table.CreateVectorOfStrings(names), false));
  reply(0, MessageKind::kAdminDone, message.header.request, table);
}

// --- Puts -----------------------------------------------------------------------------------------

void FakeConnection::open_put(std::uint32_t lane, const proto::DecodedMessage& message) {
  const auto& asked = *flatbuffers::GetRoot<proto::OpenPut>(message.table.data());
  const std::uint64_t request = message.header.request;
  server_.log.emplace_back("OpenPut " + std::to_string(asked.shard()) + " epoch " +
                           std::to_string(asked.epoch()));
  if (server_.on_open_put) {
    if (const auto refusal = server_.on_open_put(asked)) return fail(lane, request, *refusal);
  }
  const auto stream = server_.streams.find(asked.stream()->str());
  if (stream == server_.streams.end() || !stream->second.shards.contains(asked.shard())) {
    return fail(lane, request, {.code = ErrorCode::kNotFound});
  }
  FakeShard& shard = stream->second.shards.at(asked.shard());
  if (asked.producer() == 0) {
    puts_[lane] = {stream->first, asked.shard(), 0, asked.epoch(), 0, shard.route.open};
    flatbuffers::FlatBufferBuilder table;
    table.Finish(proto::CreatePutOpened(table, stream->second.uid.raw(), 0, 0, !shard.route.open));
    return reply(lane, MessageKind::kPutOpened, request, table);
  }
  const bool known = shard.producers.contains(asked.producer());
  const bool resumes = !shard.route.open || asked.resume();
  if (resumes && (!known || shard.producers[asked.producer()].epoch < asked.epoch())) {
    return fail(lane, request, {.code = ErrorCode::kProducerUnknown});
  }
  FakeShard::Producer& producer = shard.producers[asked.producer()];
  if (asked.epoch() < producer.epoch) {
    return fail(lane, request, {.code = ErrorCode::kProducerFenced});
  }
  if (asked.epoch() > producer.epoch) producer = {.epoch = asked.epoch(), .last = 0, .window = {}};
  puts_[lane] = {stream->first,   asked.shard(), asked.producer(), asked.epoch(), 0,
                 shard.route.open};
  flatbuffers::FlatBufferBuilder table;
  std::vector<proto::Stored> window;
  for (const FakeShard::Entry& entry : producer.window) {
    window.emplace_back(entry.first, entry.arrival);
  }
  const auto list = table.CreateVectorOfStructs(window);
  table.Finish(proto::CreatePutOpened(table, stream->second.uid.raw(), producer.last, list,
                                      !shard.route.open));
  reply(lane, MessageKind::kPutOpened, request, table);
}

void FakeConnection::done(std::uint32_t lane, std::uint64_t request, const FakeShard::Entry& entry,
                          bool duplicate) {
  flatbuffers::FlatBufferBuilder table;
  table.Finish(proto::CreatePutResult(table, entry.first, entry.arrival, duplicate));
  reply(lane, MessageKind::kPutDone, request, table);
}

void FakeConnection::put(std::uint32_t id, const proto::DecodedMessage& message, Nanos now) {
  const std::uint64_t request = message.header.request;
  const auto at = puts_.find(id);
  if (at == puts_.end() || !at->second.open) {
    server_.log.emplace_back("Put on a lane that is not open");
    return fail(id, request, {.code = ErrorCode::kConflict});
  }
  PutLane& lane = at->second;
  const auto stream = server_.streams.find(lane.stream);
  if (stream == server_.streams.end()) return fail(id, request, {.code = ErrorCode::kNotFound});
  FakeShard& shard = stream->second.shards.at(lane.shard);
  const net::BatchVerdict verdict =
      net::check_batch(message.attachment, {.begin = shard.route.begin,
                                            .end = shard.route.end,
                                            .record_bytes_max = stream->second.record_bytes_max});
  SeenPut seen{lane.shard, lane.producer, lane.epoch, message.header.sequence, {}};
  for (std::uint32_t i = 0; i < verdict.shape.count; ++i) {
    const storage::RecordRef record = storage::record_of(verdict.shape, i);
    seen.data.emplace_back(reinterpret_cast<const char*>(record.data), record.data_bytes);
  }
  server_.log.emplace_back("Put " + std::to_string(lane.shard) + " #" +
                           std::to_string(seen.sequence));
  if (++lane.waiting > (lane.producer == 0 ? 64 : 8)) {
    server_.log.emplace_back("too many batches without a result");
    return session_->close(transport::CloseCode::kProtocol, "too many batches");
  }
  const auto later = [&](std::function<void()> answer) {
    auto counted = [this, id, answer = std::move(answer)] {
      if (const auto still = puts_.find(id); still != puts_.end()) --still->second.waiting;
      answer();
    };
    const std::int64_t delay = server_.answer_delay_nanos ? server_.answer_delay_nanos() : 0;
    if (delay == 0) return counted();
    late_.push_back({now + delay, id, counted});
  };
  const auto refuse = [&](Refusal refusal) {
    later([this, id, request, refusal] { fail(id, request, refusal); });
  };
  if (server_.on_put) {
    if (const auto refusal = server_.on_put(seen)) return refuse(*refusal);
  }
  if (!shard.route.open) return refuse({.code = ErrorCode::kWrongShard});
  if (!verdict.good()) return refuse({.code = verdict.code, .record = verdict.record});
  const FakeShard::Entry entry{shard.next, server_.wall_ms};
  if (lane.producer != 0) {
    const auto known = shard.producers.find(lane.producer);
    if (known == shard.producers.end() || lane.epoch > known->second.epoch) {
      return refuse({.code = ErrorCode::kProducerUnknown});
    }
    FakeShard::Producer& producer = known->second;
    if (lane.epoch < producer.epoch) return refuse({.code = ErrorCode::kProducerFenced});
    if (seen.sequence > producer.last + 1) return refuse({.code = ErrorCode::kSequenceGap});
    if (seen.sequence + producer.window.size() <= producer.last) {
      return refuse({.code = ErrorCode::kSequenceOld});
    }
    if (seen.sequence <= producer.last) {
      const auto first =
          producer.window[producer.window.size() - 1 - (producer.last - seen.sequence)];
      return later([this, id, request, first] { done(id, request, first, true); });
    }
    producer.last = seen.sequence;
    producer.window.push_back(entry);
    if (producer.window.size() > 8) producer.window.pop_front();
  }
  FakeShard::Batch batch{shard.next, verdict.shape.count, {}};
  batch.stored.resize(storage::kBatchHeaderBytes + message.attachment.size());
  storage::write_verbatim_batch(batch.stored,
                                {.first = RecordIndex(shard.next),
                                 .arrival = WallMillis(server_.wall_ms),
                                 .producer_id = lane.producer,
                                 .producer_epoch = lane.epoch,
                                 .base_sequence = seen.sequence},
                                message.attachment, verdict.shape.count);
  for (std::uint32_t i = 0; i < verdict.shape.count; ++i) {
    const storage::RecordRef record = storage::record_of(verdict.shape, i);
    shard.records.emplace_back(
        std::string(reinterpret_cast<const char*>(record.key), record.key_bytes), seen.data[i]);
  }
  shard.next += verdict.shape.count;
  shard.batches.push_back(std::move(batch));
  later([this, id, request, entry] { done(id, request, entry, false); });
}

// --- Gets -----------------------------------------------------------------------------------------

void FakeConnection::subscribe(std::uint32_t lane, const proto::DecodedMessage& message) {
  const auto& asked = *flatbuffers::GetRoot<proto::Subscribe>(message.table.data());
  session_->set_lane(lane, {.priority = transport::Priority::kTail, .own_account = true});
  const auto stream = server_.streams.find(asked.stream()->str());
  if (stream == server_.streams.end() || !stream->second.shards.contains(asked.shard())) {
    return session_->reset(lane, transport::CloseCode::kGone, "no such shard");
  }
  const FakeShard& shard = stream->second.shards.at(asked.shard());
  const std::uint64_t from = index_of(shard, asked.position());
  server_.log.emplace_back("Subscribe " + std::to_string(asked.shard()) + " from " +
                           std::to_string(from));
  subscriptions_[lane] = {stream->first, asked.shard(), from};
  // On the lane's own account: it goes behind the client's first CREDIT.
  flatbuffers::FlatBufferBuilder table;
  table.Finish(proto::CreateSubscribed(table, stream->second.uid.raw(), from));
  reply(lane, MessageKind::kSubscribed, message.header.request, table);
}

void FakeConnection::deliver(std::uint32_t lane) {
  Subscription& subscription = subscriptions_.at(lane);
  const auto stream = server_.streams.find(subscription.stream);
  if (stream == server_.streams.end()) {
    subscriptions_.erase(lane);
    return session_->reset(lane, transport::CloseCode::kGone, "the stream is gone");
  }
  const FakeShard& shard = stream->second.shards.at(subscription.shard);
  server_.credit_seen = std::max(server_.credit_seen, session_->credit(lane));
  if (session_->credit(lane) < 64 * kKiB) return;  // what the messages here have at most
  std::uint64_t next = 0;
  const std::vector<std::byte> batches =
      batches_from(shard, subscription.next, server_.delivery_records, next);
  flatbuffers::FlatBufferBuilder table;
  const bool nothing_yet = shard.route.open && !std::exchange(subscription.told, true);
  if (next > subscription.next || nothing_yet) {
    const std::int64_t behind = next < shard.next ? 1 : 0;
    table.Finish(proto::CreateDelivered(table, subscription.next, next, behind));
    subscription.next = next;
    return reply(lane, MessageKind::kDelivery, 0, table, batches);
  }
  if (shard.route.open) return;
  const auto children =
      table.CreateVector(write_children(table, stream->second, shard.route.number));
  table.Finish(proto::CreateShardEnd(table, subscription.next, children));
  reply(lane, MessageKind::kShardEnd, 0, table);
  subscriptions_.erase(lane);
}

void FakeConnection::get(std::uint32_t lane, const proto::DecodedMessage& message) {
  const auto& asked = *flatbuffers::GetRoot<proto::Get>(message.table.data());
  server_.log.emplace_back("Get " + std::to_string(asked.shard()));
  if (server_.on_get) {
    if (const auto refusal = server_.on_get(asked)) {
      return fail(lane, message.header.request, *refusal);
    }
  }
  const auto stream = server_.streams.find(asked.stream()->str());
  if (stream == server_.streams.end()) {
    return fail(lane, message.header.request, {.code = ErrorCode::kNotFound});
  }
  const FakeShard& shard = stream->second.shards.at(asked.shard());
  const std::uint64_t from = index_of(shard, asked.position());
  std::uint64_t next = 0;
  const std::vector<std::byte> batches = batches_from(shard, from, asked.records_max(), next);
  flatbuffers::FlatBufferBuilder table;
  const bool end = !shard.route.open && next >= shard.next;
  const auto children = end ? write_children(table, stream->second, shard.route.number)
                            : std::vector<flatbuffers::Offset<proto::Shard>>();
  const auto list = table.CreateVector(children);
  table.Finish(proto::CreateGot(table, from, next, next < shard.next ? 1 : 0, end, list));
  reply(lane, MessageKind::kGot, message.header.request, table, batches);
}

}  // namespace penstock::client::native::test
