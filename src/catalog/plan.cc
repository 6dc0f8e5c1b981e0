#include "catalog/plan.h"

#include "base/assert.h"

#include <algorithm>

namespace penstock::catalog {
namespace {

constexpr std::int64_t kMillisPerSecond = 1000;

ShardEntry make_child(const StreamEntry& stream, const Intent& intent, std::uint32_t nth,
                      std::int64_t created_second) {
  ShardEntry child;
  child.number = ShardNumber(stream.next_shard + nth);
  child.parent = intent.parent;
  child.adjacent_parent = intent.adjacent_parent;
  child.created_second = created_second;
  return child;
}

}  // namespace

Create plan_create(const CatalogOptions& options, const State& state, CellLoad load,
                   const proto::CreateStream& call, WallMillis wall) {
  StreamEntry stream;
  stream.uid = StreamUid(state.next_uid);
  stream.name = call.name;
  stream.mode = call.mode;
  stream.created_ms = wall.raw();
  stream.retention_hours = options.retention_hours;
  stream.record_bytes_max = options.record_bytes_max;
  stream.limits = options.limits;
  for (const Range& range : initial_ranges(shards_wanted(options, call))) {
    ShardEntry shard;
    shard.number = ShardNumber(stream.next_shard++);
    shard.begin = range.begin;
    shard.end = range.end;
    shard.cell = load.place();
    shard.created_second = wall.raw() / kMillisPerSecond;
    stream.shards.push_back(shard);
  }
  return Create{.stream = std::move(stream)};
}

Commit plan_commit(const StreamEntry& stream, CellLoad load, const std::vector<ParentClose>& closes,
                   WallMillis wall, RetentionMillis retention) {
  PENSTOCK_ASSERT(stream.intent.has_value());
  const Intent& intent = *stream.intent;
  Commit commit;
  commit.stream = stream.uid;
  commit.closed_retention = retention;
  commit.closed_ms = wall.raw();
  for (const ParentClose& close : closes) {
    const ShardEntry* parent = stream.find(close.number);
    PENSTOCK_ASSERT(parent != nullptr);
    commit.parents.push_back({.number = close.number, .final_index = close.final_index});
    commit.closed_ms = std::max(
        {commit.closed_ms, close.last_arrival.raw(), parent->created_second * kMillisPerSecond});
    load.remove(parent->cell);
  }
  const std::int64_t created = commit.closed_ms / kMillisPerSecond + 1;
  const ShardEntry* lower = stream.find(intent.parent);
  PENSTOCK_ASSERT(lower != nullptr);
  if (intent.is_merge()) {
    const ShardEntry* upper = stream.find(intent.adjacent_parent);
    PENSTOCK_ASSERT(upper != nullptr);
    ShardEntry child = make_child(stream, intent, 0, created);
    child.begin = lower->begin;
    child.end = upper->end;
    child.cell = load.place();
    commit.children.push_back(child);
    return commit;
  }
  ShardEntry below = make_child(stream, intent, 0, created);
  below.begin = lower->begin;
  below.end = base::previous(intent.split_key);
  below.cell = lower->cell;
  load.add(below.cell);
  ShardEntry above = make_child(stream, intent, 1, created);
  above.begin = intent.split_key;
  above.end = lower->end;
  above.cell = load.place();
  commit.children = {below, above};
  return commit;
}

}  // namespace penstock::catalog
