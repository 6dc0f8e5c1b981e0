#include "catalog/placement.h"

#include "base/assert.h"

#include <algorithm>

namespace penstock::catalog {
namespace {

__extension__ using Wide = unsigned __int128;

base::HashKey to_key(Wide value) {
  return {static_cast<std::uint64_t>(value >> 64), static_cast<std::uint64_t>(value)};
}

}  // namespace

std::vector<Range> initial_ranges(std::uint32_t n) {
  PENSTOCK_ASSERT(n > 0);
  // floor(2^128 / n) without 2^128: it is one more than floor((2^128 - 1) / n) where n divides
  // 2^128. For n = 1 it wraps to 0, which nothing but range 0 multiplies.
  const Wide all = ~Wide{0};
  const Wide width = all / n + (all % n + 1 == n ? 1 : 0);
  std::vector<Range> ranges(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    ranges[i].begin = to_key(width * i);
    ranges[i].end = i + 1 == n ? base::kHashKeyMax : to_key(width * (i + 1) - 1);
  }
  return ranges;
}

CellLoad::CellLoad(std::uint16_t cells, const State& state, const std::vector<bool>& fenced)
    : open_(cells, 0), fenced_(fenced) {
  fenced_.resize(cells, false);
  for (const auto& [uid, stream] : state.streams) {
    if (stream.deleting) continue;
    for (const ShardEntry& shard : stream.shards) {
      if (shard.open) add(shard.cell);
    }
  }
}

CellId CellLoad::place() {
  const bool all_fenced = std::ranges::find(fenced_, false) == fenced_.end();
  std::size_t best = open_.size();
  for (std::size_t cell = 0; cell < open_.size(); ++cell) {
    if (fenced_[cell] && !all_fenced) continue;
    if (best == open_.size() || open_[cell] < open_[best]) best = cell;
  }
  PENSTOCK_ASSERT(best < open_.size());
  ++open_[best];
  return CellId(static_cast<std::uint16_t>(best));
}

void CellLoad::add(CellId cell) {
  if (cell.raw() < open_.size()) ++open_[cell.raw()];
}

void CellLoad::remove(CellId cell) {
  if (cell.raw() < open_.size() && open_[cell.raw()] > 0) --open_[cell.raw()];
}

}  // namespace penstock::catalog
