#include "http/shard_json.h"

#include "http/errors.h"
#include "http/sequence_check.h"

#include <algorithm>

namespace penstock::http {

namespace {

void write_hash_range(JsonWriter& json, const route::ShardRoute& shard) {
  json.key("HashKeyRange").begin_object();
  json.key("StartingHashKey").string(shard.begin.decimal());
  json.key("EndingHashKey").string(shard.end.decimal());
  json.end_object();
}

}  // namespace

void write_shard(JsonWriter& json, const route::ShardRoute& shard) {
  json.begin_object().key("ShardId").string(proto::shard_id(shard.number));
  if (shard.parent != route::kNoShard) {
    json.key("ParentShardId").string(proto::shard_id(shard.parent));
  }
  if (shard.adjacent_parent != route::kNoShard) {
    json.key("AdjacentParentShardId").string(proto::shard_id(shard.adjacent_parent));
  }
  write_hash_range(json, shard);
  json.key("SequenceNumberRange").begin_object();
  json.key("StartingSequenceNumber").string(starting_sequence(shard).decimal());
  if (!shard.open) json.key("EndingSequenceNumber").string(ending_sequence(shard).decimal());
  json.end_object().end_object();
}

void write_child_shard(JsonWriter& json, const route::ShardRoute& child) {
  json.begin_object().key("ShardId").string(proto::shard_id(child.number));
  json.key("ParentShards").begin_array();
  json.string(proto::shard_id(child.parent));
  if (child.adjacent_parent != route::kNoShard) {
    json.string(proto::shard_id(child.adjacent_parent));
  }
  json.end_array();
  write_hash_range(json, child);
  json.end_object();
}

bool is_child_of(const route::ShardRoute& shard, ShardNumber parent) {
  return shard.parent == parent || shard.adjacent_parent == parent;
}

std::expected<std::span<const route::ShardRoute>, proto::KinesisError> shards_after(
    const route::StreamRoute& stream, const Value& shard_id, std::string_view account) {
  std::span<const route::ShardRoute> shards;
  if (stream.status != route::StreamStatus::kCreating) shards = stream.shards;
  if (!shard_id.present) return shards;
  const std::optional<ShardNumber> number = proto::parse_shard_id(shard_id.text);
  if (!number) return std::unexpected(shard_not_resolved(shard_id.text, stream.name, account));
  const auto after = std::upper_bound(
      shards.begin(), shards.end(), *number,
      [](ShardNumber wanted, const route::ShardRoute& shard) { return wanted < shard.number; });
  return shards.subspan(static_cast<std::size_t>(after - shards.begin()));
}

}  // namespace penstock::http
