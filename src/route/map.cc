#include "route/map.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>

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

void StreamRoute::tile() {
  open.clear();
  for (std::uint32_t i = 0; i < shards.size(); ++i) {
    if (shards[i].open) open.push_back(i);
  }
  std::ranges::sort(open, {}, [this](std::uint32_t i) { return shards[i].begin; });
  ends.clear();
  for (const std::uint32_t i : open) ends.push_back(shards[i].end);
  // Four buckets a shard: most hold one border or none.
  const std::size_t buckets = std::bit_ceil(std::clamp<std::size_t>(4 * open.size(), 2, 64 * kKiB));
  shift = static_cast<std::uint32_t>(64 - std::countr_zero(buckets));
  starts.assign(buckets, 0);
  std::uint32_t at = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const base::HashKey first{static_cast<std::uint64_t>(bucket) << shift, 0};
    while (at + 1 < ends.size() && ends[at] < first) ++at;
    starts[bucket] = at;
  }
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

}  // namespace penstock::route
