// Goal: recovery keeps every acknowledged record that can be read, names those that cannot, and never
// brings back what was cut off. Method: segments are forged block by block, torn, damaged or left
// over from an earlier timeline, and opened.
#include "storage/recovery.h"

#include "storage/sabotage.h"
#include "store_rig.h"

#include <gtest/gtest.h>

namespace penstock::storage {
namespace {

constexpr std::uint64_t kSector = format::kSectorBytes;

std::uint64_t next_index(StoreRig& rig, std::uint32_t shard) {
  const ShardState* state = rig.shard(shard);
  return state == nullptr ? 0 : state->next_index;
}

// One boot with a segment of a few blocks of shard 1: records [0, 10) [10, 20) …
struct Journaled {
  explicit Journaled(int blocks, std::uint64_t durable_lag = 1) {
    EXPECT_TRUE(rig.open().has_value());
    forge = std::make_unique<Forge>(rig);
    forge->open_segment();
    for (int i = 0; i < blocks; ++i) {
      const std::uint64_t lsn = forge->lsn();
      placed.push_back(forge->data(1, static_cast<std::uint64_t>(i) * 10, 10,
                                   lsn > durable_lag ? lsn - durable_lag : 0));
    }
    name = forge->name();
  }
  StoreRig rig;
  std::unique_ptr<Forge> forge;
  std::vector<Placed> placed;
  std::string name;
};

TEST(Recovery, AnEmptyDirectoryStartsAtLsnOne) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.journal().next_lsn, Lsn(1));
  EXPECT_EQ(rig.journal().recovered, Lsn(0));
  EXPECT_EQ(rig.journal().next_segment, SegmentNumber(1));
  EXPECT_TRUE(rig.journal().segments.empty());
  EXPECT_EQ(rig.journal().free.size(), 4U);
  EXPECT_TRUE(rig.store->report().notes.empty());
}

TEST(Recovery, GoesOnRightBehindTheLastBlock) {
  Journaled j(5);
  const std::uint64_t end = j.forge->offset();
  ASSERT_TRUE(j.rig.open().has_value());
  const RecoveredJournal& journal = j.rig.journal();
  EXPECT_EQ(journal.next_lsn, Lsn(6));
  EXPECT_EQ(journal.epoch, 2U);
  EXPECT_EQ(journal.free.size(), 3U);
  ASSERT_EQ(journal.segments.size(), 1U);
  const RecoveredSegment& segment = journal.segments[0];
  EXPECT_FALSE(segment.sealed);
  EXPECT_EQ(segment.blocks_end, end);
  EXPECT_EQ(segment.block_count, 5U);
  ASSERT_EQ(segment.frames.size(), 5U);
  EXPECT_EQ(segment.frames[3].entry.first_index, 30U);
  EXPECT_EQ(segment.frames[3].entry.records, 10U);
  EXPECT_EQ(segment.frames[3].entry.offset, j.placed[3].offset + sizeof(format::BlockHeader));
  EXPECT_EQ(segment.frames[3].shard, key_of(1));
  EXPECT_EQ(next_index(j.rig, 1), 50U);
  EXPECT_EQ(j.rig.store->report().torn_blocks, 0U);
  EXPECT_TRUE(j.rig.store->report().notes.empty());

  // And the next boot reads both epochs.
  Forge second(j.rig);
  second.data(1, 50, 10);
  second.data(1, 60, 10);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(8));
  EXPECT_EQ(next_index(j.rig, 1), 70U);
}

