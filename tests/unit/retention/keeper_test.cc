// Goal: slots are there before they are needed, nothing expires that should not, and no segment is
// recycled that a crash could still ask for.
// Method: a keeper over cells with a memory, a store that records and can refuse, a catalogue and a
// clock under the test's hand, in virtual time.
#include "retention/keeper.h"

#include "storage/sabotage.h"
#include "tests/support/fake_cells.h"
#include "tests/unit/retention/fake_catalogue.h"

#include <gtest/gtest.h>

namespace penstock::retention {
namespace {

constexpr std::uint64_t kSlot = 32 * kMiB;
constexpr ShardKey kShard{StreamUid(1), ShardNumber(0)};

class FakeStore final : public StoreDoor {
 public:
  [[nodiscard]] std::uint64_t slot_bytes() const override { return kSlot; }
  [[nodiscard]] Result<> write_snapshot(const storage::Snapshot& snapshot) override {
    if (refuse_snapshots) return fail(ErrorCode::kNoSpace);
    snapshots.push_back(snapshot);
    return {};
  }
  [[nodiscard]] Result<storage::Store::NewSlot> grow(CellId cell,
                                                     std::uint64_t bytes_max) override {
    step_max = std::max(step_max, bytes_max);
    ++steps;
    if (no_space) return fail(ErrorCode::kNoSpace);
    EXPECT_TRUE(!growing || *growing == cell) << "one slot after the other";
    growing = cell;
    written += bytes_max;
    if (written < kSlot) return storage::Store::NewSlot{};
    written = 0;
    growing.reset();
    return storage::Store::NewSlot{env::FileId{7}, ++slots, true};
  }
  [[nodiscard]] Result<> record_fence(CellId cell) override {
    if (refuse_fences > 0) {
      --refuse_fences;
      return fail(ErrorCode::kSystem);
    }
    fences.push_back(cell);
    return {};
  }

  std::vector<storage::Snapshot> snapshots;
  bool refuse_snapshots = false;
  bool no_space = false;
  int refuse_fences = 0;
  std::uint64_t step_max = 0;
  std::uint64_t steps = 0;
  std::uint64_t written = 0;
  std::uint32_t slots = 0;
  std::optional<CellId> growing;
  std::vector<CellId> fences;
};

class KeeperTest : public testing::Test {
 protected:
  KeeperTest() {
    catalogue.stream_list = {{StreamUid(1), 24 * kMillisPerHour}};
    catalogue.shards = {kShard};
    options.size_max = 40 * kSlot;  // 20 slots a cell
    storage::ShardState& state = cells.cell(CellId(0)).shards[kShard].state;
    state.shard = kShard;
    state.next_index = 1000;
  }
  void start() {
    auto made = std::make_unique<FakeStore>();
    store = made.get();
    keeper = std::make_unique<Keeper>(options, std::move(made), cells, catalogue, clock);
  }
  // Turns until `millis` have passed, jumping from deadline to deadline.
  void pass(std::int64_t millis) {
    const Nanos end = now + millis * kNanosPerMilli;
    for (;;) {
      clock.observe(now, WallMillis(wall()), synchronised);
      const runtime::WorkCount work = keeper->poll(now, WallMillis(wall()));
      if (cells.step(now) || work > 0) continue;
      const Nanos next = keeper->next_deadline();
      if (next >= end) break;
      now = std::max(next, now + kNanosPerMilli);
    }
    now = end;
    clock.observe(now, WallMillis(wall()), synchronised);
  }
  [[nodiscard]] std::int64_t wall() const {
    return 1'700'000'000'000 + now.raw() / kNanosPerMilli + wall_error;
  }
  // A sealed segment of kShard's records up to `last_index`, written now.
  void seal(std::uint64_t number, std::uint64_t last_index) {
    auto& cell = cells.cell(CellId(0));
    cell.sealed.push_back({.number = SegmentNumber(number),
                           .last = Lsn(cell.lsn),
                           .runs = {{.shard = kShard,
                                     .last_index = RecordIndex(last_index),
                                     .retention_last = clock.now(now)}}});
    ++cell.lsn;
    ++cell.seal_count;
    --cell.slots_free;
  }
  [[nodiscard]] std::vector<SegmentNumber>& recycled() { return cells.cell(CellId(0)).recycled; }

