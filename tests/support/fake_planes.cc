#include "tests/support/fake_planes.h"

#include "base/assert.h"

#include <algorithm>
#include <cstring>

namespace penstock::test {

namespace {

const route::StreamRoute* by_uid(const route::RouteMap& map, StreamUid uid) {
  for (const auto& [name, stream] : map.streams) {
    if (stream->uid == uid) return stream.get();
  }
  return nullptr;
}

std::string text_of(const std::byte* bytes, std::size_t count) {
  return {reinterpret_cast<const char*>(bytes), count};
}

// floor(2^128 · i / n), by long division of a 160-bit number.
base::HashKey boundary(std::uint64_t i, std::uint64_t n) {
  base::HashKey key;
  std::uint64_t rest = i;
  for (int bit = 0; bit < 128; ++bit) {
    rest *= 2;
    const std::uint64_t one = rest >= n ? 1 : 0;
    rest -= one * n;
    key.high = (key.high << 1) | (key.low >> 63);
    key.low = (key.low << 1) | one;
  }
  return key;
}

// The service gives every shard but the last the same width, floor(2^128 / n).
base::HashKey shard_begin(std::uint64_t i, std::uint64_t n) {
  const base::HashKey width = boundary(1, n);
  base::HashKey key;
  for (std::uint64_t k = 0; k < i; ++k) {
    const std::uint64_t low = key.low + width.low;
    key = {key.high + width.high + (low < key.low ? 1 : 0), low};
  }
  return key;
}

// A batch that its producer numbers: where it is stored already, or what it is refused as.
std::optional<ErrorCode> in_turn(const storage::ProducerState* state, shard::PutEntry& entry) {
  const shard::BatchPut& batch = *entry.batch;
  if (state == nullptr || batch.epoch > state->epoch) return ErrorCode::kProducerUnknown;
  if (batch.epoch < state->epoch) return ErrorCode::kProducerFenced;
  if (batch.sequence > state->last_sequence + 1) return ErrorCode::kSequenceGap;
  const std::uint32_t back = state->last_sequence + 1 - batch.sequence;
  if (back == 0) return std::nullopt;
  if (back > state->count) return ErrorCode::kSequenceOld;
  const storage::ProducerState::Entry& known = state->window[state->count - back];
  entry.stored = entry.repeated = true;
  entry.index = known.first;
  entry.arrival = known.arrival;
  return std::nullopt;
}

void note(storage::ProducerState& state, RecordIndex first, WallMillis arrival) {
  ++state.last_sequence;
  if (state.count == storage::ProducerState::kWindow) {
    std::shift_left(state.window.begin(), state.window.end(), 1);
    --state.count;
  }
  state.window[state.count++] = {first, arrival};
}

}  // namespace

void FakeDataPlane::put(shard::PutRequest& request, Nanos) {
  PENSTOCK_ASSERT(!request.entries.empty());
  puts_.push_back(&request);
}

void FakeDataPlane::read(shard::ReadRequest& request, Nanos) { reads_.push_back(&request); }

void FakeDataPlane::open_producer(shard::ProducerRequest& request, Nanos) {
  producers_.push_back(&request);
}

void FakeDataPlane::run(Nanos now) {
  for (std::size_t left = puts_.size(); left > 0; --left) {
    shard::PutRequest* request = puts_.front();
    puts_.pop_front();
    answer(*request, now);
  }
  for (std::size_t left = reads_.size(); left > 0; --left) {
    shard::ReadRequest* request = reads_.front();
    reads_.pop_front();
    answer(*request, now);
  }
  for (std::size_t left = producers_.size(); left > 0; --left) {
    shard::ProducerRequest* request = producers_.front();
    producers_.pop_front();
    answer(*request, now);
  }
}

void FakeDataPlane::answer_newest_put(Nanos now) {
  shard::PutRequest* request = puts_.back();
  puts_.pop_back();
  answer(*request, now);
}

void FakeDataPlane::answer(shard::PutRequest& request, Nanos now) {
  const route::StreamRoute* stream = by_uid(*map_, request.stream);
  if (request.batches) {
    for (shard::PutEntry& entry : request.entries) place(entry, stream);
    return request.done(request, now);
  }
  PENSTOCK_ASSERT(stream != nullptr);
  for (shard::PutEntry& entry : request.entries) {
    const route::ShardRoute* shard = stream->find(entry.record.hash);
    PENSTOCK_ASSERT(shard != nullptr);
    ShardLog& log = logs_[{stream->uid, shard->number}];
    entry.shard = shard->number;
    entry.shard_created_second = shard->created_second;
    entry.stored = !log.refuse_puts || log.admit > 0;
    if (!entry.stored) {
      entry.error = *log.refuse_puts;
      continue;
    }
    --log.admit;
    entry.index = RecordIndex(log.records.size());
    entry.arrival = wall_;
    log.records.push_back({.key = text_of(entry.record.key, entry.record.key_bytes),
                           .data = text_of(entry.record.data, entry.record.data_bytes),
                           .arrival = wall_,
                           .hash = entry.record.hash});
  }
  request.done(request, now);
}

void FakeDataPlane::place(shard::PutEntry& entry, const route::StreamRoute* stream) {
  const route::ShardRoute* shard = stream == nullptr ? nullptr : stream->find(entry.shard);
  entry.stored = entry.repeated = false;
  entry.error = ErrorCode::kWrongShard;
  if (shard == nullptr || !shard->open || closed_early_[{stream->uid, entry.shard}]) return;
  ShardLog& log = logs_[{stream->uid, entry.shard}];
  storage::ProducerState* state = nullptr;
  if (entry.batch->producer != 0) {
    const auto known = log.producers.find(entry.batch->producer);
    if (known != log.producers.end()) state = &known->second;
    const std::optional<ErrorCode> refusal = in_turn(state, entry);
    if (refusal) entry.error = *refusal;
    if (refusal || entry.repeated) return;
  }
  if (log.refuse_puts && log.admit == 0) {
    entry.error = *log.refuse_puts;
    return;
  }
  --log.admit;
  const Result<storage::BatchShape> shape = storage::verify_batch(entry.batch->bytes);
  PENSTOCK_ASSERT(shape.has_value());
  PENSTOCK_ASSERT(shape->count == entry.batch->count);
  PENSTOCK_ASSERT(shape->payload_bytes == entry.batch->payload_bytes);
  entry.stored = true;
  entry.index = RecordIndex(log.records.size());
  entry.arrival = wall_;
  if (state != nullptr) note(*state, entry.index, wall_);
  log.batches.push_back({.bytes = {entry.batch->bytes.begin(), entry.batch->bytes.end()},
                         .first = entry.index.raw(),
                         .producer = entry.batch->producer,
                         .epoch = entry.batch->epoch,
                         .sequence = entry.batch->sequence});
  for (std::uint32_t i = 0; i < shape->count; ++i) {
    const storage::RecordRef record = storage::record_of(*shape, i);
    log.records.push_back({.key = text_of(record.key, record.key_bytes),
                           .data = text_of(record.data, record.data_bytes),
                           .arrival = wall_,
                           .hash = record.hash});
  }
}

void FakeDataPlane::answer(shard::ProducerRequest& request, Nanos now) {
  const route::StreamRoute* stream = by_uid(*map_, request.shard.stream);
  const route::ShardRoute* shard = stream == nullptr ? nullptr : stream->find(request.shard.shard);
  request.state = {};
  if (shard == nullptr) {
    request.outcome = fail(ErrorCode::kNotFound);
    return request.done(request, now);
  }
  request.closed = !shard->open || closed_early_[request.shard];
  std::map<std::uint64_t, storage::ProducerState>& known = logs_[request.shard].producers;
  const auto at = known.find(request.producer);
  if (at != known.end() && at->second.epoch > request.epoch) {
    request.outcome = fail(ErrorCode::kProducerFenced);
  } else if (at != known.end() && at->second.epoch == request.epoch) {
    request.state = at->second;
  } else if (request.closed) {
    request.outcome = fail(ErrorCode::kProducerUnknown);
  } else {
    request.state = {.shard = request.shard, .producer = request.producer, .epoch = request.epoch};
    known[request.producer] = request.state;
  }
  request.done(request, now);
}

void FakeDataPlane::answer(shard::ReadRequest& request, Nanos now) {
  ShardLog& log = logs_[request.shard];
  const std::uint64_t end = log.records.size();
  std::uint64_t from = 0;
  switch (request.start) {
    case shard::ReadStart::kIndex:
      from = request.index.raw();
      break;
    case shard::ReadStart::kTrimHorizon:
      break;
    case shard::ReadStart::kLatest:
      from = end;
      break;
    case shard::ReadStart::kTimestamp:
      while (from < end && log.records[from].arrival < request.timestamp) ++from;
      break;
  }
  from = std::max(from, log.trim);
  request.next = RecordIndex(from);
  if (log.refuse_reads) {
    request.outcome = fail(*log.refuse_reads);
  } else if (request.sink != nullptr) {
    deliver(log, from, request);
  }
  const route::StreamRoute* stream = by_uid(*map_, request.shard.stream);
  const route::ShardRoute* shard = stream == nullptr ? nullptr : stream->find(request.shard.shard);
  const bool closed = (shard != nullptr && !shard->open) || closed_early_[request.shard];
  request.at_end = closed && request.next.raw() >= end;
  request.millis_behind =
      request.next.raw() < end ? wall_ - log.records[request.next.raw()].arrival : 0;
  request.done(request, now);
}

void FakeDataPlane::deliver(const ShardLog& log, std::uint64_t from, shard::ReadRequest& request) {
  std::uint64_t at = from;
  const std::uint64_t end = log.records.size();
  while (at < end) {
    if (log.lost && at >= log.lost->first && at < log.lost->second) {
      request.outcome = fail(ErrorCode::kDataLoss);
      request.next = RecordIndex(log.lost->second);
      return;
    }
    // One batch per arrival time, as a journal has them, and none larger than its blocks.
    constexpr std::size_t kPayloadMax = 4 * kMiB;
    std::uint64_t until = at + 1;
    std::size_t payload = log.records[at].key.size() + log.records[at].data.size();
    while (until < end && log.records[until].arrival == log.records[at].arrival &&
           payload < kPayloadMax && !(log.lost && until == log.lost->first)) {
      payload += log.records[until].key.size() + log.records[until].data.size();
      ++until;
    }
    const auto count = static_cast<std::uint32_t>(until - at);
    std::vector<std::uint64_t> space(storage::batch_bytes(count, payload) / 8 + 1);
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(space));
    storage::BatchWriter writer(
        bytes, {.first = RecordIndex(at), .arrival = log.records[at].arrival}, count, payload);
    for (std::uint64_t i = at; i < until; ++i) {
      const Record& record = log.records[i];
      writer.add({.key = reinterpret_cast<const std::byte*>(record.key.data()),
                  .data = reinterpret_cast<const std::byte*>(record.data.data()),
                  .data_bytes = static_cast<std::uint32_t>(record.data.size()),
                  .key_bytes = static_cast<std::uint16_t>(record.key.size()),
                  .hash = record.hash});
    }
    const auto view = storage::BatchView::open(bytes.first(writer.finish()), nullptr);
    PENSTOCK_ASSERT(view.has_value());
    const storage::BatchSink::Taken taken = request.sink->on_batch(*view, 0, count);
    at += taken.records;
    request.next = RecordIndex(at);
    if (!taken.more || taken.records < count) return;
  }
}