// The last block is torn at every sector: it is gone, all before it stays, nobody calls it loss.
TEST(Recovery, ALastBlockTornAtAnySectorIsCutOff) {
  constexpr std::uint64_t kSectors = 4;
  for (unsigned written = 0; written < (1U << kSectors) - 1; ++written) {
    Journaled j(2, 1);
    const auto frame = ForgedFrame::data(1, 20, 10, 1450);
    const Placed last = j.forge->block({{frame}, 0, 2});
    ASSERT_EQ(last.length, kSectors * kSector);
    for (std::uint64_t s = 0; s < kSectors; ++s) {
      if ((written >> s & 1) == 0) j.rig.zero(j.name, last.offset + s * kSector, kSector);
    }
    ASSERT_TRUE(j.rig.open().has_value());
    EXPECT_EQ(j.rig.journal().next_lsn, Lsn(3)) << "sectors " << written;
    EXPECT_EQ(next_index(j.rig, 1), 20U);
    EXPECT_EQ(j.rig.store->report().quarantined_blocks, 0U);
    EXPECT_TRUE(j.rig.journal().lost.empty());
    EXPECT_EQ(j.rig.store->report().torn_blocks, (written & 1) != 0 ? 1U : 0U);
    EXPECT_EQ(j.rig.journal().segments.at(0).blocks_end, last.offset);
  }
}

// Four blocks in flight, any subset of which reached the device: the contiguous prefix survives.
TEST(Recovery, AnySubsetOfBlocksInFlight) {
  for (unsigned arrived = 0; arrived < 16; ++arrived) {
    Journaled j(2);
    for (unsigned i = 0; i < 4; ++i) {
      j.forge->data(1, 20 + i * 10, 10, 2, (arrived >> i & 1) != 0);
    }
    unsigned prefix = 0;
    while (prefix < 4 && (arrived >> prefix & 1) != 0) ++prefix;
    ASSERT_TRUE(j.rig.open().has_value());
    EXPECT_EQ(j.rig.journal().next_lsn, Lsn(3 + prefix)) << arrived;
    EXPECT_EQ(next_index(j.rig, 1), 20U + prefix * 10);
    EXPECT_EQ(j.rig.store->report().quarantined_blocks, 0U);
  }
}

// A bit of any region of an acknowledged block goes bad: found, named, and never taken for the data.
TEST(Recovery, ABitFlipAnywhereInAnAcknowledgedBlockIsNamed) {
  Journaled model(5);
  const Placed victim = model.placed[2];
  const auto header =
      format::load<format::BlockHeader>(model.rig.read(model.name, victim.offset, victim.length));
  const std::uint64_t used = sizeof(header) + header.payload_len;
  for (std::uint64_t at = 0; at < used; at += 3) {
    Journaled j(5);
    j.rig.flip(j.name, victim.offset + at);
    ASSERT_TRUE(j.rig.open().has_value()) << at;
    EXPECT_EQ(j.rig.journal().next_lsn, Lsn(6)) << "nothing is cut off, byte " << at;
    EXPECT_EQ(next_index(j.rig, 1), 50U);
    EXPECT_EQ(j.rig.store->report().quarantined_blocks, 1U) << at;
    EXPECT_EQ(j.rig.store->report().torn_blocks, 0U);
    ASSERT_EQ(j.rig.journal().lost.size(), 1U) << at;
    EXPECT_EQ(j.rig.journal().lost[0].shard, key_of(1));
    EXPECT_EQ(j.rig.journal().lost[0].from, RecordIndex(20));
    EXPECT_EQ(j.rig.journal().lost[0].until, RecordIndex(30));
    EXPECT_FALSE(j.rig.store->report().notes.empty());
  }
}

// The same without evidence that the block was durable: an unacknowledged block is cut off.
TEST(Recovery, ABitFlipInTheTailIsATornTail) {
  Journaled j(5, 100);
  j.rig.flip(j.name, j.placed[4].offset + 200);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(5));
  EXPECT_EQ(j.rig.store->report().quarantined_blocks, 0U);
}

