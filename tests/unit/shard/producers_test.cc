// Goal: of a producer's batches each is decided once and the same way ever after, what is described is the
// durable prefix and no more, and nobody is forgotten early. Method: windows driven by hand, and at random
// against a list of everything placed.
#include "shard/producers.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace penstock::shard {
namespace {

using Kind = ProducerWindows::Decision::Kind;
constexpr ShardKey kShard{StreamUid(1), ShardNumber(1)};
constexpr WallMillis kNow{1'000'000};

struct Rig {
  explicit Rig(std::uint32_t max = 4) : windows(max) {}
  ProducerWindow& open(std::uint64_t producer, std::uint32_t epoch, WallMillis wall = kNow) {
    ProducerWindow& window =
        windows.begin(windows.find(kShard, producer), kShard, producer, epoch, wall);
    windows.settle_opening(window, epoch, true);
    return window;
  }
  // Placed and durable; the batch of sequence s begins at 10 s.
  void store(ProducerWindow& window, std::uint32_t batches, WallMillis arrival = kNow) {
    for (; batches > 0; --batches) {
      place(window, arrival);
      windows.settle(window, window.last, true);
    }
  }
  void place(ProducerWindow& window, WallMillis arrival = kNow) {
    windows.place(window, RecordIndex(10ULL * (window.last + 1)), arrival);
  }
  // What becomes of the batch; kSystem: it is placed, kExists: it is there already.
  ErrorCode decide(std::uint64_t producer, std::uint32_t epoch, std::uint32_t sequence) {
    const auto decision = windows.decide(windows.find(kShard, producer), epoch, sequence);
    if (decision.kind == Kind::kRefused) return decision.error;
    if (decision.kind == Kind::kNext) return ErrorCode::kSystem;
    EXPECT_EQ(decision.first.first, RecordIndex(10ULL * sequence));
    return ErrorCode::kExists;
  }
  std::vector<storage::ProducerState> described() {
    std::vector<storage::ProducerState> states;
    windows.describe(states);
    return states;
  }
  ProducerWindows windows;
};

TEST(Producers, ABatchIsNextRepeatedOldOrBehindAGap) {
  Rig rig;
  ProducerWindow& window = rig.open(7, 3);
  EXPECT_EQ(rig.decide(7, 3, 2), ErrorCode::kSequenceGap);
  EXPECT_EQ(rig.decide(7, 3, 1), ErrorCode::kSystem);
  EXPECT_EQ(rig.decide(7, 3, 0), ErrorCode::kSequenceOld) << "sequences are from 1 on";
  rig.store(window, 3);
  EXPECT_EQ(rig.decide(7, 3, 0), ErrorCode::kSequenceOld);
  for (std::uint32_t s = 1; s <= 3; ++s) EXPECT_EQ(rig.decide(7, 3, s), ErrorCode::kExists) << s;
  EXPECT_EQ(rig.decide(7, 3, 4), ErrorCode::kSystem);
  EXPECT_EQ(rig.decide(7, 3, 5), ErrorCode::kSequenceGap);
  EXPECT_EQ(rig.decide(7, 3, UINT32_MAX), ErrorCode::kSequenceGap);
  rig.store(window, 9);
  EXPECT_EQ(rig.decide(7, 3, 4), ErrorCode::kSequenceOld);
  for (std::uint32_t s = 5; s <= 12; ++s) EXPECT_EQ(rig.decide(7, 3, s), ErrorCode::kExists) << s;
}

TEST(Producers, AnEpochMustBeOpenAndFencesTheOneBefore) {
  Rig rig;
  EXPECT_EQ(rig.decide(7, 3, 1), ErrorCode::kProducerUnknown);
  ProducerWindow& window = rig.open(7, 3);
  rig.store(window, 2);
  EXPECT_EQ(rig.decide(8, 3, 3), ErrorCode::kProducerUnknown);
  EXPECT_EQ(rig.decide(7, 2, 3), ErrorCode::kProducerFenced);
  EXPECT_EQ(rig.decide(7, 4, 1), ErrorCode::kProducerUnknown);
  rig.open(7, 4);
  EXPECT_EQ(rig.decide(7, 3, 3), ErrorCode::kProducerFenced);
  EXPECT_EQ(rig.decide(7, 3, 1), ErrorCode::kProducerFenced) << "stored, and no longer its own";
  EXPECT_EQ(rig.decide(7, 4, 1), ErrorCode::kSystem);
}

// While an opening is under way neither epoch takes anything, and the durable prefix has the old one.
TEST(Producers, AnOpeningUnderWayLeavesTheOldWindowToTheSnapshot) {
  Rig rig;
  rig.store(rig.open(7, 3), 2);
  ProducerWindow& window = rig.windows.begin(rig.windows.find(kShard, 7), kShard, 7, 5, kNow);
  EXPECT_EQ(rig.decide(7, 3, 3), ErrorCode::kProducerFenced);
  EXPECT_EQ(rig.decide(7, 4, 1), ErrorCode::kProducerFenced);
  EXPECT_EQ(rig.decide(7, 5, 1), ErrorCode::kProducerUnknown);
  ASSERT_EQ(rig.described().size(), 1U);
  EXPECT_EQ(rig.described()[0].epoch, 3U);
  EXPECT_EQ(rig.described()[0].last_sequence, 2U);
  EXPECT_EQ(rig.described()[0].count, 2U);
  EXPECT_EQ(ProducerWindows::state(window).epoch, 5U);
  EXPECT_EQ(ProducerWindows::state(window).last_sequence, 0U);
  // Another one before the first is durable: that is what there is when both are.
  rig.windows.begin(&window, kShard, 7, 6, kNow);
  rig.windows.settle_opening(window, 5, true);
  EXPECT_EQ(rig.described()[0].epoch, 5U);
  EXPECT_EQ(rig.decide(7, 5, 1), ErrorCode::kProducerFenced);
  rig.windows.settle_opening(window, 6, true);
  EXPECT_EQ(rig.decide(7, 6, 1), ErrorCode::kSystem);
  rig.windows.begin(nullptr, kShard, 8, 1, kNow);
  EXPECT_EQ(rig.described().size(), 1U) << "not open yet";
}

// At random, with up to 30 batches that are not durable.
TEST(Producers, WhatIsDescribedIsTheDurablePrefix) {
  std::mt19937_64 random(1);
  Rig rig;
  ProducerWindow& window = rig.open(7, 1);
  std::vector<std::uint64_t> placed;  // first index by sequence, from 1 on
  std::deque<std::uint32_t> under_way;
  for (int step = 0; step < 20'000; ++step) {
    if (under_way.size() < 30 && random() % 2 == 0) {
      placed.push_back(random() >> 1);
      rig.windows.place(window, RecordIndex(placed.back()), kNow);
      under_way.push_back(window.last);
    } else if (!under_way.empty()) {
      rig.windows.settle(window, under_way.front(), true);
      under_way.pop_front();
    }
    const storage::ProducerState state = rig.described().at(0);
    const std::size_t durable = placed.size() - under_way.size();
    ASSERT_EQ(state.last_sequence, durable);
    // Of the last eight placed those that are durable: all that a producer with eight unanswered needs.
    const std::size_t wanted = std::min<std::size_t>(placed.size(), 8);
    ASSERT_EQ(state.count, wanted > under_way.size() ? wanted - under_way.size() : 0);
    for (std::uint32_t i = 0; i < state.count; ++i) {
      ASSERT_EQ(state.window[i].first, RecordIndex(placed[durable - state.count + i]));
    }
  }
  EXPECT_GT(placed.size(), 5'000U);
}

TEST(Producers, WhatWasDescribedLoadsAsItWas) {
  Rig rig;
  rig.store(rig.open(1, 1), 5);
  rig.store(rig.open(2, 9), 20);
  rig.open(3, 1);
  Rig again;
  again.windows.load(rig.described());
  EXPECT_EQ(again.described(), rig.described());
  for (std::uint32_t s = 0; s < 25; ++s) {
    for (const auto& [producer, epoch] : {std::pair{1U, 1U}, {2U, 9U}, {3U, 1U}}) {
      EXPECT_EQ(again.decide(producer, epoch, s), rig.decide(producer, epoch, s));
    }
  }
}

TEST(Producers, OnlyTheLongestIdleIsForgottenAndNotBeforeAQuarterOfAnHour) {
  Rig rig(2);
  const auto at = [&](std::int64_t second) {
    rig.windows.set_now(Nanos(second * kNanosPerSecond + 7));
  };
  at(5'000);
  rig.store(rig.open(1, 1), 1);
  at(5'010);
  rig.store(rig.open(2, 1), 1);
  at(5'020);
  rig.store(*rig.windows.find(kShard, 1), 1);  // 2 is now the least used
  at(5'010 + kProducerIdleSeconds);
  EXPECT_FALSE(rig.windows.has_room());
  at(5'011 + kProducerIdleSeconds);
  ASSERT_TRUE(rig.windows.has_room());
  rig.open(3, 1);
  EXPECT_EQ(rig.decide(2, 1, 2), ErrorCode::kProducerUnknown);
  EXPECT_EQ(rig.decide(1, 1, 3), ErrorCode::kSystem);
  EXPECT_EQ(rig.decide(3, 1, 1), ErrorCode::kSystem);
  EXPECT_EQ(rig.windows.size(), 2U);
  // What was loaded is as if used at the start.
  Rig again(2);
  again.windows.load(rig.described());
  again.windows.set_now(Nanos(90'000 * kNanosPerSecond));
  EXPECT_FALSE(again.windows.has_room());
  again.windows.set_now(Nanos((90'001 + kProducerIdleSeconds) * kNanosPerSecond));
  EXPECT_TRUE(again.windows.has_room());
  // What is under way is not forgotten, whatever the clock says.
  rig.place(*rig.windows.find(kShard, 1));
  rig.place(*rig.windows.find(kShard, 3));
  at(5'000 + 100 * kProducerIdleSeconds);
  EXPECT_FALSE(rig.windows.has_room());
}

TEST(Producers, MoreThanThereIsRoomForAreTheLastUsed) {
  Rig many(8);  // whatever the wall clock said
  for (std::uint64_t p = 1; p <= 8; ++p) many.open(p, 1, kNow + (p * 5) % 8);
  many.store(*many.windows.find(kShard, 2), 1, kNow - 9);
  Rig few(3);
  few.windows.load(many.described());
  EXPECT_EQ(few.windows.size(), 3U);
  for (std::uint64_t p = 1; p <= 8; ++p) {
    EXPECT_EQ(few.windows.find(kShard, p) != nullptr, p == 2 || p >= 7) << p;
  }
}

TEST(Producers, RemovedShardsTakeTheirOwnAlong) {
  Rig rig(200);
  const ShardKey other{StreamUid(1), ShardNumber(2)};
  for (int round = 0; round < 3; ++round) {  // the room is used again
    for (std::uint64_t p = 1; p <= 100; ++p) {
      rig.open(p, 1);
      ProducerWindow& window = rig.windows.begin(nullptr, other, p, 1, kNow);
      rig.windows.settle_opening(window, 1, true);
    }
    EXPECT_EQ(rig.windows.size(), 200U);
    rig.windows.remove_if([&](ShardKey shard) { return shard == other; });
    EXPECT_EQ(rig.windows.size(), 100U);
    for (std::uint64_t p = 1; p <= 100; ++p) {
      EXPECT_NE(rig.windows.find(kShard, p), nullptr);
      EXPECT_EQ(rig.windows.find(other, p), nullptr);
    }
    rig.windows.remove_if([](ShardKey) { return true; });
    EXPECT_EQ(rig.windows.size(), 0U);
    EXPECT_TRUE(rig.described().empty());
  }
}

}  // namespace
}  // namespace penstock::shard