void FakeDataPlane::add_stream(const std::string& name, std::uint32_t shards) {
  route::StreamRoute stream;
  stream.uid = StreamUid(next_uid_++);
  stream.name = name;
  stream.status = route::StreamStatus::kActive;
  stream.created_ms = wall_.raw();
  for (std::uint32_t i = 0; i < shards; ++i) {
    route::ShardRoute shard;
    shard.number = ShardNumber(i);
    shard.begin = shard_begin(i, shards);
    shard.end = i + 1 == shards ? base::kHashKeyMax : base::previous(shard_begin(i + 1, shards));
    shard.created_second = wall_.raw() / 1000;
    stream.shards.push_back(shard);
  }
  retile(stream);
  store(std::move(stream));
}

void FakeDataPlane::remove_stream(const std::string& name) {
  route::RouteMap map = *map_;
  map.streams.erase(name);
  publish(std::move(map));
}

void FakeDataPlane::split(const std::string& name, std::uint32_t shard, base::HashKey at) {
  change(name, [&](route::StreamRoute& stream) {
    route::ShardRoute& parent = stream.shards[shard];
    parent.open = false;
    parent.closed_ms = wall_.raw();
    parent.final_index = logs_[{stream.uid, parent.number}].records.size();
    route::ShardRoute child;
    child.number = ShardNumber(static_cast<std::uint32_t>(stream.shards.size()));
    child.parent = parent.number;
    child.created_second = wall_.raw() / 1000 + 1;
    child.begin = parent.begin;
    child.end = base::previous(at);
    route::ShardRoute upper = child;
    upper.number = ShardNumber(child.number.raw() + 1);
    upper.begin = at;
    upper.end = parent.end;
    stream.shards.push_back(child);
    stream.shards.push_back(upper);
    retile(stream);
  });
}