TEST(Recovery, TheIdleBlockVouchesForTheLastBlock) {
  Journaled j(5, 100);
  j.forge->idle();
  j.rig.flip(j.name, j.placed[4].offset + 20);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(7));
  EXPECT_EQ(j.rig.store->report().quarantined_blocks, 1U);
  // No later frame says how much was lost, so numbers are skipped, not given twice.
  EXPECT_GE(next_index(j.rig, 1), 50U);
  ASSERT_EQ(j.rig.journal().lost.size(), 1U);
  EXPECT_EQ(j.rig.journal().lost[0].from, RecordIndex(40));
  EXPECT_GE(j.rig.journal().lost[0].until, RecordIndex(50));
  EXPECT_EQ(j.rig.journal().lost[0].until.raw(), next_index(j.rig, 1));
}

TEST(Recovery, SeveralBlocksLostInARowAreOneHole) {
  Journaled j(8);
  j.rig.zero(j.name, j.placed[2].offset, j.placed[5].offset - j.placed[2].offset);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.store->report().quarantined_blocks, 3U);
  ASSERT_EQ(j.rig.journal().lost.size(), 1U);
  EXPECT_EQ(j.rig.journal().lost[0].from, RecordIndex(20));
  EXPECT_EQ(j.rig.journal().lost[0].until, RecordIndex(50));
  EXPECT_EQ(next_index(j.rig, 1), 80U);
}

TEST(Recovery, AFrameWithABadBodyCostsItsRecordsAlone) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  Forge forge(rig);
  forge.open_segment();
  const Placed block =
      forge.block({{ForgedFrame::data(1, 0, 10), ForgedFrame::data(2, 0, 4)}, 0, 0});
  forge.idle();
  const auto second = sizeof(format::BlockHeader) + sizeof(format::FrameHeader) + 300;
  rig.flip(forge.name(), block.offset + second);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(next_index(rig, 1), 10U);
  EXPECT_EQ(next_index(rig, 2), 4U);
  ASSERT_EQ(rig.journal().lost.size(), 1U);
  EXPECT_EQ(rig.journal().lost[0].shard, key_of(1));
  EXPECT_EQ(rig.journal().lost[0].until, RecordIndex(10));
}

// A tail is cut off; the next boot writes a shorter history over it. What is left of the old one behind
// the new end must stay dead, however the new one ends.
TEST(Recovery, WhatWasCutOffNeverComesBack) {
  for (unsigned new_blocks = 1; new_blocks <= 3; ++new_blocks) {
    for (const bool torn_again : {false, true}) {
      Journaled j(2);
      const Placed hole = j.forge->data(1, 20, 10, 2, false);
      j.forge->data(1, 30, 10, 2);
      j.forge->data(1, 40, 10, 2);
      j.forge->data(1, 50, 10, 2);
      ASSERT_TRUE(j.rig.open().has_value());
      ASSERT_EQ(j.rig.journal().next_lsn, Lsn(3));
      EXPECT_EQ(j.rig.store->report().torn_blocks, 3U);
      EXPECT_EQ(j.rig.journal().segments.at(0).blocks_end, hole.offset);

      // Blocks of the same length, so that old ones lie exactly where new ones would follow.
      Forge second(j.rig);
      for (unsigned i = 0; i < new_blocks; ++i) {
        const bool last = i + 1 == new_blocks;
        second.data(1, 20 + i * 10, 10, 2 + i, !(last && torn_again));
      }
      ASSERT_TRUE(j.rig.open().has_value());
      const unsigned kept = torn_again ? new_blocks - 1 : new_blocks;
      EXPECT_EQ(j.rig.journal().next_lsn, Lsn(3 + kept)) << new_blocks << torn_again;
      EXPECT_EQ(next_index(j.rig, 1), 20U + kept * 10);
      EXPECT_EQ(j.rig.store->report().quarantined_blocks, 0U);
      EXPECT_TRUE(j.rig.journal().lost.empty());
    }
  }
}

