// Shards as messages have them, as the rest of the program does.
#pragma once

#include "route/map.h"

#include <penstock_generated.h>

namespace penstock::client::native {

[[nodiscard]] route::ShardRoute shard_of(const proto::Shard& shard);
[[nodiscard]] route::StreamStatus status_of(proto::StreamState state);

}  // namespace penstock::client::native
