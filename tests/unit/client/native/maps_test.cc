// Goal: maps are whole, the newest that there is, and told once; administrative calls are sent once and answered
// truthfully. Method: a server in memory that changes its shards.
#include "client/native/maps.h"

#include "client/native/admin_calls.h"
#include "tests/unit/client/native/rig.h"

namespace penstock::client::native {
namespace {

using namespace test;

struct Reader final : MapUser {
  void on_map(const std::shared_ptr<const StreamMap>& map, Nanos) override {
    newest = map;
    ++maps;
  }
  void on_no_map(ErrorCode why, Nanos) override { missing = why; }
  std::shared_ptr<const StreamMap> newest;
  std::optional<ErrorCode> missing;
  int maps = 0;
};

class MapsTest : public testing::Test {
 protected:
  MapsTest() : maps_(rig_.link), admin_(rig_.link) {
    rig_.on_step = [this](Nanos now) {
      maps_.tick(now);
      admin_.tick(now);
    };
  }
  Result<AdminAnswer> call(AdminCall call) {
    Result<AdminAnswer> answer = fail(ErrorCode::kSystem);
    admin_.start(
        std::move(call), [&answer](Result<AdminAnswer> given) { answer = std::move(given); },
        rig_.now() + kNanosPerSecond, rig_.now());
    rig_.run(1'100);
    return answer;
  }
  Rig rig_;
  Maps maps_;
  AdminCalls admin_;
  Reader reader_;
};

TEST_F(MapsTest, ComesInPagesAndIsWhole) {
  rig_.server.create("s", 7);
  maps_.watch("s", reader_, rig_.now());
  rig_.run(5);
  ASSERT_NE(reader_.newest, nullptr);
  EXPECT_EQ(reader_.maps, 1);
  ASSERT_EQ(reader_.newest->route.shards.size(), 7U);
  EXPECT_EQ(reader_.newest->epoch, rig_.server.epoch);
  EXPECT_EQ(reader_.newest->route.find(base::HashKey{})->number, ShardNumber(0));
  EXPECT_EQ(reader_.newest->route.find(base::kHashKeyMax)->number, ShardNumber(6));
}

TEST_F(MapsTest, BeginsAgainWhereTheEpochChangesBetweenPages) {
  rig_.server.create("s", 5);
  rig_.lag = true;
  maps_.watch("s", reader_, rig_.now());
  while (std::ranges::count(rig_.server.log, "GetMap") < 2) rig_.step(kNanosPerMilli);
  rig_.server.split("s", 4);
  rig_.run(20);
  ASSERT_NE(reader_.newest, nullptr);
  EXPECT_EQ(reader_.newest->route.shards.size(), 7U);
  EXPECT_EQ(reader_.newest->route.open.size(), 6U);
}

TEST_F(MapsTest, FollowsChanges) {
  rig_.server.create("s", 1);
  maps_.watch("s", reader_, rig_.now());
  rig_.run(2);
  rig_.server.split("s", 0);
  rig_.run(2);
  EXPECT_EQ(reader_.maps, 2);
  EXPECT_EQ(reader_.newest->route.open.size(), 2U);
  rig_.server.merge("s", 1, 2);
  rig_.run(2);
  EXPECT_EQ(reader_.newest->route.open.size(), 1U);
}

TEST_F(MapsTest, TakesTheMapOfAServerThatHasBegunToCountAnew) {
  rig_.server.create("s", 2);
  rig_.server.epoch = 90;
  rig_.server.reshaped();
  maps_.watch("s", reader_, rig_.now());
  rig_.run(2);
  EXPECT_EQ(reader_.newest->epoch, 91U);
  rig_.server.epoch = 5;
  rig_.cut();
  rig_.run(100);
  EXPECT_EQ(reader_.newest->epoch, 5U);
}

TEST_F(MapsTest, WaitsForAStreamThatIsNotThere) {
  maps_.watch("s", reader_, rig_.now());
  rig_.run(2);
  EXPECT_EQ(reader_.missing, ErrorCode::kNotFound);
  rig_.server.create("s", 1);
  rig_.run(200);
  EXPECT_EQ(reader_.maps, 1);
}

TEST_F(MapsTest, AsksUntilItHasTheEpochThatSomebodyNeeds) {
  rig_.server.create("s", 1);
  maps_.watch("s", reader_, rig_.now());
  rig_.run(2);
  maps_.need("s", rig_.server.epoch + 1, rig_.now());
  rig_.run(2);
  EXPECT_EQ(reader_.maps, 1);
  rig_.server.epoch += 1;  // nobody is told
  rig_.run(200);
  EXPECT_EQ(reader_.maps, 2);
  rig_.heard();
  rig_.run(500);
  EXPECT_EQ(rig_.heard(), "");
}

TEST_F(MapsTest, AdministrationIsAnswered) {
  EXPECT_TRUE(call({.operation = AdminOperation::kCreateStream, .stream = "s", .shard_count = 2}));
  EXPECT_EQ(call({.operation = AdminOperation::kCreateStream, .stream = "s", .shard_count = 2})
                .error()
                .code,
            ErrorCode::kConflict);
  EXPECT_TRUE(call({.operation = AdminOperation::kSplitShard, .stream = "s", .shard = 1}));
  EXPECT_EQ(rig_.server.streams.at("s").shards.size(), 4U);
  const auto list = call({.operation = AdminOperation::kListStreams});
  ASSERT_TRUE(list);
  EXPECT_EQ(list->streams, std::vector<std::string>{"s"});
}

TEST_F(MapsTest, AdministrationSaysWhatItDoesNotKnow) {
  rig_.reachable = false;
  EXPECT_EQ(call({.operation = AdminOperation::kListStreams}).error().code, ErrorCode::kDeadline);
  rig_.reachable = true;
  rig_.run(10'000);
  ASSERT_TRUE(rig_.link.open());
  Result<AdminAnswer> answer;
  admin_.start(
      {.operation = AdminOperation::kDeleteStream, .stream = "s"},
      [&answer](Result<AdminAnswer> given) { answer = std::move(given); },
      rig_.now() + kNanosPerSecond, rig_.now());
  rig_.cut();
  EXPECT_EQ(answer.error().code, ErrorCode::kUnknownOutcome);
}

}  // namespace
}  // namespace penstock::client::native