  test::FakeCells cells{2};
  FakeCatalogue catalogue;
  Clock clock{storage::RetentionClockState{}};
  KeeperOptions options;
  FakeStore* store = nullptr;
  std::unique_ptr<Keeper> keeper;
  Nanos now{kNanosPerSecond};
  std::int64_t wall_error = 0;
  bool synchronised = true;
};

TEST_F(KeeperTest, KeepsTwoSlotsAheadAndTheReserve) {
  cells.cell(CellId(0)).slots_free = 1;
  cells.cell(CellId(1)).slots_free = 2;
  start();
  pass(60'000);
  EXPECT_EQ(cells.cell(CellId(0)).slots_free, 3U);
  EXPECT_EQ(cells.cell(CellId(1)).slots_free, 3U);
  EXPECT_EQ(store->slots, 3U);
  EXPECT_EQ(keeper->report().slots_added, 3U);
  EXPECT_LE(store->step_max, 4 * kMiB);
}

TEST_F(KeeperTest, FillsAtABoundedRateWhileASlotIsAhead) {
  cells.cell(CellId(0)).slots_free = 2;
  options.grow_bytes_per_second = 4 * kMiB;
  start();
  pass(3'000);
  EXPECT_EQ(store->slots, 0U);
  EXPECT_GE(store->written, 8 * kMiB);
  EXPECT_LE(store->written, 16 * kMiB);
  pass(8'000);
  EXPECT_EQ(store->slots, 1U);
}

TEST_F(KeeperTest, HurriesWhenNothingIsAhead) {
  cells.cell(CellId(0)).slots_free = 1;
  options.grow_bytes_per_second = kMiB;
  start();
  pass(100);
  EXPECT_EQ(cells.cell(CellId(0)).slots_free, 2U) << "the reserve alone is nothing ahead";
}

// 64 MiB/s fills a slot in half a second.
TEST_F(KeeperTest, KeepsAheadWhatIsFilledInSeconds) {
  options.size_max = 80 * kSlot;
  start();
  auto& cell = cells.cell(CellId(0));
  const auto write = [&](std::uint64_t bytes, int seconds) {
    for (; seconds > 0; --seconds) {
      cell.bytes_written += bytes;
      pass(1'000);
    }
  };
  write(64 * kMiB, 10);
  EXPECT_GE(cell.slots_free, 10U);
  EXPECT_LE(cell.slots_free, 12U);
  EXPECT_EQ(cells.cell(CellId(1)).slots_free, 3U);
  write(kGiB, 10);
  EXPECT_EQ(cell.slots_free, options.slots_ahead_max + 1) << "bounded";
}

TEST_F(KeeperTest, HurriesBeforePutsMustWait) {
  options.grow_bytes_per_second = kMiB;
  cells.cell(CellId(0)).slots_free = 3;
  start();
  pass(1'000);
  for (int i = 0; i < 5; ++i) {
    cells.cell(CellId(0)).bytes_written += 64 * kMiB;
    pass(1'000);
  }
  EXPECT_GE(cells.cell(CellId(0)).slots_free, 5U) << "a bounded one takes half a minute a slot";
}

TEST_F(KeeperTest, HurriesWithASlotThatAnotherCellWaitsBehind) {
  options.grow_bytes_per_second = kMiB;
  cells.cell(CellId(0)).slots_free = 2;
  start();
  pass(3'000);
  ASSERT_EQ(store->growing, CellId(0));
  cells.cell(CellId(1)).slots_free = 0;
  pass(3'000);
  EXPECT_GE(cells.cell(CellId(1)).slots_free, 2U);
}

TEST_F(KeeperTest, LetsPutsWaitUntilTheFirstLook) {
  options.size_max = 8 * kSlot;
  cells.cell(CellId(0)).slots_free = 0;
  cells.cell(CellId(0)).slots_total = 4;
  start();
  pass(100);
  EXPECT_TRUE(cells.cell(CellId(0)).room_coming);
  pass(2'000);
  EXPECT_FALSE(cells.cell(CellId(0)).room_coming) << "it has all that it may";
}

TEST_F(KeeperTest, TellsCellsWhetherRoomIsComing) {
  options.size_max = 8 * kSlot;
  start();
  pass(2'000);
  EXPECT_TRUE(cells.cell(CellId(0)).room_coming) << "it may grow";
  cells.cell(CellId(0)).slots_free = 1;
  store->no_space = true;
  pass(3'000);
  EXPECT_FALSE(cells.cell(CellId(0)).room_coming) << "the disk is full";
  store->no_space = false;
  pass(15'000);
  EXPECT_EQ(cells.cell(CellId(0)).slots_total, 4U);
  EXPECT_FALSE(cells.cell(CellId(0)).room_coming) << "it has all that it may";
  EXPECT_TRUE(cells.cell(CellId(1)).room_coming);
  seal(1, 499);
  catalogue.shards.clear();  // deleted: the segment is to be recycled
  store->refuse_snapshots = true;
  pass(10'000);
  EXPECT_FALSE(cells.cell(CellId(0)).room_coming) << "not without a snapshot";
  store->refuse_snapshots = false;
  pass(10'000);
  ASSERT_EQ(recycled(), std::vector{SegmentNumber(1)});
  EXPECT_FALSE(cells.cell(CellId(0)).room_coming);
  seal(2, 999);
  for (int i = 0; i < 200 && recycled().size() < 2; ++i) pass(50);
  ASSERT_EQ(recycled().size(), 2U);
  EXPECT_TRUE(cells.cell(CellId(0)).room_coming) << "a slot was about to be recycled";
}

TEST_F(KeeperTest, GrowsToTheMinimumAndNeverBeyondTheMaximum) {
  options.size_min = 10 * kSlot;
  options.size_max = 12 * kSlot;
  start();
  pass(60'000);
  EXPECT_EQ(cells.cell(CellId(0)).slots_total, 5U);
  EXPECT_EQ(cells.cell(CellId(1)).slots_total, 5U);
  cells.cell(CellId(0)).slots_free = 0;
  pass(60'000);
  EXPECT_EQ(cells.cell(CellId(0)).slots_total, 6U);
  EXPECT_TRUE(keeper->report().growth_possible) << "cell 1 may still grow";
  cells.cell(CellId(1)).slots_free = 0;
  pass(60'000);
  EXPECT_EQ(cells.cell(CellId(1)).slots_total, 6U);
  EXPECT_FALSE(keeper->report().growth_possible);
  EXPECT_EQ(keeper->report().cells[1].growth, Growth::kSizeMax);
  EXPECT_FALSE(keeper->report().cells[1].full);
  cells.cell(CellId(1)).full = true;
  pass(2'000);
  EXPECT_TRUE(keeper->report().cells[1].full);
}

TEST_F(KeeperTest, AFullDiskIsSaidAndTriedAgain) {
  cells.cell(CellId(0)).slots_free = 0;
  start();
  store->no_space = true;
  pass(5'000);
  EXPECT_TRUE(keeper->report().disk_full);
  EXPECT_FALSE(keeper->report().growth_possible);
  EXPECT_EQ(keeper->report().cells[0].growth, Growth::kDiskFull);
  EXPECT_NE(keeper->report().last_failure.find("PS-1005"), std::string::npos);
  EXPECT_LT(store->steps, 3U) << "not in a hurry";
  store->no_space = false;
  pass(60'000);
  EXPECT_FALSE(keeper->report().disk_full);
  EXPECT_EQ(cells.cell(CellId(0)).slots_free, 3U);
}

TEST_F(KeeperTest, TellsHorizonsByTheRetentionClock) {
  start();
  pass(5'000);
  ASSERT_EQ(cells.horizons.size(), 1U);
  EXPECT_EQ(cells.horizons[0].stream, StreamUid(1));
  const std::int64_t behind = clock.now(now) - cells.horizons[0].oldest;
  EXPECT_GE(behind, 24 * kMillisPerHour);
  EXPECT_LE(behind, 24 * kMillisPerHour + 1'100);
}

TEST_F(KeeperTest, NothingExpiresWhileTheClockIsUnsure) {
  start();
  pass(1'000);
  catalogue.closed = {{kShard, CellId(0), RetentionMillis(0), kMillisPerHour}};
  cells.cell(CellId(0)).shards[kShard].state.trim_index = 1000;
  wall_error = 365LL * 24 * kMillisPerHour;
  clock.observe(now, WallMillis(wall()), true);
  ASSERT_FALSE(clock.sure());
  cells.horizons.clear();
  pass(10'000);
  EXPECT_TRUE(cells.horizons.empty());
  EXPECT_TRUE(catalogue.expired.empty());
  wall_error = 0;
  pass(10'000);
  EXPECT_FALSE(cells.horizons.empty());
  EXPECT_EQ(catalogue.expired, std::vector<ShardKey>{kShard});
}

TEST_F(KeeperTest, ClosedShardsGoWhenTheyAreEmptyAndOldEnough) {
  start();
  pass(1'000);
  storage::ShardState& state = cells.cell(CellId(0)).shards[kShard].state;
  state.closed = 1;
  catalogue.closed = {{kShard, CellId(0), clock.now(now), kMillisPerHour}};
  pass(3'590'000);
  state.trim_index = state.next_index;
  EXPECT_TRUE(catalogue.expired.empty()) << "not yet an hour";
  state.trim_index = state.next_index - 1;
  pass(60'000);
  EXPECT_TRUE(catalogue.expired.empty()) << "a record is left";
  state.trim_index = state.next_index;
  pass(2'000);
  EXPECT_EQ(catalogue.expired, std::vector<ShardKey>{kShard});
  EXPECT_EQ(keeper->report().shards_expired, 1U);
}

TEST_F(KeeperTest, SnapshotsEveryMinuteIfAnythingChanged) {
  start();
  pass(59'000);
  EXPECT_TRUE(store->snapshots.empty());
  pass(3'000);
  ASSERT_EQ(store->snapshots.size(), 1U);
  EXPECT_EQ(store->snapshots[0].cells.size(), 2U);
  for (const storage::CellSnapshot& cell : store->snapshots[0].cells) {
    EXPECT_EQ(cell.producers.size(), 1U) << "what ticks do without";
  }
  EXPECT_EQ(store->snapshots[0].catalogue.size(), 2U);
  EXPECT_NE(store->snapshots[0].clock.retention_ms, 0);
  pass(600'000);
  EXPECT_EQ(store->snapshots.size(), 1U) << "nothing changed";
  ++cells.cell(CellId(1)).lsn;
  pass(61'000);
  EXPECT_EQ(store->snapshots.size(), 2U);
  ++catalogue.current_version;
  pass(61'000);
  EXPECT_EQ(store->snapshots.size(), 3U);
  pass(3'700'000);
  EXPECT_EQ(store->snapshots.size(), 4U) << "the clock is kept at least hourly";
  EXPECT_FALSE(catalogue.held);
}

TEST_F(KeeperTest, ASealedSegmentCallsForASnapshotSoon) {
  start();
  pass(2'000);
  seal(1, 999);
  pass(3'000);
  ASSERT_EQ(store->snapshots.size(), 1U);
  EXPECT_EQ(store->snapshots[0].cells[0].segments, std::vector{SegmentNumber(1)});
  EXPECT_TRUE(recycled().empty());
  pass(30'000);
  EXPECT_EQ(store->snapshots.size(), 1U);
}

TEST_F(KeeperTest, WaitsForTheCatalogue) {
  start();
  pass(1'000);
  catalogue.set_busy(true);
  keeper->want_snapshot();
  pass(5'000);
  EXPECT_TRUE(store->snapshots.empty());
  catalogue.set_busy(false);
  pass(5'000);
  EXPECT_EQ(store->snapshots.size(), 1U);
  EXPECT_FALSE(catalogue.held);
}

TEST_F(KeeperTest, RecyclesWhatExpiredAfterASnapshotWithoutIt) {
  start();
  pass(1'000);
  seal(1, 499);
  pass(2'000);
  seal(2, 999);
  pass(24 * kMillisPerHour - 10'000);
  EXPECT_TRUE(recycled().empty()) << "not a second early";
  pass(10'000);
  EXPECT_EQ(recycled(), std::vector{SegmentNumber(1)});
  EXPECT_EQ(store->snapshots.back().cells[0].segments, std::vector{SegmentNumber(2)});
  EXPECT_EQ(store->snapshots.back().cells[0].shards[0].trim_index, 500U);
  pass(10'000);
  EXPECT_EQ(recycled(), (std::vector{SegmentNumber(1), SegmentNumber(2)}));
  EXPECT_TRUE(store->snapshots.back().cells[0].segments.empty());
  EXPECT_EQ(keeper->report().segments_recycled, 2U);
}

TEST_F(KeeperTest, WithoutASnapshotNothingIsRecycled) {
  start();
  pass(1'000);
  seal(1, 499);
  catalogue.shards.clear();  // deleted
  store->refuse_snapshots = true;
  pass(120'000);
  EXPECT_TRUE(recycled().empty());
  EXPECT_GT(keeper->report().snapshot_failures, 1U);
  EXPECT_EQ(keeper->report().snapshots, 0U);
  EXPECT_TRUE(keeper->report().snapshots_fail);
  store->refuse_snapshots = false;
  pass(10'000);
  EXPECT_FALSE(keeper->report().snapshots_fail);
  EXPECT_EQ(recycled(), std::vector{SegmentNumber(1)});
}

TEST_F(KeeperTest, AFenceIsRecordedOnce) {
  start();
  store->refuse_fences = 1;
  pass(1'000);
  cells.cell(CellId(1)).fenced = true;
  cells.cell(CellId(1)).slots_free = 0;
  pass(30'000);
  EXPECT_EQ(store->fences, std::vector{CellId(1)});
  EXPECT_TRUE(catalogue.fenced.contains(CellId(1)));
  EXPECT_EQ(store->slots, 0U) << "a fenced cell gets no slots";
  EXPECT_TRUE(keeper->report().cells[1].fenced);
}

TEST_F(KeeperTest, SaysHowLongTheJournalLasts) {
  start();
  pass(1'500);
  EXPECT_EQ(keeper->report().hours, kHoursMax);
  for (int second = 0; second < 600; ++second) {
    cells.cell(CellId(0)).bytes_written += kMiB;
    pass(1'000);
  }
  const KeeperReport report = keeper->report();
  EXPECT_NEAR(static_cast<double>(report.bytes_per_second), static_cast<double>(kMiB), 5e4);
  // 20 slots of 32 MiB at 1 MiB/s.
  EXPECT_NEAR(report.hours, 640.0 / 3600, 0.02);
  EXPECT_EQ(report.limit_bytes, options.size_max);
  EXPECT_TRUE(report.growth_possible);
}

#ifdef PENSTOCK_SABOTAGE
TEST_F(KeeperTest, ThePlantedBugRecyclesWithoutASnapshot) {
  start();
  pass(1'000);
  seal(1, 499);
  catalogue.shards.clear();
  storage::g_sabotage = storage::Sabotage::kRecycleWithoutSnapshot;
  pass(10'000);
  storage::g_sabotage = storage::Sabotage::kNone;
  EXPECT_FALSE(recycled().empty());
  EXPECT_TRUE(store->snapshots.empty());
}
#endif

}  // namespace
}  // namespace penstock::retention
