#include "client/native/consumer_engine.h"

#include <algorithm>
#include <utility>

namespace penstock::client::native {

ConsumerEngine::ConsumerEngine(Link& link, Maps& maps, ConsumerSettings settings,
                               ConsumerHandlers handlers, Nanos now)
    : link_(link), maps_(maps), settings_(std::move(settings)), handlers_(std::move(handlers)) {
  link_.add(*this);
  maps_.watch(settings_.stream, *this, now);
}

ConsumerEngine::~ConsumerEngine() {
  maps_.unwatch(settings_.stream, *this);
  link_.remove(*this);
}

// --- Shards ---------------------------------------------------------------------------------------

void ConsumerEngine::on_map(const std::shared_ptr<const StreamMap>& map, Nanos now) {
  if (stopped_) return;
  if (map->route.shards.empty()) {  // it is being made
    if (uid_ != map->route.uid) map_ = nullptr;
    tell_at_ = Nanos(INT64_MAX);
    return;
  }
  const bool first = uid_ == StreamUid();
  if (uid_ != map->route.uid) begin_anew(*map);
  map_ = map;
  no_map_.reset();
  for (const route::ShardRoute& shard : map->route.shards) add(shard, first);
  std::erase_if(missing_, [this](ShardNumber shard) {
    return readers_.contains(shard) || settings_.checkpoints.shards.contains(shard);
  });
  if (readers_.empty() && !told_none_) missing_ = settings_.shards;
  tell_at_ = missing_.empty() ? Nanos(INT64_MAX) : std::min(tell_at_, now + kMissedNanos);
  std::vector<ShardReader*> gone;
  for (const auto& [number, reader] : readers_) {
    const bool listed = map->route.find(number) != nullptr;
    if (!listed && !younger_than_map(number) && !reader->ended()) gone.push_back(reader.get());
  }
  for (ShardReader* reader : gone) reader->vanish(now);
  check_caught_up();
  tick(now);
}

// The first stream of this name, or another: what was said of positions was said of that one.
void ConsumerEngine::begin_anew(const StreamMap& map) {
  if (uid_ != StreamUid()) {
    settings_.checkpoints = {};
    settings_.start = {};
    if (handlers_.on_new_stream) handlers_.on_new_stream();
  }
  readers_.clear();
  uid_ = map.route.uid;
  missing_ = settings_.shards;
  told_none_ = false;
}

void ConsumerEngine::on_no_map(ErrorCode why, Nanos now) {
  const bool gone = std::exchange(map_, nullptr) != nullptr;
  if (no_map_ == why || retryable(why)) return;
  if (why == ErrorCode::kNotFound && !gone) {
    tell_at_ = std::min(tell_at_, now + kMissedNanos);
    return;
  }
  no_map_ = why;
  problem(route::kNoShard, Error{why});
}

void ConsumerEngine::tell_missing() {
  tell_at_ = Nanos(INT64_MAX);
  if (map_ == nullptr) {
    if (!no_map_) problem(route::kNoShard, Error{ErrorCode::kNotFound});
    no_map_ = ErrorCode::kNotFound;
    return;
  }
  told_none_ = readers_.empty();
  for (const ShardNumber shard : std::exchange(missing_, {})) {
    problem(shard, Error{ErrorCode::kNotFound});
  }
  check_caught_up();
}

bool ConsumerEngine::follows_what_is_read(const route::ShardRoute& shard) const {
  const auto known = [this](ShardNumber parent) {
    return settings_.checkpoints.shards.contains(parent);
  };
  return known(shard.parent) || known(shard.adjacent_parent);
}

bool ConsumerEngine::named(ShardNumber shard) const {
  return std::ranges::find(settings_.shards, shard) != settings_.shards.end();
}

bool ConsumerEngine::wanted(const route::ShardRoute& shard) const {
  if (settings_.shards.empty() || named(shard.number)) return true;
  if (settings_.checkpoints.shards.contains(shard.number) || follows_what_is_read(shard))
    return true;
  return readers_.contains(shard.parent) || readers_.contains(shard.adjacent_parent);
}

StartAt ConsumerEngine::start_of(const route::ShardRoute& shard, bool first_map) const {
  if (follows_what_is_read(shard)) return {};
  if (first_map) return settings_.start;
  const bool child = readers_.contains(shard.parent) || readers_.contains(shard.adjacent_parent);
  return named(shard.number) && !child ? settings_.start : StartAt();
}

void ConsumerEngine::add(const route::ShardRoute& shard, bool first_map) {
  if (readers_.contains(shard.number) || !wanted(shard)) return;
  StartAt start = start_of(shard, first_map);
  const auto point = settings_.checkpoints.shards.find(shard.number);
  const bool resumed = point != settings_.checkpoints.shards.end();
  if (resumed) start = {.kind = StartAt::Kind::kIndex, .index = point->second.next, .time = {}};
  auto reader = std::make_unique<ShardReader>(*this, shard, start);
  const bool nothing_latest = start.kind == StartAt::Kind::kLatest && !shard.open;
  if ((resumed && point->second.ended) || nothing_latest) reader->skip();
  readers_.emplace(shard.number, std::move(reader));
}

bool ConsumerEngine::younger_than_map(ShardNumber shard) const {
  if (map_ == nullptr || shard == route::kNoShard) return false;
  return map_->route.shards.empty() || shard > map_->route.shards.back().number;
}

bool ConsumerEngine::may_be_read(const ShardReader& reader) const {
  const auto done = [this](ShardNumber parent) {
    const auto at = readers_.find(parent);
    if (at != readers_.end()) return at->second->ended();
    return !younger_than_map(parent);  // otherwise it expired, or there is none
  };
  // Of a stream that is gone the map says so, over and over.
  return map_ != nullptr && !reader.ended() && done(reader.shard().parent) &&
         done(reader.shard().adjacent_parent);
}

void ConsumerEngine::tick(Nanos now) {
  if (stopped_) return;
  if (now >= tell_at_) tell_missing();
  for (const auto& [number, reader] : readers_) {
    if (may_be_read(*reader)) reader->pump(now);
  }
}

Nanos ConsumerEngine::next_deadline() const {
  if (stopped_) return Nanos(INT64_MAX);
  Nanos next = tell_at_;
  for (const auto& [number, reader] : readers_) {
    if (may_be_read(*reader)) next = std::min(next, reader->next_deadline());
  }
  return next;
}

void ConsumerEngine::on_end(ShardNumber shard, const std::vector<route::ShardRoute>& children,
                            Nanos now) {
  ++counters_.shards_ended;
  if (!stopped_ && handlers_.on_shard_end) handlers_.on_shard_end(shard);
  // The map with them may be on its way; and only it knows another parent that is younger than the last map.
  for (const route::ShardRoute& child : children) {
    add(child, false);
    if (younger_than_map(child.number)) need_newer_map(now);
  }
  check_caught_up();
}

void ConsumerEngine::need_newer_map(Nanos now) {
  if (map_ != nullptr) maps_.need(settings_.stream, map_->epoch + 1, now);
}

void ConsumerEngine::check_caught_up() {
  if (caught_up_ || stopped_ || map_ == nullptr) return;
  if (readers_.empty() || !missing_.empty()) return;
  for (const auto& [number, reader] : readers_) {
    if (!reader->ended() && !reader->caught_up()) return;
  }
  caught_up_ = true;
  if (handlers_.on_caught_up) handlers_.on_caught_up();
}

// --- To the handlers ------------------------------------------------------------------------------

void ConsumerEngine::hand_on(const Records& records) {
  if (stopped_) return;
  ++counters_.deliveries;
  counters_.records += records.records.size();
  if (handlers_.on_records) handlers_.on_records(records);
}

void ConsumerEngine::note(ShardNumber shard, std::uint64_t next, bool ended) {
  const Checkpoints::Point point{RecordIndex(next), ended};
  settings_.checkpoints.shards[shard] = point;
  if (handlers_.on_progress) handlers_.on_progress(shard, point);
}

void ConsumerEngine::problem(ShardNumber shard, const Error& error) {
  if (!stopped_ && handlers_.on_problem) handlers_.on_problem(shard, error);
}

}  // namespace penstock::client::native
