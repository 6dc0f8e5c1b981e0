// What several answers say of a shard, and what requests call things.
//
// Owner      nobody: a view holds as long as its table
// Allocates  in the builder
#pragma once

#include "penstock_generated.h"
#include "route/map.h"

#include <string_view>

namespace penstock::net {

[[nodiscard]] inline std::string_view view(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view() : std::string_view(text->c_str(), text->size());
}

[[nodiscard]] inline flatbuffers::Offset<proto::Shard> write_shard(
    flatbuffers::FlatBufferBuilder& table, const route::ShardRoute& shard) {
  const proto::HashKey begin(shard.begin.high, shard.begin.low);
  const proto::HashKey end(shard.end.high, shard.end.low);
  return proto::CreateShard(table, shard.number.raw(), &begin, &end, shard.core.raw(), shard.open,
                            shard.parent.raw(), shard.adjacent_parent.raw(), shard.created_second,
                            shard.final_index);
}

}  // namespace penstock::net
