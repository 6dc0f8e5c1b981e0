// Shards as the service lists them.
//
// Source     the Kinesis contract: shapes Shard and ChildShard, shard identifiers
#pragma once

#include "http/json_writer.h"
#include "http/validation.h"
#include "proto/kinesis.h"
#include "route/map.h"

#include <expected>
#include <span>
#include <string_view>

namespace penstock::http {

void write_shard(JsonWriter& json, const route::ShardRoute& shard);
// One of the children that a reader is told of at the end of a shard.
void write_child_shard(JsonWriter& json, const route::ShardRoute& child);
[[nodiscard]] bool is_child_of(const route::ShardRoute& shard, ShardNumber parent);

// The shards behind the given id, in order; all where it is absent; none while the stream is
// CREATING. An id that names nothing a shard could have is refused.
[[nodiscard]] std::expected<std::span<const route::ShardRoute>, proto::KinesisError> shards_after(
    const route::StreamRoute& stream, const Value& shard_id, std::string_view account);

}  // namespace penstock::http
