// Goal: a key finds the open shard whose range holds it, and no other. Method: a stream with a
// split behind it, keys on every border.
#include "route/map.h"

#include <gtest/gtest.h>

namespace penstock::route {
namespace {

ShardRoute shard(std::uint32_t number, base::HashKey begin, base::HashKey end) {
  ShardRoute route;
  route.number = ShardNumber(number);
  route.begin = begin;
  route.end = end;
  return route;
}

StreamRoute split_once() {
  StreamRoute stream;
  stream.uid = StreamUid(7);
  stream.name = "fleet";
  const base::HashKey middle{1ULL << 63, 0};
  stream.shards = {shard(0, {}, base::kHashKeyMax), shard(1, {}, base::previous(middle)),
                   shard(2, middle, base::kHashKeyMax)};
  stream.shards[0].open = false;
  stream.open = {1, 2};
  return stream;
}

TEST(RouteMap, FindsTheOpenShardOnBothSidesOfABorder) {
  const StreamRoute stream = split_once();
  EXPECT_EQ(stream.find(base::HashKey{})->number, ShardNumber(1));
  EXPECT_EQ(stream.find(base::HashKey{(1ULL << 63) - 1, ~0ULL})->number, ShardNumber(1));
  EXPECT_EQ(stream.find(base::HashKey{1ULL << 63, 0})->number, ShardNumber(2));
  EXPECT_EQ(stream.find(base::kHashKeyMax)->number, ShardNumber(2));
}

TEST(StreamStatus, IsNamedAsTheServiceNamesIt) {
  EXPECT_EQ(name(StreamStatus::kCreating), "CREATING");
  EXPECT_EQ(name(StreamStatus::kActive), "ACTIVE");
  EXPECT_EQ(name(StreamStatus::kUpdating), "UPDATING");
  EXPECT_EQ(name(StreamStatus::kDeleting), "DELETING");
}

TEST(RouteMap, FindsClosedShardsByNumberAndNothingForOthers) {
  const StreamRoute stream = split_once();
  ASSERT_NE(stream.find(ShardNumber(0)), nullptr);
  EXPECT_FALSE(stream.find(ShardNumber(0))->open);
  EXPECT_EQ(stream.find(ShardNumber(3)), nullptr);
}

TEST(RouteMap, HasNoShardForAKeyWhileCreating) {
  const StreamRoute stream;
  EXPECT_EQ(stream.find(base::HashKey{}), nullptr);
}

TEST(RouteMap, FindsStreamsByNameAndByIncarnation) {
  RouteMap map;
  map.streams["fleet"] = std::make_shared<const StreamRoute>(split_once());
  ASSERT_NE(map.find("fleet"), nullptr);
  EXPECT_EQ(map.find("flee"), nullptr);
  EXPECT_EQ(map.find(StreamUid(7)), map.find("fleet"));
  EXPECT_EQ(map.find(StreamUid(8)), nullptr);
}

}  // namespace
}  // namespace penstock::route
