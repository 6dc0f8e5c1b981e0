// Goal: administrative calls have the effects, states and words of the service, in the order that
// durability asks for.
// Method: a catalogue over cells with a memory; calls one by one and interleaved, cells that refuse,
// and a look at what was written and published at each step.
#include "catalog/catalog.h"

#include "storage/sabotage.h"
#include "tests/unit/catalog/world.h"

#include <gtest/gtest.h>

namespace penstock::catalog {
namespace {

using route::StreamStatus;
using shard::CommandKind;

constexpr base::HashKey kMiddle{1ULL << 63, 0};
const std::string kAccount = "000000000000";

TEST(Catalogue, CreateAnswersWhenEveryCoreShowsCreating) {
  World world;
  world.run();
  World::Answer& answer = world.ask(proto::CreateStream{.name = "s", .shards = 4});
  while (!answer.done) ASSERT_TRUE(world.turn());
  EXPECT_FALSE(answer.request.error.has_value());
  ASSERT_NE(world.route("s"), nullptr);
  EXPECT_EQ(world.route("s")->status, StreamStatus::kCreating);
  EXPECT_TRUE(world.route("s")->shards.empty()) << "no shards are listed while CREATING";
  const Nanos answered = world.now;
  world.run();
  EXPECT_GE(world.now - answered, 50 * kNanosPerMilli);
  EXPECT_EQ(world.route("s")->status, StreamStatus::kActive);
  EXPECT_EQ(world.route("s")->open.size(), 4U);
  EXPECT_EQ(world.route("s")->created_ms, world.stream("s").created_ms);
  world.check_quiet();
}

TEST(Catalogue, NewShardsGoWhereFewestAreOpen) {
  World world(3);
  EXPECT_EQ(world.create("a", 4), "");
  EXPECT_EQ(world.create("b", 2), "");
  std::vector<int> open(3, 0);
  for (const std::string name : {"a", "b"}) {
    for (const ShardEntry& shard : world.stream(name).shards) ++open[shard.cell.raw()];
  }
  EXPECT_EQ(open, (std::vector<int>{2, 2, 2}));
  world.catalog->cell_fenced(CellId(1));
  EXPECT_EQ(world.create("c", 4), "");
  for (const ShardEntry& shard : world.stream("c").shards) EXPECT_NE(shard.cell, CellId(1));
}

TEST(Catalogue, RefusesWithTheServicesWords) {
  World world;
  EXPECT_EQ(world.create("s", 2), "");
  EXPECT_EQ(world.create("s", 1),
            "ResourceInUseException: Stream s under account " + kAccount + " already exists.");
  EXPECT_EQ(
      world.create("t", 1000),
      "LimitExceededException: This request would exceed the shard limit for the account " +
          kAccount +
          " in us-east-1. Current shard count for the account: 2. Limit: 64. Number of additional "
          "shards that would have resulted from this request: 1000. Refer to the AWS Service "
          "Limits "
          "page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current "
          "limits and how to request higher limits.");
  EXPECT_EQ(world.call(proto::DeleteStream{.name = "x"}),
            "ResourceNotFoundException: Stream x under account " + kAccount + " not found.");
  EXPECT_EQ(
      world.split("x", "shardId-002147483648", {}),
      "ResourceNotFoundException: Could not find shard shardId-002147483648 in stream x under "
      "account " +
          kAccount + ".");
  EXPECT_EQ(world.split("x", "a-2147483647", {}),
            "ResourceNotFoundException: Stream x under account " + kAccount + " not found.");
  EXPECT_EQ(
      world.split("s", "shardId-5", {}),
      "ResourceNotFoundException: Could not find shard shardId-000000000005 in stream s under "
      "account " +
          kAccount + ".");
  const std::string bounds =
      " used in SplitShard() on shard shardId-000000000000 in stream s under account " + kAccount +
      " is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's "
      "EndingHashKey 170141183460469231731687303715884105727.";
  EXPECT_EQ(world.split("s", "shard-0", {0, 1}),
            "InvalidArgumentException: NewStartingHashKey 1" + bounds);
  EXPECT_EQ(world.split("s", "0", base::previous(kMiddle)),
            "InvalidArgumentException: NewStartingHashKey 170141183460469231731687303715884105727" +
                bounds);
  EXPECT_EQ(world.call(proto::SplitShard{
                .name = "s",
                .shard = "shard-0",
                .new_starting_hash_key = {},
                .new_starting_hash_key_text = "999999999999999999999999999999999999999"}),
            "InvalidArgumentException: NewStartingHashKey 999999999999999999999999999999999999999" +
                bounds);
  EXPECT_EQ(world.merge("s", "shard-1", "shard-0"),
            "InvalidArgumentException: Shards shardId-000000000001 and shardId-000000000000 in "
            "stream s under account " +
                kAccount + " are not an adjacent pair of shards eligible for merging");
  EXPECT_EQ(world.split("s", "0", {0, 2}), "");
  EXPECT_EQ(world.split("s", "0", {0, 2}),
            "InvalidArgumentException: Shard shardId-000000000000 in stream s under account " +
                kAccount +
                " has already been merged or split, and thus is not eligible for merging or "
                "splitting.");
  EXPECT_EQ(world.call(proto::CreateStream{
                .name = "d", .shards = 0, .mode = route::StreamMode::kOnDemand}),
            "");
  EXPECT_EQ(world.stream("d").shards.size(), 4U);
  EXPECT_EQ(world.split("d", "0", {0, 2}),
            "ValidationException: Request is invalid. Stream d under account " + kAccount +
                " is in On-Demand mode.");
}

TEST(Catalogue, RetentionHasBounds) {
  World world;
  EXPECT_EQ(world.create("s", 1), "");
  const auto set = [&](std::int64_t hours, bool increase) {
    return world.call(proto::SetRetention{.name = "s", .hours = hours, .increase = increase});
  };
  EXPECT_EQ(set(48, true), "");
  EXPECT_EQ(world.route("s")->retention_hours, 48U);
  const std::size_t frames = world.cells.catalogue().size();
  EXPECT_EQ(set(48, true), "") << "equal is no change";
  EXPECT_EQ(world.cells.catalogue().size(), frames);
  EXPECT_EQ(set(23, false),
            "InvalidArgumentException: Minimum allowed retention period is 24 hours. Requested "
            "retention period (23 hours) is too short.");
  EXPECT_EQ(set(8761, true),
            "InvalidArgumentException: Maximum allowed retention period is 8760 hours. Requested "
            "retention period (8761 hours) is too long.");
  EXPECT_EQ(
      set(24, true),
      "InvalidArgumentException: Requested retention period (24 hours) for stream s can not be "
      "shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API.");
  EXPECT_EQ(
      set(72, false),
      "InvalidArgumentException: Requested retention period (72 hours) for stream s can not be "
      "longer than existing retention period (48 hours). Use IncreaseRetentionPeriod API.");
  EXPECT_EQ(set(24, false), "");
  world.crash(0);
  world.run();
  EXPECT_EQ(world.route("s")->retention_hours, 24U);
}

TEST(Catalogue, ABusyStreamNamesItsState) {
  World world;
  world.run();
  World::Answer& created = world.ask(proto::CreateStream{.name = "s", .shards = 2});
  World::Answer& early = world.ask(proto::SplitShard{.name = "s",
                                                     .shard = "0",
                                                     .new_starting_hash_key = {0, 9},
                                                     .new_starting_hash_key_text = {}});
  while (!early.done) ASSERT_TRUE(world.turn());
  EXPECT_TRUE(created.done || !created.request.error);
  ASSERT_TRUE(early.request.error.has_value());
  EXPECT_EQ(early.request.error->type, "ResourceInUseException");
  EXPECT_EQ(early.request.error->message,
            "Stream s under account " + kAccount + " not ACTIVE, instead in state CREATING");
  world.run();
  World::Answer& split = world.ask(proto::SplitShard{.name = "s",
                                                     .shard = "0",
                                                     .new_starting_hash_key = {0, 9},
                                                     .new_starting_hash_key_text = {}});
  World::Answer& merge =
      world.ask(proto::MergeShards{.name = "s", .shard = "0", .adjacent_shard = "1"});
  while (!split.done) ASSERT_TRUE(world.turn());
  EXPECT_EQ(world.route("s")->status, StreamStatus::kUpdating);
  world.run();
  ASSERT_TRUE(merge.request.error.has_value());
  EXPECT_EQ(merge.request.error->message,
            "Stream s under account " + kAccount + " not ACTIVE, instead in state UPDATING");
  world.check_quiet();
}

TEST(Catalogue, AtMostFiveAreCreatedAtATime) {
  World world;
  world.run();
  std::vector<World::Answer*> asked;
  for (int i = 0; i < 6; ++i) {
    asked.push_back(&world.ask(proto::CreateStream{.name = "s" + std::to_string(i), .shards = 1}));
  }
  world.run();
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(asked[static_cast<std::size_t>(i)]->request.error);
  ASSERT_TRUE(asked[5]->request.error.has_value());
  EXPECT_EQ(asked[5]->request.error->type, "LimitExceededException");
  EXPECT_EQ(world.create("s5", 1), "") << "they are ACTIVE by now";
}

TEST(Catalogue, ASplitClosesCommitsThenOpens) {
  World world;
  EXPECT_EQ(world.create("s", 1), "");
  world.cells.history.clear();
  EXPECT_EQ(world.split("s", "0", kMiddle), "");
  const std::vector<CommandKind> order{CommandKind::kCatalogue, CommandKind::kCloseShard,
                                       CommandKind::kCatalogue, CommandKind::kOpenShard,
                                       CommandKind::kOpenShard, CommandKind::kCatalogue};
  EXPECT_EQ(world.cells.history, order);
  const StreamEntry& stream = world.stream("s");
  ASSERT_EQ(stream.shards.size(), 3U);
  EXPECT_EQ(stream.shards[1].cell, stream.shards[0].cell) << "one child stays";
  EXPECT_NE(stream.shards[2].cell, stream.shards[0].cell);
  EXPECT_EQ(stream.shards[1].begin, (base::HashKey{}));
  EXPECT_EQ(stream.shards[1].end, base::previous(kMiddle));
  EXPECT_EQ(stream.shards[2].begin, kMiddle);
  EXPECT_EQ(stream.shards[1].parent, ShardNumber(0));
  EXPECT_EQ(stream.shards[1].adjacent_parent, route::kNoShard);
  EXPECT_GT(stream.shards[0].final_index, 0U);
  world.check_quiet();
}

TEST(Catalogue, AMergeNamesBothParents) {
  World world;
  EXPECT_EQ(world.create("s", 2), "");
  EXPECT_EQ(world.merge("s", "0", "1"), "");
  const StreamEntry& stream = world.stream("s");
  ASSERT_EQ(stream.shards.size(), 3U);
  EXPECT_EQ(stream.shards[2].parent, ShardNumber(0));
  EXPECT_EQ(stream.shards[2].adjacent_parent, ShardNumber(1));
  EXPECT_EQ(stream.shards[2].end, base::kHashKeyMax);
  world.check_quiet();
}

TEST(Catalogue, ChildrenSortAboveAClockThatWentBack) {
  World world;
  EXPECT_EQ(world.create("s", 1), "");
  world.run();
  const std::int64_t before = world.wall.raw();
  world.wall = world.wall - 365LL * 24 * kMillisPerHour;
  EXPECT_EQ(world.split("s", "0", kMiddle), "");
  for (const ShardEntry& shard : world.stream("s").shards) {
    if (shard.number != ShardNumber(0)) {
      EXPECT_GT(shard.created_second, before / 1000);
    }
  }
  EXPECT_EQ(world.merge("s", "1", "2"), "");
  world.check_quiet();
}

TEST(Catalogue, ANameIsTakenUntilItsStreamIsGone) {
  World world;
  EXPECT_EQ(world.create("s", 3), "");
  World::Answer& deleted = world.ask(proto::DeleteStream{.name = "s"});
  while (!deleted.done) ASSERT_TRUE(world.turn());
  EXPECT_EQ(world.route("s")->status, StreamStatus::kDeleting);
  World::Answer& created = world.ask(proto::CreateStream{.name = "s", .shards = 1});
  World::Answer& again = world.ask(proto::DeleteStream{.name = "s"});
  world.run();
  ASSERT_TRUE(created.request.error.has_value());
  EXPECT_EQ(created.request.error->type, "ResourceInUseException");
  ASSERT_TRUE(again.request.error.has_value());
  EXPECT_EQ(again.request.error->message,
            "Stream s under account " + kAccount + " not ACTIVE, instead in state DELETING");
}

TEST(Catalogue, ADeletedStreamLeavesNothing) {
  World world;
  EXPECT_EQ(world.create("s", 3), "");
  const StreamUid first = world.stream("s").uid;
  EXPECT_EQ(world.call(proto::DeleteStream{.name = "s"}), "");
  EXPECT_EQ(world.route("s"), nullptr);
  EXPECT_FALSE(world.catalog->holds({first, ShardNumber(0)}));
  for (std::uint16_t i = 0; i < 3; ++i) EXPECT_TRUE(world.cells.cell(CellId(i)).shards.empty());
  EXPECT_EQ(world.create("s", 1), "");
  EXPECT_NE(world.stream("s").uid, first);
  world.check_quiet();
}

TEST(Catalogue, DeleteMayInterruptCreateAndSplit) {
  for (int turns = 0; turns < 60; ++turns) {
    World world;
    EXPECT_EQ(world.create("keep", 1), "");
    world.ask(proto::CreateStream{.name = "s", .shards = 2});
    if (turns % 2 == 0) {
      world.run();
      world.ask(proto::MergeShards{.name = "s", .shard = "0", .adjacent_shard = "1"});
    }
    for (int i = 0; i < turns / 2; ++i) world.turn();
    World::Answer& deleted = world.ask(proto::DeleteStream{.name = "s"});
    world.run();
    ASSERT_TRUE(deleted.done);
    EXPECT_FALSE(deleted.request.error.has_value()) << turns;
    EXPECT_EQ(world.catalog->state().find("s"), nullptr);
    world.check_quiet();
  }
}

TEST(Catalogue, AShardOpenedAfterItsDeletionIsTrimmed) {
  World world;
  world.run();
  world.cells.cell(CellId(2)).stalled = true;
  world.ask(proto::CreateStream{.name = "s", .shards = 3});
  world.run();
  EXPECT_EQ(world.route("s")->status, StreamStatus::kCreating);
  World::Answer& deleted = world.ask(proto::DeleteStream{.name = "s"});
  world.run();
  EXPECT_TRUE(deleted.done);
  EXPECT_EQ(world.route("s"), nullptr) << "one cell does not hold it up";
  world.cells.cell(CellId(2)).stalled = false;
  world.run();
  world.check_quiet();
}

TEST(Catalogue, ACloseThatFailsIsUndone) {
  World world;
  EXPECT_EQ(world.create("s", 2), "");
  world.cells.refuse_next(CommandKind::kCloseShard, ErrorCode::kJournalFull);
  EXPECT_EQ(world.merge("s", "0", "1"), "") << "answered before it was tried";
  EXPECT_EQ(world.route("s")->status, StreamStatus::kActive);
  EXPECT_EQ(world.route("s")->shards.size(), 2U);
  EXPECT_EQ(world.catalog->counts().aborts, 1U);
  for (const ShardEntry& shard : world.stream("s").shards) {
    EXPECT_TRUE(world.cells.put(shard.cell, {world.stream("s").uid, shard.number}, world.wall));
  }
  world.check_quiet();
  world.crash(0);
  world.run();
  world.check_quiet();
  EXPECT_EQ(world.merge("s", "0", "1"), "");
  EXPECT_EQ(world.stream("s").shards.size(), 3U);
  world.check_quiet();
}

TEST(Catalogue, ARefusedDecisionChangesNothing) {
  World world;
  EXPECT_EQ(world.create("s", 1), "");
  world.cells.refuse_next(CommandKind::kCatalogue, ErrorCode::kJournalFull);
  EXPECT_TRUE(world.create("t", 1).starts_with("InternalFailure: "));
  EXPECT_EQ(world.catalog->state().find("t"), nullptr);
  EXPECT_EQ(world.create("t", 1), "");
  world.check_quiet();
}

TEST(Catalogue, AnUnknownCommitKeepsTheParentClosedUntilTheNextStart) {
  for (const bool written : {false, true}) {
    World world;
    EXPECT_EQ(world.create("elsewhere", 1), "");
    EXPECT_EQ(world.create("s", 1), "");
    ASSERT_NE(world.stream("s").shards[0].cell, CellId(0));
    World::Answer& answer = world.ask(proto::SplitShard{.name = "s",
                                                        .shard = "0",
                                                        .new_starting_hash_key = kMiddle,
                                                        .new_starting_hash_key_text = {}});
    while (!answer.done || world.cells.history.back() != CommandKind::kCloseShard) {
      ASSERT_TRUE(world.turn());
    }
    world.cells.written_unknown = written;
    world.cells.refuse_next(CommandKind::kCatalogue, ErrorCode::kUnknownOutcome);
    world.run();
    EXPECT_TRUE(world.catalog->counts().read_only);
    const ShardKey parent{world.stream("s").uid, ShardNumber(0)};
    const CellId cell = world.stream("s").shards[0].cell;
    EXPECT_FALSE(world.cells.put(cell, parent, world.wall)) << "what it took could be lost";
    EXPECT_TRUE(world.create("t", 1).starts_with("InternalFailure: "));
    world.cells.cell(CellId(0)).fenced = false;
    world.crash(0);
    world.run();
    EXPECT_EQ(world.stream("s").shards.size(), 3U);
    world.check_quiet();
  }
}

TEST(Catalogue, AFencedCellDoesNotHoldUpAStream) {
  World world;
  world.run();
  world.cells.cell(CellId(1)).fenced = true;
  EXPECT_EQ(world.create("s", 3), "");
  EXPECT_EQ(world.route("s")->status, StreamStatus::kActive);
  EXPECT_EQ(world.route("s")->open.size(), 3U);
  world.cells.cell(CellId(1)).fenced = false;
  world.crash(0);
  world.run();
  world.check_quiet();
}

TEST(Catalogue, ExpiredShardsLeaveMapAndCell) {
  World world;
  EXPECT_EQ(world.create("s", 1), "");
  EXPECT_EQ(world.split("s", "0", kMiddle), "");
  const ShardKey parent{world.stream("s").uid, ShardNumber(0)};
  ASSERT_EQ(world.catalog->closed_shards().size(), 1U);
  EXPECT_EQ(world.catalog->closed_shards()[0].shard, parent);
  EXPECT_EQ(world.catalog->closed_shards()[0].period_ms, 24 * kMillisPerHour);
  world.catalog->expire_shards({parent, {parent.stream, ShardNumber(1)}});
  EXPECT_TRUE(world.catalog->closed_shards().empty()) << "asked for once";
  world.run();
  EXPECT_EQ(world.route("s")->shards.size(), 2U) << "an open shard does not expire";
  EXPECT_EQ(world.route("s")->shards[0].parent, ShardNumber(0));
  EXPECT_FALSE(world.catalog->holds(parent));
  world.check_quiet();
  EXPECT_EQ(world.split("s", "1", {0, 100}), "");
  EXPECT_EQ(world.route("s")->shards.back().number, ShardNumber(4))
      << "numbers are not given again";
}

TEST(Catalogue, MapEpochsRiseOverRestarts) {
  World world;
  EXPECT_EQ(world.create("s", 1), "");
  const std::uint64_t before = world.cells.map()->epoch;
  world.crash(0);
  world.run();
  EXPECT_GT(world.cells.map()->epoch, before);
}

TEST(Catalogue, WhileHeldNoDecisionIsMade) {
  World world;
  EXPECT_EQ(world.create("s", 1), "");
  bool held = false;
  world.catalog->hold([](void* context) { *static_cast<bool*>(context) = true; }, &held);
  world.run();
  ASSERT_TRUE(held);
  const std::uint64_t version = world.catalog->version();
  World::Answer& answer = world.ask(proto::DeleteStream{.name = "s"});
  world.run();
  EXPECT_FALSE(answer.done);
  EXPECT_EQ(world.catalog->version(), version);
  world.catalog->release();
  world.run();
  EXPECT_TRUE(answer.done);
  EXPECT_EQ(world.catalog->state().find("s"), nullptr);
}

// Each client asks again as soon as it is answered, so some call always waits for its turn.
TEST(Catalogue, CallsWithoutEndDoNotKeepOutWhoWantsToHoldIt) {
  World world;
  EXPECT_EQ(world.create("s", 1), "");
  struct Client {
    World& world;
    proto::ControlRequest request;
    std::int64_t hours;
    std::uint32_t answers = 0;
    void ask() {
      request = {};
      hours = hours == 24 ? 25 : 24;
      request.call = proto::SetRetention{.name = "s", .hours = hours, .increase = hours == 25};
      request.context = this;
      request.done = [](proto::ControlRequest& done, Nanos) {
        auto& self = *static_cast<Client*>(done.context);
        ++self.answers;
        self.ask();
      };
      world.catalog->start_local(request, world.now);
    }
  };
  Client one{.world = world, .request = {}, .hours = 24};
  Client two{.world = world, .request = {}, .hours = 25};
  one.ask();
  two.ask();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(world.turn());
  bool held = false;
  world.catalog->hold([](void* context) { *static_cast<bool*>(context) = true; }, &held);
  const std::uint32_t before = one.answers + two.answers;
  EXPECT_GT(before, 10U);
  for (int i = 0; i < 20 && !held; ++i) ASSERT_TRUE(world.turn());
  EXPECT_TRUE(held);
  world.catalog->release();
}

}  // namespace
}  // namespace penstock::catalog
