// Goal: no shard is given out before its parents are finished, whatever the order of news. Method: small
// family trees, walked by hand.
#include "client/shard_walk.h"

#include <gtest/gtest.h>

namespace penstock::client {
namespace {

TEST(ShardWalk, GivesRootsInOrderAndEachOnce) {
  ShardWalk walk;
  walk.add("b", {}, {});
  walk.add("a", {}, {});
  walk.add("a", {"b"}, {});  // known: its first description holds
  EXPECT_EQ(walk.take()->id, "a");
  EXPECT_EQ(walk.take()->id, "b");
  EXPECT_FALSE(walk.take());
  EXPECT_EQ(walk.reading(), 2U);
}

TEST(ShardWalk, ASplitsChildrenWaitForTheParent) {
  ShardWalk walk;
  walk.add("0", {}, {});
  walk.add("1", {"0"}, {});
  walk.add("2", {"0"}, {});
  EXPECT_EQ(walk.take()->id, "0");
  EXPECT_FALSE(walk.take());
  EXPECT_EQ(walk.waiting(), 2U);
  walk.finish("0");
  EXPECT_EQ(walk.take()->id, "1");
  EXPECT_EQ(walk.take()->id, "2");
}

TEST(ShardWalk, AMergesChildWaitsForBothParents) {
  ShardWalk walk;
  walk.add("0", {}, {});
  walk.add("1", {}, {});
  walk.add("2", {"0", "1"}, {});
  EXPECT_TRUE(walk.take());
  EXPECT_TRUE(walk.take());
  walk.finish("1");
  EXPECT_FALSE(walk.take());
  walk.finish("0");
  EXPECT_EQ(walk.take()->id, "2");
}

TEST(ShardWalk, ParentsNobodyKnowsDoNotHold) {
  ShardWalk walk;
  walk.add("7", {"3", "4"}, {});
  walk.know_up_to("7");
  EXPECT_EQ(walk.take()->id, "7");
}

TEST(ShardWalk, AParentYoungerThanTheListingHoldsUntilTheNextOne) {
  ShardWalk walk;
  walk.add("0", {}, {});
  walk.add("1", {}, {});
  walk.know_up_to("1");
  EXPECT_EQ(walk.take()->id, "0");
  walk.finish("0");
  walk.add("3", {"0", "2"}, {});  // 2 is a child of 1
  EXPECT_TRUE(walk.wants_listing());
  EXPECT_EQ(walk.take()->id, "1");
  EXPECT_FALSE(walk.take());
  walk.add("2", {"1"}, {});
  walk.know_up_to("3");
  EXPECT_FALSE(walk.wants_listing());
  EXPECT_FALSE(walk.take());
  walk.finish("1");
  EXPECT_EQ(walk.take()->id, "2");
  EXPECT_FALSE(walk.take());
  walk.finish("2");
  EXPECT_EQ(walk.take()->id, "3");
}

TEST(ShardWalk, AParentThatTheNextListingDoesNotHaveIsGone) {
  ShardWalk walk;
  walk.add("0", {}, {});
  walk.know_up_to("0");
  EXPECT_TRUE(walk.take());
  walk.finish("0");
  walk.add("3", {"0", "2"}, {});
  EXPECT_FALSE(walk.take());
  walk.know_up_to("3");
  EXPECT_EQ(walk.take()->id, "3");
}

TEST(ShardWalk, AGrandchildWaitsForAParentThatWasNotTakenYet) {
  ShardWalk walk;
  walk.add("0", {}, {});
  walk.add("1", {"0"}, {});
  walk.add("2", {"1"}, {});
  EXPECT_EQ(walk.take()->id, "0");
  walk.finish("0");
  EXPECT_EQ(walk.take()->id, "1");
  EXPECT_FALSE(walk.take());
  walk.finish("2");  // never taken: no effect
  walk.finish("1");
  EXPECT_EQ(walk.take()->id, "2");
  walk.finish("2");
  walk.finish("2");
  EXPECT_EQ(walk.reading(), 0U);
  EXPECT_EQ(walk.waiting(), 0U);
}

}  // namespace
}  // namespace penstock::client
