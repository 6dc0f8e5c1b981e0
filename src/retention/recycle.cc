#include "retention/recycle.h"

#include <algorithm>
#include <unordered_map>

namespace penstock::retention {

std::vector<SegmentNumber> recyclable(std::span<const storage::SegmentSummary> sealed,
                                      const storage::CellSnapshot& state,
                                      const shard::CatalogueSource& catalogue) {
  std::unordered_map<ShardKey, const storage::ShardState*> shards;
  shards.reserve(state.shards.size());
  for (const storage::ShardState& shard : state.shards) shards.emplace(shard.shard, &shard);

  const auto useless = [&](const storage::SegmentSummary::Run& run) {
    if (run.shard == ShardKey{}) return true;
    if (!catalogue.holds(run.shard)) return true;
    const auto known = shards.find(run.shard);
    return known != shards.end() && run.last_index.raw() < known->second->trim_index;
  };
  std::vector<SegmentNumber> numbers;
  for (const storage::SegmentSummary& segment : sealed) {
    if (segment.last > state.covered) continue;
    if (std::ranges::all_of(segment.runs, useless)) numbers.push_back(segment.number);
  }
  return numbers;
}

}  // namespace penstock::retention
