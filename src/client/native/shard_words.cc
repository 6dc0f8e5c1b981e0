#include "client/native/shard_words.h"

namespace penstock::client::native {
namespace {

base::HashKey key_of(const proto::HashKey* key, base::HashKey none) {
  return key == nullptr ? none : base::HashKey{key->high(), key->low()};
}

}  // namespace

route::ShardRoute shard_of(const proto::Shard& shard) {
  route::ShardRoute route;
  route.number = ShardNumber(shard.number());
  route.begin = key_of(shard.begin(), {});
  route.end = key_of(shard.end(), base::kHashKeyMax);
  route.core = CoreId(shard.core());
  route.parent = ShardNumber(shard.parent());
  route.adjacent_parent = ShardNumber(shard.adjacent_parent());
  route.created_second = shard.created_second();
  route.open = shard.open();
  route.final_index = shard.final_index();
  return route;
}

route::StreamStatus status_of(proto::StreamState state) {
  switch (state) {
    case proto::StreamState::Creating:
      return route::StreamStatus::kCreating;
    case proto::StreamState::Active:
      return route::StreamStatus::kActive;
    case proto::StreamState::Updating:
      return route::StreamStatus::kUpdating;
    case proto::StreamState::Deleting:
      return route::StreamStatus::kDeleting;
  }
  return route::StreamStatus::kDeleting;
}

}  // namespace penstock::client::native