// Behind a hole there is no predecessor to check against; stale blocks still do not pass.
TEST(Recovery, StaleBlocksBehindAHoleAreNotTaken) {
  Journaled j(2);
  j.forge->data(1, 20, 10, 2, false);                // 3: torn
  const Placed stale = j.forge->data(1, 30, 10, 2);  // 4
  j.forge->data(1, 40, 10, 2);                       // 5
  ASSERT_TRUE(j.rig.open().has_value());
  Forge second(j.rig);
  const Placed first = second.data(1, 20, 10, 2);  // 3 of epoch 2
  ASSERT_EQ(first.offset + first.length, stale.offset);
  const Placed big = second.data(1, 30, 10, 3);
  second.data(1, 40, 10, 4, false);  // 5 of epoch 2 never arrives: stale 5 lies there
  ASSERT_TRUE(j.rig.open().has_value());
  Forge third(j.rig);
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(5));
  third.data(1, 40, 10, 4, false);  // 5 of epoch 3, lost though acknowledged
  const Placed six = third.data(1, 50, 10, 5);
  EXPECT_GT(six.offset, big.offset);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.store->report().quarantined_blocks, 1U);
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(7));
  ASSERT_EQ(j.rig.journal().lost.size(), 1U);
  EXPECT_EQ(j.rig.journal().lost[0].from, RecordIndex(40));
  EXPECT_EQ(j.rig.journal().lost[0].until, RecordIndex(50));
}

TEST(Recovery, ARecycledSlotShowsNothingOfItsOldContent) {
  Journaled j(6);
  j.forge->seal({}, false);
  j.forge->open_segment();
  j.forge->data(1, 60, 10, j.forge->lsn() - 1);
  // Segment 1 is recycled: the snapshot covers it and does not list it.
  Snapshot snapshot;
  CellSnapshot cell{CellId(0), Lsn(8), {}, {SegmentNumber(2)}};
  ShardState state;
  state.shard = key_of(1);
  state.next_index = 70;
  cell.shards.push_back(state);
  snapshot.cells.push_back(cell);
  ASSERT_TRUE(j.rig.store->write_snapshot(snapshot).has_value());
  ASSERT_TRUE(j.rig.open().has_value());
  ASSERT_EQ(j.rig.journal().segments.size(), 1U);
  EXPECT_EQ(j.rig.journal().segments[0].number, SegmentNumber(2));
  EXPECT_EQ(j.rig.journal().free.size(), 3U) << "the slot of segment 1 is free again";
  EXPECT_TRUE(j.rig.store->report().notes.empty());

  // Its slot takes segment 3, of which one block is written over the six old ones.
  Forge second(j.rig);
  second.data(1, 70, 10, 8);
  second.seal({}, false);
  std::size_t recycled = 0;
  while (slot_name(0, j.rig.journal().free[recycled].slot) != j.name) ++recycled;
  second.open_segment(recycled);
  ASSERT_EQ(second.name(), j.name);
  second.data(1, 80, 10, second.lsn() - 1);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.journal().segments.size(), 2U);
  EXPECT_EQ(j.rig.journal().segments.back().block_count, 1U);
  EXPECT_EQ(next_index(j.rig, 1), 90U);
  EXPECT_EQ(j.rig.store->report().torn_blocks, 0U);
  EXPECT_TRUE(j.rig.store->report().notes.empty());
}

TEST(Recovery, AListedSegmentThatIsMissingIsSaid) {
  Journaled j(3);
  j.forge->seal({}, false);
  j.forge->open_segment();
  j.forge->data(1, 30, 10, j.forge->lsn() - 1);
  Snapshot snapshot;
  snapshot.cells.push_back({CellId(0), Lsn(5), {}, {SegmentNumber(1), SegmentNumber(2)}});
  ASSERT_TRUE(j.rig.store->write_snapshot(snapshot).has_value());
  j.rig.zero(j.name, 0, kMiB);
  ASSERT_TRUE(j.rig.open().has_value());
  ASSERT_FALSE(j.rig.store->report().notes.empty());
  EXPECT_NE(j.rig.store->report().notes[0].find("segment 1"), std::string::npos);
  EXPECT_GT(j.rig.store->report().quarantined_blocks, 0U);
  ASSERT_EQ(j.rig.journal().segments.size(), 1U);
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(6));
}

