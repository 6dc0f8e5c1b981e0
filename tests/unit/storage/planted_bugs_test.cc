// Goal: each proof that recovery asks of a block is looked at by a test that misses it. Method: a
// scenario that the proof decides, told of a whole recovery and of one with the planted bug.
#include "storage/sabotage.h"
#include "store_rig.h"

#include <gtest/gtest.h>

namespace penstock::storage {
namespace {

struct Planted {
  explicit Planted(Sabotage which) { g_sabotage = which; }
  ~Planted() { g_sabotage = Sabotage::kNone; }
  Planted(const Planted&) = delete;
  Planted& operator=(const Planted&) = delete;
};

// Blocks 1 and 2 of one boot, and then block 1 anew, with other content, by a boot that does not know
// that it is a later one: block 2 descends from what is no longer there.
std::uint64_t blocks_kept_of_another_history(Sabotage which) {
  StoreRig rig;
  EXPECT_TRUE(rig.open().has_value());
  Forge first(rig);
  first.open_segment();
  const Placed replaced = first.data(1, 0, 10, 0);
  first.data(1, 10, 10, 0);
  const std::string slot = first.name();
  BlockSpec other;
  other.frames.push_back(ForgedFrame::data(2, 0, 10));
  {
    EXPECT_TRUE(rig.open().has_value());
    StoreRig twin;  // the same journal, empty, for a block image of its first boot
    EXPECT_TRUE(twin.open().has_value());
    twin.journal().box = rig.journal().box;
    twin.journal().tag = rig.journal().tag;
    twin.journal().chain = rig.journal().segments.at(0).base_chain;
    Forge again(twin);
    again.open_segment();
    const auto bytes = again.image(other);
    EXPECT_EQ(bytes.size(), replaced.length);
    rig.write(slot, replaced.offset, bytes);
  }
  const Planted planted(which);
  EXPECT_TRUE(rig.open().has_value());
  return rig.journal().recovered.raw();
}

TEST(PlantedBugs, WithoutTheChainABlockOfAnotherHistoryIsTaken) {
  EXPECT_EQ(blocks_kept_of_another_history(Sabotage::kNone), 1U);
  EXPECT_EQ(blocks_kept_of_another_history(Sabotage::kSkipChain), 2U);
}

// Both ends of the tree of checksums: other content, other sum.
TEST(PlantedBugs, TheSumOfHeadersIsNotTheSameForAll) {
  const ForgedFrame one = ForgedFrame::data(1, 0, 10);
  const ForgedFrame other = ForgedFrame::data(1, 1, 10);
  ASSERT_EQ(one.body.size(), other.body.size());
  EXPECT_NE(one.header.body_crc, other.header.body_crc);
  EXPECT_NE(format::headers_crc(0, one.header.body_crc), format::headers_crc(0, 0));
}

std::uint32_t epochs_after_two_starts(Sabotage which) {
  StoreRig rig;
  const Planted planted(which);
  EXPECT_TRUE(rig.open().has_value());
  const std::uint32_t first = rig.journal().epoch;
  EXPECT_TRUE(rig.open().has_value());
  return rig.journal().epoch - first;
}

TEST(PlantedBugs, WithoutAnEpochTwoBootsWriteTheSame) {
  EXPECT_EQ(epochs_after_two_starts(Sabotage::kNone), 1U);
  EXPECT_EQ(epochs_after_two_starts(Sabotage::kSkipEpoch), 0U);
}

// Block 2 of 3 never arrived and none was acknowledged: what stands behind it is cut off.
std::uint64_t kept_behind_a_torn_block(Sabotage which) {
  StoreRig rig;
  EXPECT_TRUE(rig.open().has_value());
  Forge forge(rig);
  forge.open_segment();
  forge.data(1, 0, 10, 0);
  forge.data(1, 10, 10, 1, false);
  forge.data(1, 20, 10, 1);
  const Planted planted(which);
  EXPECT_TRUE(rig.open().has_value());
  return rig.journal().recovered.raw();
}

TEST(PlantedBugs, ResurrectedBlocksStandBehindAGap) {
  EXPECT_EQ(kept_behind_a_torn_block(Sabotage::kNone), 1U);
  EXPECT_EQ(kept_behind_a_torn_block(Sabotage::kResurrectAfterTruncate), 3U);
}

}  // namespace
}  // namespace penstock::storage
