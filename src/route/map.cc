#include "route/map.h"

#include "base/assert.h"

#include <algorithm>

namespace penstock::route {

std::string_view name(StreamStatus status) {
  switch (status) {
    case StreamStatus::kCreating:
      return "CREATING";
    case StreamStatus::kActive:
      return "ACTIVE";
    case StreamStatus::kUpdating:
      return "UPDATING";
    case StreamStatus::kDeleting:
      return "DELETING";
  }
  PENSTOCK_ASSERT(false);
  return {};
}

const ShardRoute* StreamRoute::find(base::HashKey key) const {
  // The last open shard that begins at or below the key.
  const auto after = std::upper_bound(
      open.begin(), open.end(), key,
      [this](base::HashKey k, std::uint32_t position) { return k < shards[position].begin; });
  if (after == open.begin()) return nullptr;
  const ShardRoute& shard = shards[*(after - 1)];
  return key <= shard.end ? &shard : nullptr;
}

const ShardRoute* StreamRoute::find(ShardNumber number) const {
  const auto at = std::lower_bound(
      shards.begin(), shards.end(), number,
      [](const ShardRoute& shard, ShardNumber wanted) { return shard.number < wanted; });
  return at != shards.end() && at->number == number ? &*at : nullptr;
}

const StreamRoute* RouteMap::find(std::string_view name) const {
  const auto at = streams.find(name);
  return at == streams.end() ? nullptr : at->second.get();
}

const StreamRoute* RouteMap::find(StreamUid uid) const {
  for (const auto& [name, stream] : streams) {
    if (stream->uid == uid) return stream.get();
  }
  return nullptr;
}

}  // namespace penstock::route
