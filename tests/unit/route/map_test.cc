// Goal: a key finds the open shard whose range holds it, and no other. Method: a stream with a
// split behind it, keys on every border.
#include "route/map.h"

#include <gtest/gtest.h>

#include <iterator>
#include <random>
#include <set>

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
  stream.tile();
  return stream;
}

TEST(RouteMap, FindsTheOpenShardOnBothSidesOfABorder) {
  const StreamRoute stream = split_once();
  EXPECT_EQ(stream.find(base::HashKey{})->number, ShardNumber(1));
  EXPECT_EQ(stream.find(base::HashKey{(1ULL << 63) - 1, ~0ULL})->number, ShardNumber(1));
  EXPECT_EQ(stream.find(base::HashKey{1ULL << 63, 0})->number, ShardNumber(2));
  EXPECT_EQ(stream.find(base::kHashKeyMax)->number, ShardNumber(2));
}

// Uneven shards, more and fewer than the buckets of the look-up: each border from both sides, and keys of chance.
TEST(RouteMap, FindsWhatALinearSearchFinds) {
  std::mt19937_64 random(3);
  for (const std::size_t count : {1U, 2U, 3U, 5U, 64U, 1'000U}) {
    std::set<base::HashKey> begins = {base::HashKey{}};
    while (begins.size() < count) {
      // Half of them crowd into one bucket.
      begins.insert(base::HashKey{random() >> (random() % 2 == 0 ? 0 : 40), random()});
    }
    StreamRoute stream;
    for (auto at = begins.begin(); at != begins.end(); ++at) {
      const auto next = std::next(at);
      stream.shards.push_back(
          shard(static_cast<std::uint32_t>(stream.shards.size()), *at,
                next == begins.end() ? base::kHashKeyMax : base::previous(*next)));
    }
    stream.tile();
    const auto check = [&stream](base::HashKey key) {
      const ShardRoute* found = stream.find(key);
      ASSERT_NE(found, nullptr);
      EXPECT_TRUE(found->begin <= key && key <= found->end);
    };
    for (const ShardRoute& one : stream.shards) {
      check(one.begin);
      check(one.end);
    }
    for (int i = 0; i < 1'000; ++i) check(base::HashKey{random(), random()});
  }
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

TEST(RouteMap, FindsStreamsByName) {
  RouteMap map;
  map.streams["fleet"] = std::make_shared<const StreamRoute>(split_once());
  ASSERT_NE(map.find("fleet"), nullptr);
  EXPECT_EQ(map.find("flee"), nullptr);
}

}  // namespace
}  // namespace penstock::route