void FakeDataPlane::merge(const std::string& name, std::uint32_t lower, std::uint32_t upper) {
  change(name, [&](route::StreamRoute& stream) {
    route::ShardRoute child;
    child.number = ShardNumber(static_cast<std::uint32_t>(stream.shards.size()));
    child.parent = ShardNumber(lower);
    child.adjacent_parent = ShardNumber(upper);
    child.created_second = wall_.raw() / 1000 + 1;
    child.begin = stream.shards[lower].begin;
    child.end = stream.shards[upper].end;
    for (const std::uint32_t number : {lower, upper}) {
      stream.shards[number].open = false;
      stream.shards[number].closed_ms = wall_.raw();
      stream.shards[number].final_index = logs_[{stream.uid, ShardNumber(number)}].records.size();
    }
    stream.shards.push_back(child);
    retile(stream);
  });
}

void FakeDataPlane::close_unpublished(const std::string& name, std::uint32_t shard) {
  closed_early_[{map_->find(name)->uid, ShardNumber(shard)}] = true;
}

void FakeDataPlane::expire_shard(const std::string& name, std::uint32_t shard) {
  change(name, [&](route::StreamRoute& stream) {
    std::erase_if(stream.shards, [&](const route::ShardRoute& candidate) {
      return candidate.number == ShardNumber(shard);
    });
    retile(stream);
  });
}

