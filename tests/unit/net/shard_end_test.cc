// Goal: who reads a shard that is split, merged, removed or on a server that stops is told so, once, and in time.
// Method: subscriptions and gets over real data cores in each state; shards by command and by map.
#include "tests/unit/net/reading_server.h"

namespace penstock::test {
namespace {

using proto::MessageKind;
using Texts = std::vector<std::string>;

class ShardEnds : public ::testing::Test {
 protected:
  // Of the one ShardEnd on the lane.
  [[nodiscard]] std::vector<std::uint32_t> children(std::uint32_t lane) const {
    std::vector<std::uint32_t> numbers;
    const auto ends = client_.all(lane, MessageKind::kShardEnd);
    EXPECT_EQ(ends.size(), 1U);
    if (ends.empty()) return numbers;
    for (const auto* child : *ends[0]->as<proto::ShardEnd>().children()) {
      numbers.push_back(child->number());
    }
    return numbers;
  }
  void split() {
    server_.cores.close(1);
    server_.cores.open_children();
    server_.cores.publish();
  }
  using Numbers = std::vector<std::uint32_t>;

  ReadingServer server_;
  Reader client_{server_};
};

TEST_F(ShardEnds, AreToldOnceWithTheChildrenHoweverLateTheirMapIs) {
  client_.store(1, {"a"});
  const std::uint32_t tail = client_.subscribe(1, kHorizon);
  client_.settle();
  server_.cores.close(1);
  const std::uint32_t late = client_.subscribe(1, kHorizon);
  client_.settle();
  client_.wait(12'000);
  EXPECT_EQ(client_.count(MessageKind::kShardEnd), 0U) << "no children are known";
  EXPECT_EQ(client_.texts(late), Texts{"a"});
  server_.cores.open_children();
  server_.cores.publish();
  client_.wait(100);
  EXPECT_EQ(children(tail), (Numbers{2, 3}));
  EXPECT_EQ(children(late), (Numbers{2, 3}));
  const std::uint32_t behind = client_.subscribe(1, kLatest);
  client_.settle();
  EXPECT_EQ(children(behind), (Numbers{2, 3}));
  EXPECT_EQ(client_.all(tail, MessageKind::kShardEnd)[0]->as<proto::ShardEnd>().next(), 1U);
  client_.wait(12'000);
  server_.cores.publish();
  client_.wait(1'000);
  EXPECT_EQ(client_.count(MessageKind::kShardEnd), 3U);
  EXPECT_EQ(client_.told, "");
}

TEST_F(ShardEnds, OfAMergeAreToldToReadersOfBoth) {
  const std::uint32_t lower = client_.subscribe(0, kHorizon);
  const std::uint32_t upper = client_.subscribe(1, kHorizon);
  client_.settle();
  server_.cores.close(0);
  server_.cores.close(1);
  server_.cores.open(2, 1, 0, 3, ShardNumber(0), ShardNumber(1));
  server_.cores.publish();
  client_.wait(100);
  EXPECT_EQ(children(lower), Numbers{2});
  EXPECT_EQ(children(upper), Numbers{2});
}

TEST_F(ShardEnds, ComeBehindEveryRecord) {
  Texts texts;
  for (int i = 0; i < 50; ++i) texts.push_back(std::to_string(i) + std::string(3'000, '.'));
  client_.store(1, texts);
  const std::uint32_t lane = client_.subscribe(1, kHorizon, 20'000, 16 * kKiB);
  client_.settle();
  split();
  client_.wait(1'000);
  EXPECT_EQ(client_.count(MessageKind::kShardEnd), 0U);
  for (std::uint64_t credit = 20'000; credit < 200'000; credit += 5'000) {
    client_.session().grant(lane, credit);
    client_.settle();
  }
  EXPECT_TRUE(client_.texts(lane) == texts);
  EXPECT_EQ(children(lane), (Numbers{2, 3}));
  EXPECT_EQ(client_.heard.back()->kind(), MessageKind::kShardEnd);
  // The children go on.
  const std::uint32_t child = client_.subscribe(3, kHorizon);
  client_.store_batch(
      3, make_batch({{.key = "k", .data = "c", .flags = 1, .hash = base::kHashKeyMax}}));
  client_.settle();
  EXPECT_EQ(client_.texts(child), Texts{"c"});
}

TEST_F(ShardEnds, OfAStreamThatIsDeletedMeanwhileAreNone) {
  const std::uint32_t lane = client_.subscribe(1, kHorizon);
  client_.settle();
  server_.cores.close(1);
  client_.wait(1'000);
  server_.cores.publish(server_.cores.empty_map());
  client_.wait(500);
  EXPECT_EQ(client_.told, "reset " + std::to_string(lane) + " kGone; ");
  EXPECT_EQ(client_.count(MessageKind::kShardEnd), 0U);
}

TEST_F(ShardEnds, ByRemovalAreToldAtOnce) {
  client_.store(1, {"a"});
  const std::uint32_t lane = client_.subscribe(1, kLatest);
  const std::uint64_t get =
      client_.get(client_.session().open_lane({}), 1, kLatest, {.wait_ms = 20'000});
  client_.settle();
  server_.trim(1, UINT64_MAX);
  client_.settle();
  EXPECT_EQ(client_.told, "reset " + std::to_string(lane) + " kGone; ");
  ASSERT_NE(client_.failure(get), nullptr);
  EXPECT_EQ(client_.failure(get)->code(), static_cast<std::uint32_t>(ErrorCode::kNotFound));
}

TEST_F(ShardEnds, TrimOvertakesASlowReader) {
  client_.store(1, {"a", "b", "c", "d"});
  const std::uint32_t lane = client_.subscribe(1, kHorizon, 0);
  client_.settle();
  server_.trim(1, 2);
  client_.session().grant(lane, 100'000);
  client_.settle();
  EXPECT_EQ(client_.texts(lane), (Texts{"c", "d"}));
}

// --- Stops ----------------------------------------------------------------------------------------

TEST_F(ShardEnds, ADrainEndsWhoeverReads) {
  client_.store(0, Texts(20, std::string(20'000, 'x')));
  client_.store(1, Texts(20, std::string(20'000, 'x')));
  std::vector<std::uint64_t> gets;
  for (const std::uint32_t shard : {0U, 1U}) {
    client_.subscribe(shard, kLatest);
    client_.subscribe(shard, kHorizon, 0);
    client_.subscribe(shard, kHorizon, 50'000);
    gets.push_back(
        client_.get(client_.session().open_lane({}), shard, kLatest, {.wait_ms = 20'000}));
  }
  client_.settle();
  client_.wait(500);
  const std::uint64_t reads = server_.cores.core(0).counters().reads;
  server_.begin_drain();
  client_.wait(1'000);
  for (const std::uint64_t get : gets) {
    ASSERT_NE(client_.answer(get), nullptr);
    EXPECT_EQ(client_.answer(get)->kind(), MessageKind::kGot);
  }
  EXPECT_EQ(client_.told, "closed kStopping the server stops; ");
  client_.wait(2'500);
  EXPECT_TRUE(server_.door->drained());
  EXPECT_LE(server_.cores.core(0).counters().reads - reads, 10U);
}

TEST_F(ShardEnds, ACoreThatStopsBeforeTheDoorIsNotAskedWithoutEnd) {
  client_.store(1, {"a"});
  const std::uint32_t lane = client_.subscribe(1, kHorizon);
  client_.settle();
  const std::uint64_t get =
      client_.get(client_.session().open_lane({}), 1, kLatest, {.wait_ms = 20'000});
  client_.settle();
  server_.cores.core(1).end_waits(server_.now);
  const std::uint64_t reads = server_.cores.core(0).counters().reads;
  client_.wait(10'000);
  EXPECT_NE(client_.answer(get), nullptr);
  EXPECT_LE(server_.cores.core(0).counters().reads - reads, 50U);
  client_.store(1, {"b"});
  client_.wait(1'000);
  EXPECT_EQ(client_.texts(lane), (Texts{"a", "b"}));
}

}  // namespace
}  // namespace penstock::test