// A header sector goes bad: the blocks behind it still tell which segment they are.
TEST(Recovery, ASlotWithABadHeaderIsReadByItsBlocks) {
  Journaled j(5);
  j.rig.flip(j.name, 30);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(6));
  EXPECT_EQ(next_index(j.rig, 1), 50U);
}

TEST(Recovery, FollowsSegmentsAcrossSlots) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  Forge forge(rig);
  std::uint64_t next = 0;
  for (int segment = 0; segment < 3; ++segment) {
    forge.open_segment(0);
    for (int i = 0; i < 4; ++i, next += 5) forge.data(7, next, 5, forge.lsn() - 1);
    if (segment < 2) forge.seal({}, false);
  }
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.journal().segments.size(), 3U);
  EXPECT_TRUE(rig.journal().segments[1].sealed);
  EXPECT_FALSE(rig.journal().segments[2].sealed);
  EXPECT_EQ(next_index(rig, 7), next);
  EXPECT_EQ(rig.journal().next_segment, SegmentNumber(4));
}

// The slot header of the next segment is written, its first block is not.
TEST(Recovery, AnOpenedSegmentWithoutBlocksIsTheOpenOne) {
  Journaled j(3);
  j.forge->seal({}, false);
  j.forge->open_segment();
  ASSERT_TRUE(j.rig.open().has_value());
  ASSERT_EQ(j.rig.journal().segments.size(), 2U);
  EXPECT_EQ(j.rig.journal().segments[1].blocks_end, kSector);
  EXPECT_EQ(j.rig.journal().segments[1].last, Lsn(4));
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(5));
  Forge second(j.rig);
  second.data(1, 30, 10, 4);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(next_index(j.rig, 1), 40U);
}

// A segment was opened after a block that was cut off: its slot is free, its blocks are dead.
TEST(Recovery, ASegmentBehindTheCutIsDead) {
  Journaled j(3);
  j.forge->data(1, 30, 10, 3, false);
  j.forge->block({{}, format::kBlockIdle | format::kBlockSeal, 3});
  j.forge->open_segment();
  const std::string dead = j.forge->name();
  j.forge->data(1, 40, 10, 3);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.journal().segments.size(), 1U);
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(4));
  EXPECT_EQ(j.rig.journal().free.size(), 3U);
  // The new timeline seals where the old one did and opens its segment 2 elsewhere.
  Forge second(j.rig);
  second.data(1, 30, 20, 3);
  second.seal({}, false);
  std::size_t other = 0;
  while (slot_name(0, j.rig.journal().free[other].slot) == dead) ++other;
  second.open_segment(other);
  second.data(1, 50, 5, second.lsn() - 1);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.journal().segments.size(), 2U);
  EXPECT_EQ(next_index(j.rig, 1), 55U);
  EXPECT_TRUE(j.rig.store->report().notes.empty());
}

Forge::RunSpec run_of_blocks(const std::vector<Placed>& placed) {
  Forge::RunSpec run{1, 0, placed.size() * 10 - 1, {}};
  for (std::size_t i = 0; i < placed.size(); ++i) {
    format::FrameEntry entry;
    entry.first_index = i * 10;
    entry.offset = static_cast<std::uint32_t>(placed[i].offset + sizeof(format::BlockHeader));
    entry.records = 10;
    run.entries.push_back(entry);
  }
  return run;
}

struct Sealed : Journaled {
  Sealed() : Journaled(5) {
    forge->seal({run_of_blocks(placed)});
    forge->open_segment();
    forge->data(1, 50, 10, forge->lsn() - 1);
  }
  void snapshot(Lsn covered) {
    Snapshot snapshot;
    CellSnapshot cell{CellId(0), covered, {}, {SegmentNumber(1), SegmentNumber(2)}};
    ShardState state;
    state.shard = key_of(1);
    state.next_index = 50;
    cell.shards.push_back(state);
    snapshot.cells.push_back(cell);
    ASSERT_TRUE(rig.store->write_snapshot(snapshot).has_value());
  }
};

