#include "catalog/routes.h"

#include <algorithm>
#include <set>

namespace penstock::catalog {

std::shared_ptr<const route::StreamRoute> make_stream_route(const StreamEntry& stream,
                                                            const RouteView& view) {
  auto made = std::make_shared<route::StreamRoute>();
  made->uid = stream.uid;
  made->name = stream.name;
  made->status = view.status;
  made->mode = stream.mode;
  made->created_ms = stream.created_ms;
  made->retention_hours = stream.retention_hours;
  made->record_bytes_max = stream.record_bytes_max;
  made->limits = stream.limits;
  if (view.status == route::StreamStatus::kCreating) return made;

  // One split or merge at a time: all children not shown are of the same one.
  std::set<ShardNumber> parents_kept_open;
  bool all_shown = true;
  for (const ShardEntry& shard : stream.shards) all_shown = all_shown && view.shown(shard);
  std::uint64_t pending = 0;  // the decision whose children stay hidden
  for (const ShardEntry& shard : stream.shards) {
    if (!view.shown(shard)) pending = shard.decided;
  }
  for (const ShardEntry& shard : stream.shards) {
    if (all_shown || shard.decided != pending) continue;
    parents_kept_open.insert(shard.parent);
    parents_kept_open.insert(shard.adjacent_parent);
  }
  for (const ShardEntry& shard : stream.shards) {
    if (!all_shown && shard.decided == pending) continue;
    const bool open = shard.open || parents_kept_open.contains(shard.number);
    route::ShardRoute route;
    route.number = shard.number;
    route.begin = shard.begin;
    route.end = shard.end;
    route.cell = shard.cell;
    route.core = view.core_of(shard.cell);
    route.parent = shard.parent;
    route.adjacent_parent = shard.adjacent_parent;
    route.created_second = shard.created_second;
    route.open = open;
    route.closed_ms = open ? 0 : shard.closed_ms;
    route.final_index = open ? 0 : shard.final_index;
    made->shards.push_back(route);
  }
  made->tile();
  return made;
}

}  // namespace penstock::catalog
