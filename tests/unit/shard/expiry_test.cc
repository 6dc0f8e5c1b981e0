// Goal: what has expired is gone for every reader, and a cell finds the segments that nobody needs a
// piece at a time. Method: one cell on the simulated disk, turn by turn.
#include "cell_rig.h"

#include <algorithm>
#include <deque>

namespace penstock::shard {
namespace {

constexpr Nanos kNever(INT64_MAX);

Result<> expire(CellRig& rig, std::vector<CellCommand::Horizon> horizons) {
  CellCommand command;
  command.kind = CommandKind::kExpire;
  command.horizons = std::move(horizons);
  rig.cell->command(command, rig.time.now(), rig.wall());
  return command.outcome;
}

// No trim point covers records that were on their way to the disk when the horizon passed them: there
// the horizon itself does, as last told.
TEST(CellExpiry, RecordsThatBecomeVisibleBehindTheHorizonAreNotShown) {
  drivers::SimStorageOptions slow;
  slow.write_nanos_min = slow.write_nanos_max = 10 * kNanosPerSecond;
  CellRig rig(slow);
  const ShardKey other{StreamUid(2), ShardNumber(1)};
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, other).has_value());
  Call expiring(1, 3, "a", kNever);
  Call staying(2, 2, "b", kNever);
  ASSERT_EQ(rig.take(expiring, key_of(1)), 3U);
  ASSERT_EQ(rig.take(staying, other), 2U);
  rig.turn();
  const RetentionMillis written(rig.time.now().raw() / kNanosPerMilli);
  ASSERT_TRUE(expire(rig, {{StreamUid(1), written + 1}}).has_value());
  rig.run();
  ASSERT_EQ(rig.cell->find(key_of(1))->visible, RecordIndex(3));
  EXPECT_EQ(rig.cell->find(key_of(1))->trim, RecordIndex(0));
  TextSink sink;
  EXPECT_EQ(rig.read(key_of(1), ReadStart::kTrimHorizon, sink).next, RecordIndex(3));
  EXPECT_TRUE(sink.texts.empty());
  EXPECT_EQ(rig.all(other), staying.texts) << "its stream's records stay longer";
  // One that lies further back, and none at all, change nothing of it.
  ASSERT_TRUE(expire(rig, {{StreamUid(1), written - 5}}).has_value());
  EXPECT_EQ(rig.cell->find(key_of(1))->trim, RecordIndex(3));
  Call fresh(3, 1, "c", kNever);
  ASSERT_EQ(rig.take(fresh, key_of(1)), 1U);
  rig.run();
  ASSERT_TRUE(expire(rig, {}).has_value());
  EXPECT_EQ(rig.all(key_of(1)), fresh.texts);
  EXPECT_EQ(rig.all(other), staying.texts);
}

// Told nothing of it, a cell goes by the horizon that it knows.
TEST(CellExpiry, AHorizonCountsUntilALaterOneIsTold) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  const RetentionMillis horizon(rig.time.now().raw() / kNanosPerMilli + 1000);
  ASSERT_TRUE(expire(rig, {{StreamUid(1), horizon}}).has_value());
  Call old(1, 2, "a", kNever);
  ASSERT_EQ(rig.take(old, key_of(1)), 2U);
  rig.run();
  EXPECT_TRUE(rig.all(key_of(1)).empty());
  ASSERT_TRUE(expire(rig, {}).has_value());
  EXPECT_EQ(rig.cell->find(key_of(1))->trim, RecordIndex(2));
}

// All expire at once, where their shards are many: the turn that finds the first of them does not look
// at the last, but later ones do. A description of what was found before costs a look, too.
TEST(CellExpiry, OneTurnFindsSomeOfManySegmentsThatNobodyNeeds) {
  constexpr std::size_t kRunsPerDescribe = 16 * 1024;
  constexpr std::uint32_t kShards = 2500;
  constexpr std::uint64_t kSegments = 10;
  CellRig rig({}, kSegments + 2);
  std::deque<CellCommand> opening;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    CellCommand& command = opening.emplace_back();
    command.kind = CommandKind::kOpenShard;
    command.shard = key_of(shard);
    command.control.catalogue_version = 1;
    rig.cell->command(command, rig.time.now(), rig.wall());
  }
  rig.run();
  std::deque<Call> calls;
  while (rig.cell->journal_metrics().segments <= kSegments) {
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      Call& call = calls.emplace_back(calls.size() + 1, 1, "x", kNever);
      ASSERT_EQ(rig.take(call, key_of(shard)), 1U) << text(call.entries[0].error);
    }
    rig.run();
  }
  CellCommand first;
  first.kind = CommandKind::kDescribe;
  ASSERT_TRUE(rig.command(first).has_value());
  for (const storage::SegmentSummary& segment : first.spent) {
    EXPECT_TRUE(segment.runs.empty()) << "control frames alone";
  }
  const std::vector<SegmentNumber> sealed = first.snapshot.segments;
  ASSERT_GE(sealed.size(), kSegments);
  rig.time.advance_to(rig.time.now() + kNanosPerSecond);
  const RetentionMillis now(rig.time.now().raw() / kNanosPerMilli);
  ASSERT_TRUE(expire(rig, {{StreamUid(1), now}}).has_value());

  std::vector<SegmentNumber> found;
  std::size_t turns = 0;
  for (; found.size() < sealed.size() && turns < 100; ++turns) {
    CellCommand describe;
    describe.kind = CommandKind::kDescribe;
    ASSERT_TRUE(rig.command(describe).has_value());
    ASSERT_FALSE(describe.spent.empty()) << "it goes on at every turn";
    std::size_t runs = 0;
    std::size_t widest = 0;
    CellCommand recycle;
    recycle.kind = CommandKind::kRecycle;
    for (const storage::SegmentSummary& segment : describe.spent) {
      runs += segment.runs.size();
      widest = std::max(widest, segment.runs.size());
      found.push_back(segment.number);
      recycle.segments.push_back(segment.number);
    }
    EXPECT_LE(runs, kRunsPerDescribe + widest);
    std::erase_if(describe.snapshot.segments, [&](SegmentNumber number) {
      return std::ranges::find(recycle.segments, number) != recycle.segments.end();
    });
    storage::Snapshot snapshot;
    snapshot.cells.push_back(describe.snapshot);
    ASSERT_TRUE(rig.store->write_snapshot(snapshot).has_value());
    ASSERT_TRUE(rig.command(recycle).has_value());
  }
  EXPECT_EQ(found, sealed) << "each once, oldest first";
  EXPECT_GT(turns, 1U);
}

}  // namespace
}  // namespace penstock::shard