FakeDataPlane::ShardLog& FakeDataPlane::log(const std::string& name, std::uint32_t shard) {
  return logs_[{map_->find(name)->uid, ShardNumber(shard)}];
}

void FakeDataPlane::retile(route::StreamRoute& stream) { stream.tile(); }

void FakeDataPlane::store(route::StreamRoute stream) {
  route::RouteMap map = *map_;
  const std::string name = stream.name;
  map.streams[name] = std::make_shared<const route::StreamRoute>(std::move(stream));
  publish(std::move(map));
}

void FakeDataPlane::publish(route::RouteMap map) {
  ++map.epoch;
  map_ = std::make_shared<const route::RouteMap>(std::move(map));
}

// --- Control ----------------------------------------------------------------------------------

void FakeControlPlane::start(proto::ControlRequest& request, Nanos) {
  last = request.call;
  started_.push_back(&request);
}

void FakeControlPlane::run(Nanos now) {
  for (std::size_t left = started_.size(); left > 0; --left) {
    proto::ControlRequest* request = started_.front();
    started_.pop_front();
    request->error = refusal;
    if (!refusal) std::visit([this](const auto& call) { apply(call); }, request->call);
    request->done(*request, now);
  }
}

void FakeControlPlane::apply(const proto::SetRetention& call) {
  data_.change(call.name, [&](route::StreamRoute& stream) {
    stream.retention_hours = static_cast<std::uint32_t>(call.hours);
  });
}

void FakeControlPlane::apply(const proto::SplitShard& call) {
  data_.split(call.name, proto::parse_shard_id(call.shard)->raw(), call.new_starting_hash_key);
}

void FakeControlPlane::apply(const proto::MergeShards& call) {
  data_.merge(call.name, proto::parse_shard_id(call.shard)->raw(),
              proto::parse_shard_id(call.adjacent_shard)->raw());
}

}  // namespace penstock::test
