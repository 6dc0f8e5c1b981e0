#include "client/native/maps.h"

#include "client/native/shard_words.h"

#include <penstock_generated.h>

#include <algorithm>
#include <utility>

namespace penstock::client::native {

using proto::MessageKind;

Maps::Maps(Link& link) : link_(link) { link_.add(*this); }

Maps::~Maps() { link_.remove(*this); }

void Maps::watch(const std::string& name, MapUser& user, Nanos now) {
  Stream& stream = streams_[name];
  stream.name = name;
  stream.users.push_back(&user);
  if (stream.newest != nullptr) return user.on_map(stream.newest, now);
  ask_if_due(stream, now);
}

void Maps::unwatch(const std::string& name, MapUser& user) {
  const auto at = streams_.find(name);
  if (at == streams_.end()) return;
  std::erase(at->second.users, &user);
  if (!at->second.users.empty()) return;
  if (at->second.request != 0) link_.forget(at->second.request);
  streams_.erase(at);
}

std::shared_ptr<const StreamMap> Maps::find(const std::string& name) const {
  const auto at = streams_.find(name);
  return at == streams_.end() ? nullptr : at->second.newest;
}

void Maps::need(const std::string& name, std::uint64_t epoch, Nanos now) {
  const auto at = streams_.find(name);
  if (at == streams_.end()) return;
  Stream& stream = at->second;
  if (stream.newest != nullptr && stream.newest->epoch >= epoch) return;
  stream.needed = std::max(stream.needed, epoch);
  stream.stale = true;
  ask_if_due(stream, now);
}

void Maps::ask(Stream& stream, std::uint32_t from) {
  flatbuffers::FlatBufferBuilder table;
  table.Finish(proto::CreateStreamName(table, table.CreateString(stream.name), from));
  stream.request = link_.request(MessageKind::kGetMap, table, *this);
}

void Maps::ask_if_due(Stream& stream, Nanos now) {
  if (!link_.open() || stream.request != 0 || !stream.stale || now < stream.ask_at) return;
  stream.stale = false;
  stream.partial = nullptr;
  ask(stream, 0);
}

void Maps::tick(Nanos now) {
  for (auto& [name, stream] : streams_) ask_if_due(stream, now);
}

Nanos Maps::next_deadline() const {
  Nanos next{INT64_MAX};
  if (!link_.open()) return next;
  for (const auto& [name, stream] : streams_) {
    if (stream.stale && stream.request == 0) next = std::min(next, stream.ask_at);
  }
  return next;
}

// The new connection's server tells of changes only of maps that it was asked for.
void Maps::on_open(Nanos now) {
  for (auto& [name, stream] : streams_) {
    stream.stale = stream.reconnected = true;
    stream.needed = 0;
    stream.ask_at = now;
    ask_if_due(stream, now);
  }
}

void Maps::on_map_changed(std::string_view name, Nanos now) {
  const auto at = streams_.find(name);
  if (at == streams_.end()) return;
  at->second.stale = true;
  at->second.ask_at = now;
  ask_if_due(at->second, now);
}

void Maps::on_unanswered(std::uint64_t request, Nanos) {
  for (auto& [name, stream] : streams_) {
    if (stream.request != request) continue;
    stream.request = 0;
    stream.stale = true;
  }
}

void Maps::on_answer(std::uint64_t request, const proto::DecodedMessage& answer, Nanos now) {
  const auto at = std::ranges::find_if(
      streams_, [request](const auto& entry) { return entry.second.request == request; });
  if (at == streams_.end()) return;
  Stream& stream = at->second;
  stream.request = 0;
  if (answer.header.kind == MessageKind::kMap) return take(stream, answer, now);
  ErrorCode why = ErrorCode::kUnsupported;
  if (answer.header.kind == MessageKind::kFailed) {
    why = static_cast<ErrorCode>(flatbuffers::GetRoot<proto::Failure>(answer.table.data())->code());
  }
  stream.newest = nullptr;
  stream.stale = true;
  stream.ask_at = now + kRetryNanos;
  const std::vector<MapUser*> users = stream.users;
  for (MapUser* user : users) user->on_no_map(why, now);
}

void Maps::take(Stream& stream, const proto::DecodedMessage& answer, Nanos now) {
  const auto& page = *flatbuffers::GetRoot<proto::ShardMap>(answer.table.data());
  if (stream.partial != nullptr && stream.partial->epoch != page.epoch()) {
    stream.partial = nullptr;
    return ask(stream, 0);
  }
  if (stream.partial == nullptr) {
    stream.partial = std::make_shared<StreamMap>();
    stream.partial->epoch = page.epoch();
    route::StreamRoute& route = stream.partial->route;
    route.uid = StreamUid(page.stream());
    route.name = stream.name;
    route.status = status_of(page.state());
    route.retention_hours = page.retention_hours();
    route.record_bytes_max = page.record_bytes_max();
  }
  std::vector<route::ShardRoute>& shards = stream.partial->route.shards;
  if (page.shards() != nullptr) {
    for (const proto::Shard* shard : *page.shards()) shards.push_back(shard_of(*shard));
  }
  if (page.more() && !shards.empty() && shards.back().number < route::kNoShard) {
    return ask(stream, shards.back().number.raw() + 1);
  }
  finish(stream, now);
}

void Maps::finish(Stream& stream, Nanos now) {
  const std::shared_ptr<StreamMap> map = std::exchange(stream.partial, nullptr);
  std::ranges::sort(map->route.shards, {}, &route::ShardRoute::number);
  map->route.tile();
  if (map->epoch < stream.needed) {  // another core has it already
    stream.stale = true;
    stream.ask_at = now + kRetryNanos;
  }
  const bool another = std::exchange(stream.reconnected, false) || stream.newest == nullptr;
  if (!another && map->epoch <= stream.newest->epoch) return;
  stream.newest = map;
  const std::vector<MapUser*> users = stream.users;
  for (MapUser* user : users) user->on_map(map, now);
  ask_if_due(stream, now);
}

}  // namespace penstock::client::native
