// Goal: the superblock survives what a power cut or a bad sector does to it, and says plainly what it
// cannot survive. Method: copies are damaged, aged and replaced in a formatted directory.
#include "storage/superblock.h"

#include "store_rig.h"

#include <gtest/gtest.h>

namespace penstock::storage {
namespace {

Superblock copy(StoreRig& rig, std::size_t i) {
  return format::load<Superblock>(
      rig.read(kSuperblockName, kSuperblockOffsets[i], format::kSectorBytes));
}

void put(StoreRig& rig, std::size_t i, Superblock block, bool hashed = true) {
  if (hashed) block.hash = superblock_hash(block);
  block.copy = static_cast<std::uint16_t>(i);
  rig.write(kSuperblockName, kSuperblockOffsets[i], format::bytes_of(block));
}

ErrorCode open_code(StoreRig& rig) {
  const auto opened = rig.open();
  return opened.has_value() ? ErrorCode{} : opened.error().code;
}

TEST(Superblock, EveryBootRaisesTheEpochInAllCopies) {
  StoreRig rig;
  for (std::uint32_t boot = 1; boot <= 3; ++boot) {
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_EQ(rig.store->boot_epoch(), boot);
    EXPECT_EQ(rig.journal().epoch, boot);
    for (std::size_t i = 0; i < kSuperblockCopies; ++i) {
      EXPECT_EQ(copy(rig, i).boot_epoch, boot);
      EXPECT_EQ(copy(rig, i).copy, i);
    }
  }
}

TEST(Superblock, AnyThreeCopiesMayBeBad) {
  for (unsigned bad = 1; bad < 15; ++bad) {
    StoreRig rig;
    ASSERT_TRUE(rig.open().has_value());
    for (std::size_t i = 0; i < kSuperblockCopies; ++i) {
      if ((bad >> i & 1) != 0) rig.flip(kSuperblockName, kSuperblockOffsets[i] + 300 * i + 70);
    }
    ASSERT_TRUE(rig.open().has_value()) << "bad copies " << bad;
    EXPECT_EQ(rig.store->boot_epoch(), 2U);
    for (std::size_t i = 0; i < kSuperblockCopies; ++i) {
      EXPECT_EQ(copy(rig, i).hash, superblock_hash(copy(rig, i))) << "not repaired: " << i;
    }
  }
}

TEST(Superblock, FourBadCopiesAreCorruptNotForeign) {
  StoreRig rig;
  for (const std::uint64_t offset : kSuperblockOffsets) rig.flip(kSuperblockName, offset + 64);
  EXPECT_EQ(open_code(rig), ErrorCode::kCorrupt);
}

TEST(Superblock, SomebodyElsesFileIsForeign) {
  StoreRig rig;
  rig.zero(kSuperblockName, 0, kSuperblockFileBytes);
  EXPECT_EQ(open_code(rig), ErrorCode::kForeignFormat);
}

TEST(Superblock, EveryBitOfACopyIsCovered) {
  StoreRig rig;
  const Superblock good = copy(rig, 0);
  for (std::size_t byte = 0; byte < sizeof(Superblock); byte += 1) {
    SuperblockCopies copies;
    for (Superblock& c : copies) c.magic = 0;
    copies[0] = good;
    auto* bytes = reinterpret_cast<std::uint8_t*>(copies.data());
    bytes[byte] ^= static_cast<std::uint8_t>(1U << byte % 8);
    const bool is_copy_number =
        byte == offsetof(Superblock, copy) || byte == offsetof(Superblock, copy) + 1;
    EXPECT_EQ(choose_superblock(copies).has_value(), is_copy_number) << "byte " << byte;
  }
}

TEST(Superblock, TheHighestSequenceCounts) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  Superblock older = copy(rig, 0);
  older.seq -= 1;
  older.fences = 1;
  put(rig, 0, older);
  put(rig, 1, older);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_FALSE(rig.cells[0].fenced);
  Superblock newer = copy(rig, 0);
  newer.seq += 5;
  newer.fences = 1;
  put(rig, 2, newer);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_TRUE(rig.cells[0].fenced) << "group B alone was newer";
}

TEST(Superblock, WhatIsNewerIsRefusedUntouched) {
  for (int what = 0; what < 3; ++what) {
    StoreRig rig;
    Superblock newer = copy(rig, 0);
    newer.seq += 1;
    if (what == 0) newer.version = 2;
    if (what == 1) newer.incompat = 2;
    if (what == 2) newer.ro_compat = 1ULL << 63;
    for (std::size_t i = 0; i < kSuperblockCopies; ++i) put(rig, i, newer);
    const auto before = rig.read(kSuperblockName, 0, kSuperblockFileBytes);
    EXPECT_EQ(open_code(rig), ErrorCode::kNewerFormat);
    EXPECT_EQ(rig.read(kSuperblockName, 0, kSuperblockFileBytes), before);
  }
}

// One of before there were producers opens, and from then on is refused by the version of then.
TEST(Superblock, EveryBootSaysThatThereMayBeProducers) {
  StoreRig rig;
  EXPECT_EQ(copy(rig, 0).incompat, kIncompatProducers) << "as formatted";
  Superblock older = copy(rig, 0);
  older.seq += 1;
  older.incompat = 0;
  for (std::size_t i = 0; i < kSuperblockCopies; ++i) put(rig, i, older);
  ASSERT_TRUE(rig.open().has_value());
  for (std::size_t i = 0; i < kSuperblockCopies; ++i) {
    EXPECT_EQ(copy(rig, i).incompat, kIncompatProducers) << i;
  }
}

TEST(Superblock, UnknownCompatibleFeaturesAreIgnored) {
  StoreRig rig;
  Superblock newer = copy(rig, 0);
  newer.seq += 1;
  newer.compat = 1;
  for (std::size_t i = 0; i < kSuperblockCopies; ++i) put(rig, i, newer);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(copy(rig, 0).compat, 1U) << "kept for the version that knows it";
}

TEST(Superblock, SizesOutOfBoundsAreCorrupt) {
  const auto code = [](auto change) {
    StoreRig rig;
    Superblock block = copy(rig, 0);
    block.seq += 1;
    change(block);
    for (std::size_t i = 0; i < kSuperblockCopies; ++i) put(rig, i, block);
    return open_code(rig);
  };
  EXPECT_EQ(code([](Superblock& b) { b.cells = 0; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](Superblock& b) { b.cells = 65; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](Superblock& b) { b.slot_bytes = 0; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](Superblock& b) { b.slot_bytes = 4 * kGiB; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](Superblock& b) { b.slot_bytes = kMiB + 512; }), ErrorCode::kCorrupt);
}

// The superblock of an earlier boot comes back, as from a device that lost its last writes.
TEST(Superblock, OneThatWentBackwardsIsRefusedEveryTime) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  const auto old = rig.read(kSuperblockName, 0, kSuperblockFileBytes);
  ASSERT_TRUE(rig.open().has_value());
  Forge forge(rig);
  forge.open_segment();
  forge.data(1, 0, 3);
  rig.write(kSuperblockName, 0, old);
  EXPECT_EQ(open_code(rig), ErrorCode::kSuperblockStale);
  EXPECT_EQ(open_code(rig), ErrorCode::kSuperblockStale)
      << "trying must not raise it past the check";
}

// Every step of writing a superblock, cut there: the old or the new one, never none.
TEST(Superblock, APowerCutAtAnyWriteLeavesOne) {
  for (std::uint64_t step = 1; step <= 2; ++step) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      StoreRig rig;
      ASSERT_TRUE(rig.open().has_value());
      drivers::SimSurvival survival;
      survival.in_flight = [seed](const drivers::SimWrite&, std::uint32_t sector) {
        return (seed >> sector % 5 & 1) != 0;
      };
      rig.storage.cut_power_at(rig.storage.mutations() + step, drivers::SimCutPhase::kDuring,
                               survival);
      EXPECT_FALSE(rig.store->record_fence(CellId(0)).has_value());
      ASSERT_TRUE(rig.open().has_value()) << "step " << step << " seed " << seed;
      if (step == 2) {
        EXPECT_TRUE(rig.cells[0].fenced) << "group A was durable";
      }
    }
  }
}

}  // namespace
}  // namespace penstock::storage