TEST(Recovery, ACoveredSegmentIsKnownByItsFooterAlone) {
  Sealed s;
  s.snapshot(Lsn(6));
  // Not even looked at: its blocks are bad, and reading them later will tell.
  s.rig.zero(s.name, s.placed[1].offset, kSector);
  ASSERT_TRUE(s.rig.open().has_value());
  const RecoveredSegment& segment = s.rig.journal().segments.at(0);
  EXPECT_TRUE(segment.footer);
  EXPECT_TRUE(segment.sealed);
  EXPECT_TRUE(segment.frames.empty());
  EXPECT_EQ(segment.footer_offset, kMiB - 3 * kSector);
  EXPECT_EQ(segment.frame_count, 5U);
  ASSERT_EQ(segment.runs.size(), 1U);
  EXPECT_EQ(segment.runs[0].last_index, 49U);
  EXPECT_EQ(s.rig.store->report().blocks_scanned, 1U) << "only the open segment";
  EXPECT_EQ(next_index(s.rig, 1), 60U);
}

TEST(Recovery, WithoutAValidFooterASegmentIsScanned) {
  for (const std::uint64_t at : {kMiB - 100, kMiB - 2 * kSector + 50}) {
    Sealed s;
    s.snapshot(Lsn(6));
    s.rig.flip(s.name, at);
    ASSERT_TRUE(s.rig.open().has_value());
    const RecoveredSegment& segment = s.rig.journal().segments.at(0);
    EXPECT_FALSE(segment.footer);
    EXPECT_TRUE(segment.sealed);
    EXPECT_EQ(segment.frames.size(), 5U);
    EXPECT_EQ(next_index(s.rig, 1), 60U);
    EXPECT_TRUE(s.rig.store->report().notes.empty());
  }
}

TEST(Recovery, AFooterOfTheSlotsEarlierUseDoesNotCount) {
  Sealed s;
  const auto old = s.rig.read(s.name, kMiB - 3 * kSector, 3 * kSector);
  const std::string second = s.forge->name();
  s.forge->seal({}, false);
  s.rig.write(second, kMiB - 3 * kSector, old);
  ASSERT_TRUE(s.rig.open().has_value());
  EXPECT_FALSE(s.rig.journal().segments.at(1).footer);
  EXPECT_EQ(next_index(s.rig, 1), 60U);
}

// The whole end of a segment is gone, and the next one proves that it was there.
TEST(Recovery, AHoleAtTheEndOfASegmentIsCrossed) {
  Journaled j(5);
  j.forge->seal({}, false);
  j.forge->open_segment();
  j.forge->data(1, 50, 10, j.forge->lsn() - 1);
  j.rig.zero(j.name, j.placed[3].offset, kMiB - j.placed[3].offset);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.store->report().quarantined_blocks, 3U) << "4, 5 and the SEAL";
  ASSERT_EQ(j.rig.journal().lost.size(), 1U);
  EXPECT_EQ(j.rig.journal().lost[0].from, RecordIndex(30));
  EXPECT_EQ(j.rig.journal().lost[0].until, RecordIndex(50));
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(8));
  EXPECT_EQ(next_index(j.rig, 1), 60U);
}

