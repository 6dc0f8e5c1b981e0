// Goal: a segment is given up only when every frame in it is of no use.
// Method: segments of one and of several runs, each with one reason to stay or go.
#include "retention/recycle.h"

#include "tests/unit/retention/fake_catalogue.h"

#include <gtest/gtest.h>

namespace penstock::retention {
namespace {

constexpr ShardKey kAlive{StreamUid(1), ShardNumber(0)};
constexpr ShardKey kOther{StreamUid(1), ShardNumber(1)};
constexpr ShardKey kGone{StreamUid(2), ShardNumber(0)};

storage::SegmentSummary segment(std::uint64_t number, std::uint64_t last,
                                std::vector<storage::SegmentSummary::Run> runs) {
  return {.number = SegmentNumber(number), .last = Lsn(last), .runs = std::move(runs)};
}
storage::SegmentSummary::Run run(ShardKey key, std::uint64_t last_index) {
  return {.shard = key, .last_index = RecordIndex(last_index), .retention_last = {}};
}

class Recycle : public testing::Test {
 protected:
  Recycle() {
    catalogue.shards = {kAlive, kOther};
    state.covered = Lsn(100);
    add(kAlive, 50);
    add(kOther, 0);
  }
  void add(ShardKey key, std::uint64_t trim) {
    storage::ShardState shard;
    shard.shard = key;
    shard.next_index = 1000;
    shard.trim_index = trim;
    state.shards.push_back(shard);
  }
  [[nodiscard]] bool goes(const storage::SegmentSummary& one) const {
    const std::vector<storage::SegmentSummary> sealed{one};
    return !recyclable(sealed, state, catalogue).empty();
  }
  FakeCatalogue catalogue;
  storage::CellSnapshot state;
};

TEST_F(Recycle, BelowTheTrimPoint) {
  EXPECT_TRUE(goes(segment(1, 10, {run(kAlive, 49)})));
  EXPECT_FALSE(goes(segment(1, 10, {run(kAlive, 50)}))) << "record 50 stays";
}

TEST_F(Recycle, OneRunThatIsNeededKeepsAll) {
  EXPECT_FALSE(goes(segment(1, 10, {run(kAlive, 49), run(kOther, 0)})));
  EXPECT_TRUE(goes(segment(1, 10, {run(kAlive, 49), run(kGone, 7)})));
}

TEST_F(Recycle, WhatTheSnapshotDoesNotCoverStays) {
  EXPECT_TRUE(goes(segment(1, 100, {run(kAlive, 1)})));
  EXPECT_FALSE(goes(segment(1, 101, {run(kAlive, 1)})));
  EXPECT_FALSE(goes(segment(1, 101, {}))) << "its control frames would be lost";
}

TEST_F(Recycle, ControlFramesAloneGo) {
  EXPECT_TRUE(goes(segment(1, 10, {})));
  EXPECT_TRUE(goes(segment(1, 10, {run(ShardKey{}, 10)})));
}

TEST_F(Recycle, AShardThatOnlyTheCatalogueKnowsStays) {
  catalogue.shards.insert({StreamUid(3), ShardNumber(0)});
  EXPECT_FALSE(goes(segment(1, 10, {run({StreamUid(3), ShardNumber(0)}, 0)})));
}

}  // namespace
}  // namespace penstock::retention
