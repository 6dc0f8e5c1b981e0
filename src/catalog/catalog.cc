#include "catalog/catalog.h"

#include "base/assert.h"
#include "catalog/codec.h"

#include <algorithm>
#include <utility>

namespace penstock::catalog {

using route::StreamStatus;
using runtime::Gate;

void Catalog::start_local(proto::ControlRequest& request, Nanos) {
  struct Starter {
    Catalog& self;
    Request* request;
    Task<> operator()(const proto::CreateStream& call) const { return self.create(request, &call); }
    Task<> operator()(const proto::DeleteStream& call) const { return self.remove(request, &call); }
    Task<> operator()(const proto::SetRetention& call) const {
      return self.set_retention(request, &call);
    }
    Task<> operator()(const proto::SplitShard& call) const { return self.split(request, &call); }
    Task<> operator()(const proto::MergeShards& call) const { return self.merge(request, &call); }
  };
  loop_.spawn(std::visit(Starter{*this, &request}, request.call));
}

runtime::WorkCount Catalog::poll(Nanos now, WallMillis wall) {
  wall_ = wall;
  return loop_.run(now);
}

// --- Calls ---------------------------------------------------------------------------------------

auto Catalog::create(Request* request, const proto::CreateStream* call) -> Task<> {
  StreamUid uid;
  {
    const Gate::Pass pass = co_await gate_.enter();
    if (Refusal refusal = check_create(rules(), *call)) {
      answer(*request, std::move(refusal));
      co_return;
    }
    Create change = plan_create(options_, state_, load(), *call, wall_);
    uid = change.stream.uid;
    const Result<> decided = co_await decide(std::move(change));
    if (!decided) {
      answer(*request, storage_refusal(decided.error().code));
      co_return;
    }
    set_status(uid, StreamStatus::kCreating);
  }
  const Nanos settle_at = settle_time();
  co_await publish();
  answer(*request, {});
  co_await finish_create(uid, settle_at);
}

auto Catalog::finish_create(StreamUid uid, Nanos settle_at) -> Task<> {
  co_await open_shards(uid);
  if (alive(uid) && status(uid) == StreamStatus::kUpdating) {
    // After a crash: children of a split or merge, which records are waiting for.
    touch(uid);
    co_await publish();
  }
  co_await settle_active(uid, settle_at);
}

auto Catalog::remove(Request* request, const proto::DeleteStream* call) -> Task<> {
  StreamUid uid;
  {
    const Gate::Pass pass = co_await gate_.enter();
    if (Refusal refusal = check_delete(rules(), *call)) {
      answer(*request, std::move(refusal));
      co_return;
    }
    uid = state_.find(call->name)->uid;
    Delete change{.stream = uid};
    const Result<> decided = co_await decide(change);
    if (!decided) {
      answer(*request, storage_refusal(decided.error().code));
      co_return;
    }
    set_status(uid, StreamStatus::kDeleting);
  }
  const Nanos settle_at = settle_time();
  co_await publish();
  answer(*request, {});
  co_await finish_remove(uid, settle_at);
}

auto Catalog::finish_remove(StreamUid uid, Nanos settle_at) -> Task<> {
  co_await loop_.sleep_until(settle_at);
  std::vector<Placed> shards;
  std::uint64_t gone_version = 0;
  for (;;) {
    {
      const Gate::Pass pass = co_await gate_.enter();
      const StreamEntry* stream = state_.find(uid);
      if (stream == nullptr) co_return;
      shards.clear();
      for (const ShardEntry& shard : stream->shards) {
        shards.push_back({{uid, shard.number}, shard.cell});
      }
      Gone change{.stream = uid};
      const Result<> decided = co_await decide(change);
      if (decided) {
        gone_version = state_.version;
        live_.erase(uid);
        break;
      }
      // A full journal frees itself; a fenced one is a matter for the next start.
      if (decided.error().code != ErrorCode::kJournalFull) co_return;
    }
    co_await loop_.sleep_until(retry_time());
  }
  co_await publish();
  co_await trim_shards(std::move(shards), gone_version);
}

auto Catalog::set_retention(Request* request, const proto::SetRetention* call) -> Task<> {
  {
    const Gate::Pass pass = co_await gate_.enter();
    if (Refusal refusal = check_retention(rules(), *call)) {
      answer(*request, std::move(refusal));
      co_return;
    }
    const StreamEntry& stream = *state_.find(call->name);
    const auto hours = static_cast<std::uint32_t>(call->hours);
    request->hours_before = stream.retention_hours;
    if (hours == stream.retention_hours) {
      answer(*request, {});
      co_return;
    }
    const StreamUid uid = stream.uid;
    SetRetention change{.stream = uid, .hours = hours};
    const Result<> decided = co_await decide(change);
    if (!decided) {
      answer(*request, storage_refusal(decided.error().code));
      co_return;
    }
    touch(uid);
  }
  co_await publish();
  answer(*request, {});
}

auto Catalog::split(Request* request, const proto::SplitShard* call) -> Task<> {
  Intent intent;
  const Gate::Pass pass = co_await gate_.enter();
  if (Refusal refusal = check_split(rules(), *call, intent)) {
    answer(*request, std::move(refusal));
    co_return;
  }
  co_await announce(request, state_.find(call->name)->uid, intent);
}

auto Catalog::merge(Request* request, const proto::MergeShards* call) -> Task<> {
  Intent intent;
  const Gate::Pass pass = co_await gate_.enter();
  if (Refusal refusal = check_merge(rules(), *call, intent)) {
    answer(*request, std::move(refusal));
    co_return;
  }
  co_await announce(request, state_.find(call->name)->uid, intent);
}

// REQUIRES: the gate is held by the caller. What follows the INTENT runs as a task of its own, so that
// the gate is free for it.
auto Catalog::announce(Request* request, StreamUid uid, Intent intent) -> Task<> {
  Announce change{.stream = uid, .intent = intent};
  const Result<> decided = co_await decide(change);
  if (!decided) {
    answer(*request, storage_refusal(decided.error().code));
    co_return;
  }
  set_status(uid, StreamStatus::kUpdating);
  const Nanos settle_at = settle_time();
  co_await publish();
  answer(*request, {});
  loop_.spawn(reshard(uid, settle_at));
}

// Closed shards that hold nothing any more leave the catalogue, then their cells.
auto Catalog::drop(std::vector<ShardKey> shards) -> Task<> {
  while (!shards.empty()) {
    const StreamUid uid = shards.back().stream;
    std::vector<Placed> dropped;
    Drop change{.stream = uid, .shards = {}};
    std::uint64_t drop_version = 0;
    {
      const Gate::Pass pass = co_await gate_.enter();
      const StreamEntry* stream = alive(uid) ? state_.find(uid) : nullptr;
      for (const ShardKey& key : shards) {
        if (stream == nullptr || key.stream != uid) continue;
        const ShardEntry* shard = stream->find(key.shard);
        if (shard == nullptr || shard->open) continue;
        // Its children are not shown yet: the map still needs it.
        const bool needed = std::ranges::any_of(stream->shards, [&](const ShardEntry& child) {
          return (child.parent == key.shard || child.adjacent_parent == key.shard) &&
                 !shown(uid, child);
        });
        if (needed) continue;
        dropped.push_back({key, shard->cell});
        change.shards.push_back(key.shard);
      }
      if (!change.shards.empty()) {
        const Result<> decided = co_await decide(change);
        if (!decided) dropped.clear();
        drop_version = state_.version;
        touch(uid);
      }
    }
    std::erase_if(shards, [&](const ShardKey& key) {
      if (key.stream == uid) expiring_.erase(key);
      return key.stream == uid;
    });
    if (dropped.empty()) continue;
    co_await publish();
    co_await trim_shards(std::move(dropped), drop_version);
  }
}

// --- What calls share ----------------------------------------------------------------------------

auto Catalog::decide(Change change) -> Task<Result<>> {
  if (read_only_) co_return fail(ErrorCode::kFenced);
  const std::uint64_t change_version = state_.version + 1;
  std::deque<shard::CellCommand> commands(1);
  commands.front().kind = shard::CommandKind::kCatalogue;
  commands.front().cell = CellId(0);
  commands.front().body = encode_frame(change_version, change);
  shard::CellCalls calls(cells_, loop_, commands);
  co_await calls;
  const Result<> written = commands.front().outcome;
  if (!written) {
    if (written.error().code == ErrorCode::kUnknownOutcome) read_only_ = true;
    co_return written;
  }
  const Result<> applied = state_.apply(change_version, change);
  PENSTOCK_ASSERT(applied.has_value());
  ++decisions_;
  co_return Result<>{};
}

auto Catalog::publish() -> Task<> {
  auto map = std::make_shared<route::RouteMap>();
  map->epoch = (std::uint64_t{options_.boot_epoch} << 32) + ++epoch_;
  for (const auto& [uid, stream] : state_.streams) {
    Live& live = live_[uid];
    if (live.route == nullptr) {
      const RouteView view{
          .status = live.status,
          .shown = [this, id = uid](const ShardEntry& shard) { return shown(id, shard); },
          .core_of = [this](CellId cell) { return cells_.core_of(cell); }};
      live.route = make_stream_route(stream, view);
    }
    map->streams.emplace(stream.name, live.route);
  }
  shard::MapPublication publication(cells_, loop_, std::move(map));
  co_await publication;
}

auto Catalog::settle_active(StreamUid uid, Nanos at) -> Task<> {
  co_await loop_.sleep_until(at);
  if (!alive(uid)) co_return;
  set_status(uid, StreamStatus::kActive);
  co_await publish();
}

void Catalog::answer(Request& request, Refusal refusal) {
  request.error = std::move(refusal);
  request.done(request, loop_.now());
}

RuleContext Catalog::rules() const {
  return {.options = options_, .state = state_, .status = [this](StreamUid uid) {
            return status(uid);
          }};
}

CellLoad Catalog::load() const { return {cells_.cells(), state_, fenced_}; }

bool Catalog::alive(StreamUid uid) const {
  const StreamEntry* stream = state_.find(uid);
  return stream != nullptr && !stream->deleting;
}

bool Catalog::shown(StreamUid uid, const ShardEntry& shard) const {
  if (shard.opened) return true;
  const auto at = live_.find(uid);
  return at != live_.end() && at->second.unopenable.contains(shard.number);
}

route::StreamStatus Catalog::status(StreamUid stream) const {
  const auto at = live_.find(stream);
  return at == live_.end() ? StreamStatus::kActive : at->second.status;
}

void Catalog::set_status(StreamUid uid, StreamStatus status) {
  Live& live = live_[uid];
  live.status = status;
  live.route.reset();
}

void Catalog::touch(StreamUid uid) {
  const auto at = live_.find(uid);
  if (at != live_.end()) at->second.route.reset();
}

Nanos Catalog::settle_time() const { return loop_.now() + options_.state_ms * kNanosPerMilli; }

Nanos Catalog::retry_time() const { return loop_.now() + kNanosPerSecond; }

Counts Catalog::counts() const {
  Counts counts;
  counts.streams = static_cast<std::uint32_t>(state_.streams.size());
  for (const auto& [uid, stream] : state_.streams) {
    switch (status(uid)) {
      case StreamStatus::kCreating:
        ++counts.creating;
        break;
      case StreamStatus::kActive:
        ++counts.active;
        break;
      case StreamStatus::kUpdating:
        ++counts.updating;
        break;
      case StreamStatus::kDeleting:
        ++counts.deleting;
        break;
    }
    for (const ShardEntry& shard : stream.shards) {
      ++(shard.open ? counts.open_shards : counts.closed_shards);
    }
  }
  counts.version = state_.version;
  counts.map_epoch = (std::uint64_t{options_.boot_epoch} << 32) + epoch_;
  counts.decisions = decisions_;
  counts.aborts = aborts_;
  counts.read_only = read_only_;
  return counts;
}

// --- CatalogueSource -----------------------------------------------------------------------------

auto Catalog::streams() const -> std::vector<StreamRetention> {
  std::vector<StreamRetention> all;
  all.reserve(state_.streams.size());
  for (const auto& [uid, stream] : state_.streams) {
    all.push_back({uid, std::int64_t{stream.retention_hours} * kMillisPerHour});
  }
  return all;
}

auto Catalog::closed_shards() const -> std::vector<ClosedShard> {
  std::vector<ClosedShard> closed;
  for (const auto& [uid, stream] : state_.streams) {
    if (stream.deleting) continue;
    for (const ShardEntry& shard : stream.shards) {
      if (shard.open || expiring_.contains({uid, shard.number})) continue;
      closed.push_back({{uid, shard.number},
                        shard.cell,
                        shard.closed_retention,
                        std::int64_t{stream.retention_hours} * kMillisPerHour});
    }
  }
  return closed;
}

bool Catalog::holds(ShardKey shard) const {
  const StreamEntry* stream = state_.find(shard.stream);
  if (stream != nullptr && stream->find(shard.shard) != nullptr) return true;
  return state_.kept.contains(shard);
}

void Catalog::expire_shards(std::vector<ShardKey> shards) {
  if (read_only_ || shards.empty()) return;
  expiring_.insert(shards.begin(), shards.end());
  loop_.spawn(drop(std::move(shards)));
}

void Catalog::cell_fenced(CellId cell) {
  if (cell.raw() < fenced_.size()) fenced_[cell.raw()] = true;
}

void Catalog::hold(void (*held)(void* context), void* context) { loop_.spawn(lend(held, context)); }

auto Catalog::lend(void (*held)(void* context), void* context) -> Task<> {
  Gate::Pass pass = co_await gate_.enter();
  lent_.emplace(std::move(pass));
  held(context);
}

std::vector<std::byte> Catalog::encode() const { return encode_snapshot(state_); }

}  // namespace penstock::catalog
