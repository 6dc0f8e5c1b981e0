// Goal: what recovery says of a producer is what was stored, from a snapshot and the frames behind it; and
// where something may be missing it says nothing. Method: forged journals, one a case.
#include "store_rig.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace penstock::storage {
namespace {

constexpr std::uint64_t kOne = 0x1111;
constexpr std::uint64_t kTwo = 0x2222;

const ProducerState* find(StoreRig& rig, std::uint32_t shard, std::uint64_t producer) {
  for (const ProducerState& state : rig.cells.at(0).producers) {
    if (state.shard == key_of(shard) && state.producer == producer) return &state;
  }
  return nullptr;
}

// Whether the producer's window is the batches up to `last`, whose first indices are given, oldest first.
void expect_window(StoreRig& rig, std::uint32_t shard, std::uint64_t producer, std::uint32_t epoch,
                   std::uint32_t last, const std::vector<std::uint64_t>& firsts) {
  const ProducerState* state = find(rig, shard, producer);
  ASSERT_NE(state, nullptr);
  EXPECT_EQ(state->epoch, epoch);
  EXPECT_EQ(state->last_sequence, last);
  ASSERT_EQ(state->count, firsts.size());
  for (std::size_t i = 0; i < firsts.size(); ++i) {
    EXPECT_EQ(state->window[i].first, RecordIndex(firsts[i])) << i;
    EXPECT_EQ(state->window[i].arrival, WallMillis(1000));
  }
  EXPECT_EQ(state->last_used, WallMillis(last == 0 ? 900 : 1000));
}

struct Forged {
  Forged() {
    EXPECT_TRUE(rig.open().has_value());
    forge = std::make_unique<Forge>(rig);
    forge->open_segment();
  }
  Placed block(std::vector<ForgedFrame> frames) {
    return forge->block({std::move(frames), 0, forge->lsn() - 1});
  }
  void snapshot(std::uint64_t covered, std::vector<ProducerState> producers) {
    Snapshot snapshot;
    snapshot.cells.push_back({.cell = CellId(0),
                              .covered = Lsn(covered),
                              .shards = {},
                              .segments = {},
                              .producers = std::move(producers)});
    for (const std::uint32_t number : {1U, 2U}) {
      snapshot.cells[0].shards.emplace_back().shard = key_of(number);
    }
    ASSERT_TRUE(rig.store->write_snapshot(snapshot).has_value());
  }
  StoreRig rig;
  std::unique_ptr<Forge> forge;
};

TEST(RecoveryProducers, AnOpeningAndItsBatchesMakeTheWindow) {
  Forged f;
  f.block({ForgedFrame::control(1, {}), ForgedFrame::opening(1, kOne, 5)});
  ASSERT_TRUE(f.rig.open().has_value());
  expect_window(f.rig, 1, kOne, 5, 0, {});
  Forge again(f.rig);
  again.block({{ForgedFrame::produced(1, 0, kOne, 5, 1, 3), ForgedFrame::opening(2, kOne, 9)}});
  again.block({{ForgedFrame::data(1, 3, 10), ForgedFrame::produced(2, 0, kOne, 9, 1)}});
  again.block({{ForgedFrame::produced(1, 13, kOne, 5, 4, 7)}});
  ASSERT_TRUE(f.rig.open().has_value());
  EXPECT_EQ(f.rig.cells[0].producers.size(), 2U);
  expect_window(f.rig, 1, kOne, 5, 10, {2, 13, 14, 15, 16, 17, 18, 19});
  expect_window(f.rig, 2, kOne, 9, 1, {0});
}

TEST(RecoveryProducers, AnotherEpochBeginsAtNothing) {
  Forged f;
  f.block({ForgedFrame::opening(1, kOne, 1), ForgedFrame::produced(1, 0, kOne, 1, 1, 3)});
  f.block({ForgedFrame::opening(1, kOne, 2)});
  f.block({ForgedFrame::produced(1, 3, kOne, 2, 1)});
  ASSERT_TRUE(f.rig.open().has_value());
  expect_window(f.rig, 1, kOne, 2, 1, {3});
}

// Evicted when it was long idle, and opened anew: in the very epoch that the snapshot has.
TEST(RecoveryProducers, AnOpeningCountsWhateverTheSnapshotKnew) {
  Forged f;
  f.block({ForgedFrame::opening(1, kOne, 3), ForgedFrame::produced(1, 0, kOne, 3, 1)});
  ProducerState state{.shard = key_of(1), .producer = kOne, .epoch = 3, .last_sequence = 1};
  state.count = 1;
  state.window[0] = {RecordIndex(0), WallMillis(1000)};
  f.snapshot(1, {state});
  f.block({ForgedFrame::opening(1, kOne, 3), ForgedFrame::produced(1, 1, kOne, 3, 1, 2)});
  ASSERT_TRUE(f.rig.open().has_value());
  expect_window(f.rig, 1, kOne, 3, 2, {1, 2});
}

TEST(RecoveryProducers, WhatTheSnapshotCoversIsNotAppliedAgain) {
  Forged f;
  f.block({ForgedFrame::opening(1, kOne, 3), ForgedFrame::produced(1, 0, kOne, 3, 1, 9)});
  f.block({ForgedFrame::produced(1, 9, kOne, 3, 10, 2), ForgedFrame::opening(1, kTwo, 1)});
  f.block({ForgedFrame::produced(1, 11, kOne, 3, 12), ForgedFrame::produced(1, 12, kTwo, 1, 1)});
  ProducerState one{.shard = key_of(1), .producer = kOne, .epoch = 3, .last_sequence = 11};
  one.count = 2;  // with less than it might: older ones are known to be stored, not where
  one.window[0] = {RecordIndex(9), WallMillis(1000)};
  one.window[1] = {RecordIndex(10), WallMillis(1000)};
  ProducerState two{.shard = key_of(1), .producer = kTwo, .epoch = 1};
  ProducerState quiet{.shard = key_of(2), .producer = kTwo, .epoch = 7, .last_sequence = 40};
  quiet.last_used = WallMillis(1000);
  ProducerState of_a_removed_shard{.shard = key_of(3), .producer = kTwo};
  f.snapshot(2, {one, two, quiet, of_a_removed_shard});
  ASSERT_TRUE(f.rig.open().has_value());
  EXPECT_EQ(f.rig.cells[0].producers.size(), 3U);
  expect_window(f.rig, 1, kOne, 3, 12, {9, 10, 11});
  expect_window(f.rig, 1, kTwo, 1, 1, {12});
  expect_window(f.rig, 2, kTwo, 7, 40, {});
}

// Every prefix of blocks, with a snapshot of any of them: the same as without one.
TEST(RecoveryProducers, AnySnapshotAndAnyCutGiveWhatWasWritten) {
  constexpr std::size_t kBlocks = 12;
  for (std::size_t cut = 1; cut <= kBlocks; ++cut) {
    std::vector<ProducerState> truth;
    for (std::size_t covered = 0; covered <= cut; ++covered) {
      Forged f;
      std::mt19937_64 random(5);  // the same history each time
      std::uint64_t next = 0;
      std::uint32_t epoch[2] = {0, 0};
      std::uint32_t sequence[2] = {0, 0};
      std::vector<ProducerState> seen;
      for (std::size_t b = 0; b < cut; ++b) {
        std::vector<ForgedFrame> frames;
        for (std::size_t p = 0; p < 2; ++p) {
          const std::uint64_t producer = p == 0 ? kOne : kTwo;
          if (epoch[p] == 0 || random() % 5 == 0) {
            frames.push_back(ForgedFrame::opening(1, producer, ++epoch[p]));
            sequence[p] = 0;
          }
          const auto batches = static_cast<std::uint32_t>(random() % 4);
          if (batches == 0) continue;
          frames.push_back(
              ForgedFrame::produced(1, next, producer, epoch[p], sequence[p] + 1, batches));
          sequence[p] += batches;
          next += batches;
        }
        f.block(std::move(frames));
        if (b + 1 == covered) {  // what a start would find here goes into the snapshot
          StoreRig& rig = f.rig;
          ASSERT_TRUE(rig.open().has_value());
          seen = rig.cells[0].producers;
          f.snapshot(covered, seen);
          f.forge = std::make_unique<Forge>(rig);
        }
      }
      ASSERT_TRUE(f.rig.open().has_value());
      if (covered == 0) truth = f.rig.cells[0].producers;
      EXPECT_EQ(f.rig.cells[0].producers, truth) << "cut " << cut << " covered " << covered;
    }
    EXPECT_EQ(truth.size(), 2U);
  }
}

TEST(RecoveryProducers, AHoleLeavesThemUnknownUntilTheyOpenAgain) {
  Forged f;
  f.block({ForgedFrame::opening(1, kOne, 1), ForgedFrame::opening(2, kTwo, 1)});
  const Placed lost = f.block({ForgedFrame::produced(1, 0, kOne, 1, 1)});
  f.block({ForgedFrame::produced(1, 1, kOne, 1, 2), ForgedFrame::opening(2, kOne, 4)});
  f.block({ForgedFrame::produced(2, 0, kOne, 4, 1)});
  f.forge->idle();
  f.rig.zero(f.forge->name(), lost.offset, lost.length);
  ASSERT_TRUE(f.rig.open().has_value());
  EXPECT_EQ(f.rig.cells[0].producers.size(), 1U) << "of all others nobody knows";
  expect_window(f.rig, 2, kOne, 4, 1, {0});
}

TEST(RecoveryProducers, ALostFrameCostsThoseOfItsShard) {
  for (const bool control : {false, true}) {
    Forged f;
    f.block({ForgedFrame::opening(1, kOne, 1), ForgedFrame::opening(2, kOne, 1)});
    const Placed block = f.block(
        {control ? ForgedFrame::opening(1, kTwo, 1) : ForgedFrame::produced(1, 0, kTwo, 1, 1),
         ForgedFrame::produced(2, 0, kOne, 1, 1)});
    f.forge->idle();
    f.rig.flip(f.forge->name(), block.offset + 128 + 96 + 16);
    ASSERT_TRUE(f.rig.open().has_value());
    EXPECT_EQ(find(f.rig, 1, kOne), nullptr);
    EXPECT_EQ(find(f.rig, 1, kTwo), nullptr);
    expect_window(f.rig, 2, kOne, 1, 1, {0});
  }
}

TEST(RecoveryProducers, ASequenceThatDoesNotFollowProvesNothing) {
  Forged f;
  f.block({ForgedFrame::opening(1, kOne, 1), ForgedFrame::produced(1, 0, kOne, 1, 2)});
  f.block({ForgedFrame::produced(1, 1, kTwo, 1, 1)});
  f.block({ForgedFrame::opening(2, kOne, 3), ForgedFrame::produced(2, 0, kOne, 2, 1)});
  ASSERT_TRUE(f.rig.open().has_value());
  EXPECT_TRUE(f.rig.cells[0].producers.empty());
}

TEST(RecoveryProducers, ARemovedShardHasNone) {
  Forged f;
  ShardControl trim;
  trim.kind = ShardControlKind::kTrim;
  trim.index = 1;
  f.block({ForgedFrame::opening(1, kOne, 1), ForgedFrame::opening(2, kOne, 1)});
  f.block({ForgedFrame::control(2, trim)});
  trim.index = UINT64_MAX;
  f.block({ForgedFrame::control(1, trim)});
  ASSERT_TRUE(f.rig.open().has_value());
  EXPECT_EQ(find(f.rig, 1, kOne), nullptr);
  EXPECT_NE(find(f.rig, 2, kOne), nullptr) << "trimmed, and there";
}

}  // namespace
}  // namespace penstock::storage
