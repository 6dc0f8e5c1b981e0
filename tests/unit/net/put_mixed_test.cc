// Goal: on a lane for any shards every record finds its own, and its own result. Method: batches over a stream of
// several shards, some of which refuse.
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"

namespace penstock::test {
namespace {

using proto::MessageKind;

struct Mixing {
  Mixing() {
    server.data.add_stream("s", 4);
    client.greet();
    lane = client.put_lane("s", UINT32_MAX);
  }
  // A key for a shard.
  std::string key(std::uint32_t shard, int n = 0) {
    const auto& route = server.data.routes()->find("s")->shards[shard];
    return key_in(route.begin, route.end, n);
  }
  // Record by record: "shard.index", or the error.
  std::string put(const std::vector<MadeRecord>& records) {
    const std::uint64_t request = client.put(lane, make_batch(records));
    client.settle();
    const Heard* heard = client.answer(request);
    if (heard == nullptr) return client.told;
    if (const proto::Failure* failure = client.failure(request)) {
      return std::string(name(static_cast<ErrorCode>(failure->code()))) + " " +
             std::to_string(failure->record());
    }
    std::string told;
    for (const proto::RecordResult* result : *heard->as<proto::PutResult>().records()) {
      if (result->code() != 0) {
        told += std::string(name(static_cast<ErrorCode>(result->code()))) + " ";
        continue;
      }
      EXPECT_EQ(result->arrival_ms(), server.data.wall().raw());
      told += std::to_string(result->shard()) + "." + std::to_string(result->index()) + " ";
    }
    return told;
  }
  NativeHarness server;
  NativeClient client{server};
  std::uint32_t lane = 0;
};

TEST(MixedPut, EveryRecordFindsItsShard) {
  Mixing mixing;
  EXPECT_EQ(
      mixing.put(
          {{.key = mixing.key(3), .data = "three"},
           {.key = mixing.key(0), .data = "zero"},
           {.key = mixing.key(3, 1), .data = "three again"},
           {.key = "x", .data = "chosen", .flags = net::kExplicitHash, .hash = base::HashKey{}},
           {.key = mixing.key(1), .data = "one"}}),
      "3.0 0.0 3.1 0.1 1.0 ");
  EXPECT_EQ(mixing.server.data.log("s", 3).records.at(1).data, "three again");
  EXPECT_EQ(mixing.server.data.log("s", 0).records.at(1).key, "x");
  EXPECT_EQ(mixing.server.data.log("s", 0).records.at(1).hash, base::HashKey{});
  EXPECT_EQ(mixing.server.door.counters().records_in, 5U);
  EXPECT_EQ(mixing.server.door.counters().batches_split, 1U);
}

TEST(MixedPut, SomeMayFail) {
  Mixing mixing;
  mixing.server.data.log("s", 1).refuse_puts = ErrorCode::kThrottled;
  mixing.server.data.log("s", 1).admit = 1;
  mixing.server.data.log("s", 2).refuse_puts = ErrorCode::kJournalFull;
  mixing.server.data.log("s", 2).admit = 0;
  EXPECT_EQ(mixing.put({{.key = mixing.key(0)},
                        {.key = mixing.key(1)},
                        {.key = mixing.key(2)},
                        {.key = mixing.key(1, 1)},
                        {.key = mixing.key(3)}}),
            "0.0 1.0 kJournalFull kThrottled 3.0 ");
  EXPECT_EQ(mixing.server.door.counters().records_in, 3U);
}

TEST(MixedPut, AllMayFail) {
  Mixing mixing;
  mixing.server.data.log("s", 1).refuse_puts = ErrorCode::kUnknownOutcome;
  mixing.server.data.log("s", 1).admit = 0;
  EXPECT_EQ(mixing.put({{.key = mixing.key(1)}, {.key = mixing.key(1, 1)}}),
            "kUnknownOutcome kUnknownOutcome ");
}

TEST(MixedPut, OneBadRecordRefusesAll) {
  Mixing mixing;
  EXPECT_EQ(mixing.put({{.key = mixing.key(0)}, {.key = ""}}), "kMalformed 1");
  EXPECT_EQ(mixing.server.data.log("s", 0).records.size(), 0U);
  EXPECT_EQ(mixing.put({{.key = mixing.key(0)}}), "0.0 ");
}

TEST(MixedPut, FollowsASplitWithoutAWord) {
  Mixing mixing;
  const std::string key = mixing.key(0);
  EXPECT_EQ(mixing.put({{.key = key}}), "0.0 ");
  mixing.server.data.split("s", 0, md5_of(key));
  EXPECT_EQ(mixing.put({{.key = key}}), "5.0 ");
}

TEST(MixedPut, TakesTenThousandRecords) {
  Mixing mixing;
  std::vector<MadeRecord> records(10'000);
  for (std::size_t i = 0; i < records.size(); ++i) {
    records[i] = {.key = std::to_string(i), .data = "x"};
  }
  const std::uint64_t request = mixing.client.put(mixing.lane, make_batch(records));
  mixing.client.settle();
  ASSERT_NE(mixing.client.answer(request), nullptr) << mixing.client.told;
  const auto* results = mixing.client.answer(request)->as<proto::PutResult>().records();
  ASSERT_EQ(results->size(), 10'000U);
  std::size_t stored = 0;
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    stored += mixing.server.data.log("s", shard).records.size();
  }
  EXPECT_EQ(stored, 10'000U);
  for (std::uint32_t i = 0; i < results->size(); ++i) {
    const auto* result = results->Get(i);
    ASSERT_EQ(mixing.server.data.log("s", result->shard()).records.at(result->index()).key,
              std::to_string(i));
  }
}

TEST(MixedPut, SixtyFourWait) {
  Mixing mixing;
  for (int i = 0; i < 64; ++i) mixing.client.put(mixing.lane, make_batch({{.key = "a"}}));
  mixing.client.carry();
  EXPECT_EQ(mixing.client.told, "");
  mixing.client.put(mixing.lane, make_batch({{.key = "a"}}));
  mixing.client.carry();
  EXPECT_TRUE(mixing.client.told.starts_with("closed kProtocol")) << mixing.client.told;
}

}  // namespace
}  // namespace penstock::test
