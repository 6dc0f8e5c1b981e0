// Whether an administrative call may be carried out, and the service's words where not.
//
// Owner      pure functions of the catalogue's state; `status` is what the map shows of each stream
// Errors     none: a refusal is a value
// Source     docs/kinesis-compatibility.md: order of checks and texts
#pragma once

#include "catalog/state.h"
#include "proto/kinesis.h"
#include "route/map.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace penstock::catalog {

struct CatalogOptions {
  proto::Identity identity;
  std::int64_t state_ms = 500;      // how long CREATING, UPDATING, DELETING last at least
  std::uint32_t shards_max = 4096;  // open shards of all streams
  std::uint32_t creating_max = 5;   // streams in state CREATING at a time
  std::uint32_t on_demand_streams_max = 50;
  std::uint32_t on_demand_shards = 4;  // a new stream's, where none are asked for
  std::uint32_t retention_hours = 24;  // a new stream's
  std::uint32_t record_bytes_max = 1'048'576;
  route::ShardLimits limits;
  std::uint32_t boot_epoch = 1;  // high half of map epochs, so that they rise over restarts
  bool blocks_lost = false;      // recovery lost blocks: they may have held entries
};

inline constexpr std::int64_t kRetentionHoursMin = 24;
inline constexpr std::int64_t kRetentionHoursMax = 8760;

using Refusal = std::optional<proto::KinesisError>;
using StatusOf = std::function<route::StreamStatus(StreamUid)>;

struct RuleContext {
  const CatalogOptions& options;
  const State& state;
  StatusOf status;
};

// The shards that CreateStream asks for.
[[nodiscard]] std::uint32_t shards_wanted(const CatalogOptions& options,
                                          const proto::CreateStream& call);

[[nodiscard]] Refusal check_create(const RuleContext& context, const proto::CreateStream& call);
[[nodiscard]] Refusal check_delete(const RuleContext& context, const proto::DeleteStream& call);
[[nodiscard]] Refusal check_retention(const RuleContext& context, const proto::SetRetention& call);
// Both fill in the intent where they find nothing to refuse.
[[nodiscard]] Refusal check_split(const RuleContext& context, const proto::SplitShard& call,
                                  Intent& intent);
[[nodiscard]] Refusal check_merge(const RuleContext& context, const proto::MergeShards& call,
                                  Intent& intent);

// What the caller hears when storage did not take the decision.
[[nodiscard]] proto::KinesisError storage_refusal(ErrorCode code);

[[nodiscard]] std::uint32_t open_shards(const State& state);

}  // namespace penstock::catalog