TEST(Recovery, ControlFramesAreAppliedOnce) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  Forge forge(rig);
  forge.open_segment();
  ShardControl open;
  open.kind = ShardControlKind::kOpen;
  open.catalogue_version = 5;
  open.range_begin[0] = 1;
  open.range_end[1] = 2;
  open.created_second = 77;
  forge.block({{ForgedFrame::control(3, open)}, 0, 0});
  forge.data(3, 0, 4);
  ShardControl trim;
  trim.kind = ShardControlKind::kTrim;
  trim.index = 2;
  forge.block({{ForgedFrame::control(3, trim)}, 0, 0});
  ShardControl close;
  close.kind = ShardControlKind::kClose;
  close.catalogue_version = 6;
  close.index = 4;
  forge.block({{ForgedFrame::control(3, close), ForgedFrame::control(3, open)}, 0, 0});
  forge.block({{ForgedFrame::catalogue("decision")}, 0, 0});
  ASSERT_TRUE(rig.open().has_value());
  const ShardState* state = rig.shard(3);
  ASSERT_NE(state, nullptr);
  EXPECT_EQ(state->closed, 1);
  EXPECT_EQ(state->next_index, 4U);
  EXPECT_EQ(state->trim_index, 2U);
  EXPECT_EQ(state->catalogue_version, 6U);
  EXPECT_EQ(state->range_begin[0], 1U);
  EXPECT_EQ(state->created_second, 77);
  ASSERT_EQ(rig.cells[0].controls.size(), 1U);
  EXPECT_EQ(rig.cells[0].controls[0].body.size(), 8U);
  EXPECT_EQ(rig.cells[0].controls[0].lsn, Lsn(5));
  const auto& frames = rig.journal().segments.at(0).frames;
  ASSERT_EQ(frames.size(), 6U);
  EXPECT_EQ(frames[0].shard, ShardKey{}) << "control frames are indexed under {0, 0}";
  EXPECT_EQ(frames[1].shard, key_of(3));
}

// Closed and opened again: the snapshot knows of both when the CLOSE is read once more.
TEST(Recovery, ACloseBelowTheSnapshotsVersionIsPassedOver) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  Forge forge(rig);
  forge.open_segment();
  ShardControl control;
  control.kind = ShardControlKind::kOpen;
  control.catalogue_version = 5;
  forge.block({{ForgedFrame::control(3, control)}, 0, 0});
  control.kind = ShardControlKind::kClose;
  control.catalogue_version = 10;
  forge.block({{ForgedFrame::control(3, control)}, 0, 1});
  control.kind = ShardControlKind::kOpen;
  control.catalogue_version = 11;
  forge.block({{ForgedFrame::control(3, control)}, 0, 2});
  forge.idle();
  Snapshot snapshot;
  snapshot.cells.push_back({.cell = CellId(0), .covered = Lsn(3), .shards = {}, .segments = {}});
  ShardState state;
  state.shard = key_of(3);
  state.catalogue_version = 11;
  snapshot.cells[0].shards.push_back(state);
  ASSERT_TRUE(rig.store->write_snapshot(snapshot).has_value());
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_NE(rig.shard(3), nullptr);
  EXPECT_EQ(rig.shard(3)->closed, 0);
}

TEST(Recovery, WhatTheSnapshotCoversIsNotAppliedAgain) {
  Journaled j(3);
  j.forge->block({{ForgedFrame::catalogue("old")}, 0, 3});
  j.forge->block({{ForgedFrame::catalogue("new")}, 0, 4});
  Snapshot snapshot;
  // Shard 1 was deleted before the snapshot: its frames must not bring it back.
  snapshot.cells.push_back({CellId(0), Lsn(4), {}, {SegmentNumber(1)}});
  ASSERT_TRUE(j.rig.store->write_snapshot(snapshot).has_value());
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.shard(1), nullptr);
  ASSERT_EQ(j.rig.cells[0].controls.size(), 1U);
  EXPECT_EQ(j.rig.cells[0].controls[0].body[0], std::byte{'n'});
}

