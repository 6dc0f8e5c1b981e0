// Puts a call that was found good into the form of a decision: numbers, ranges, cells, times.
//
// Owner      pure functions
// Source     kinesis-compatibility: hash key space, parents and children, sequence numbers
#pragma once

#include "catalog/placement.h"
#include "catalog/rules.h"
#include "catalog/state.h"
#include "penstock/units.h"

#include <vector>

namespace penstock::catalog {

[[nodiscard]] Create plan_create(const CatalogOptions& options, const State& state, CellLoad load,
                                 const proto::CreateStream& call, WallMillis wall);

// What the close of a parent told.
struct ParentClose {
  ShardNumber number;
  std::uint64_t final_index = 0;
  WallMillis last_arrival;
};

// Children sort above everything their parents hold: they are created in the second after the close,
// and the close is no earlier than the parents' creation and last record, whatever the wall says.
// REQUIRES: the stream has an intent, and `closes` are its parents.
[[nodiscard]] Commit plan_commit(const StreamEntry& stream, CellLoad load,
                                 const std::vector<ParentClose>& closes, WallMillis wall,
                                 RetentionMillis retention);

}  // namespace penstock::catalog
