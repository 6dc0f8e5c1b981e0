// Where new shards go: their hash ranges and their cells.
//
// Owner      pure functions
// Source     kinesis-compatibility: hash key space; ARCHITECTURE: cells
#pragma once

#include "catalog/state.h"

#include <cstdint>
#include <vector>

namespace penstock::catalog {

struct Range {
  base::HashKey begin;  // inclusive
  base::HashKey end;    // inclusive
};

// n ranges of width floor(2^128 / n), the last one longer. REQUIRES: n > 0.
[[nodiscard]] std::vector<Range> initial_ranges(std::uint32_t n);

// How many open shards each cell has, and which cells take no more.
class CellLoad {
 public:
  CellLoad(std::uint16_t cells, const State& state, const std::vector<bool>& fenced);
  // The cell with the fewest open shards, the lowest such; a fenced one only if all are. It counts
  // the shard that will be put there.
  [[nodiscard]] CellId place();
  void add(CellId cell);
  void remove(CellId cell);

 private:
  std::vector<std::uint32_t> open_;
  std::vector<bool> fenced_;
};

}  // namespace penstock::catalog