// A snapshot need not list the open segment, nor those recycled between the ones that it lists.
TEST(Recovery, TheOpenSegmentIsFoundWithoutBeingListed) {
  Journaled j(3);
  j.forge->seal({}, false);
  j.forge->open_segment();
  j.forge->data(1, 30, 10, j.forge->lsn() - 1);
  j.forge->data(1, 40, 10, j.forge->lsn() - 1);
  Snapshot snapshot;
  snapshot.cells.push_back({CellId(0), Lsn(5), {}, {}});
  ShardState state;
  state.shard = key_of(1);
  state.next_index = 40;
  snapshot.cells[0].shards.push_back(state);
  ASSERT_TRUE(j.rig.store->write_snapshot(snapshot).has_value());
  j.rig.zero(j.name, 0, kMiB);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_TRUE(j.rig.store->report().notes.empty());
  ASSERT_EQ(j.rig.journal().segments.size(), 1U);
  EXPECT_EQ(j.rig.journal().segments[0].number, SegmentNumber(2));
  EXPECT_EQ(next_index(j.rig, 1), 50U);
  EXPECT_EQ(j.rig.journal().next_lsn, Lsn(7));
}

// The open segment's slot is wiped: the snapshot did not list it, but its last covered block is nowhere.
TEST(Recovery, AnOpenSegmentThatIsGoneIsSaid) {
  for (const bool older_left : {false, true}) {
    Journaled j(3);
    j.forge->seal({}, false);
    j.forge->open_segment();
    const std::string open = j.forge->name();
    j.forge->data(1, 30, 10, j.forge->lsn() - 1);
    j.forge->data(1, 40, 10, j.forge->lsn() - 1);
    Snapshot snapshot;
    snapshot.cells.push_back({CellId(0), Lsn(5), {}, {}});
    ShardState state;
    state.shard = key_of(1);
    state.next_index = 40;
    snapshot.cells[0].shards.push_back(state);
    ASSERT_TRUE(j.rig.store->write_snapshot(snapshot).has_value());
    j.rig.zero(open, 0, kMiB);
    if (!older_left) j.rig.zero(j.name, 0, kMiB);
    ASSERT_TRUE(j.rig.open().has_value());
    EXPECT_FALSE(j.rig.store->report().notes.empty());
    EXPECT_GT(j.rig.store->report().quarantined_blocks, 0U);
    ASSERT_EQ(j.rig.journal().lost.size(), 1U);
    EXPECT_EQ(j.rig.journal().lost[0].from, RecordIndex(40));
    EXPECT_GE(next_index(j.rig, 1), 50U) << "numbers of lost records are not given again";
    EXPECT_GT(j.rig.journal().next_lsn, Lsn(5));
    // And the journal can go on from there.
    Forge second(j.rig);
    second.open_segment();
    const std::uint64_t next = next_index(j.rig, 1);
    second.data(1, next, 10, 0);
    ASSERT_TRUE(j.rig.open().has_value());
    EXPECT_EQ(next_index(j.rig, 1), next + 10);
  }
}

TEST(Recovery, TheRetentionClockGoesOnFromTheLastBlock) {
  Journaled j(5);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.store->retention_clock().retention_ms, 5);
  // The blocks' own wall clock (1000) is no reading of a synchronised one.
  EXPECT_EQ(j.rig.store->retention_clock().wall_ms, 0);
  ASSERT_TRUE(j.rig.store->record_clock({6, 50}).has_value());
  ASSERT_TRUE(j.rig.open().has_value());
  Forge(j.rig).data(1, 50, 10, 5);  // retention 6
  Forge again(j.rig);
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.store->retention_clock().wall_ms - j.rig.store->retention_clock().retention_ms,
            44);
}

// Blocks that nobody called durable are written again as they are before anyone sees them.
TEST(Recovery, TheTailIsMadeDurableBeforeItIsShown) {
  Journaled j(5, 3);
  const auto before = j.rig.read(j.name, 0, kMiB);
  const std::uint64_t writes = j.rig.storage.mutations();
  ASSERT_TRUE(j.rig.open().has_value());
  EXPECT_EQ(j.rig.read(j.name, 0, kMiB), before);
  EXPECT_EQ(j.rig.storage.mutations() - writes, 2U + 3U) << "superblock groups, three blocks";
}

}  // namespace
}  // namespace penstock::storage
