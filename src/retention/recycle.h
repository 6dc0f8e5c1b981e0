// Which sealed segments nobody needs any more.
//
// Owner      pure functions
// Source     ARCHITECTURE: slots, catalogue; src/storage/FORMAT.md
#pragma once

#include "shard/service.h"
#include "storage/journal.h"
#include "storage/store.h"

#include <span>
#include <vector>

namespace penstock::retention {

// Segments that hold nothing but what `state`, once durable, says better: control frames at or below
// the covered block, records below their shard's trim point, records of shards that are gone.
// REQUIRES: `sealed` and `state` are of one moment; the catalogue is as of that moment or earlier.
[[nodiscard]] std::vector<SegmentNumber> recyclable(std::span<const storage::SegmentSummary> sealed,
                                                    const storage::CellSnapshot& state,
                                                    const shard::CatalogueSource& catalogue);

}  // namespace penstock::retention
