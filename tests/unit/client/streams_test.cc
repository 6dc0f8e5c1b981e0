// Goal: lists are followed through their pages, and the middle of a range of hash keys is its middle.
// Method: canned pages; ranges whose halves carry and borrow.
#include "client/streams.h"

#include "canned_server.h"

#include <gtest/gtest.h>

namespace penstock::client {
namespace {

KinesisClient client_for(const CannedServer& server) {
  ClientOptions options;
  options.endpoint = server.endpoint();
  options.credentials = {"A", "S", ""};
  return KinesisClient(options);
}

TEST(Streams, ListsThroughAllPages) {
  CannedServer server(
      {{200, R"({"StreamNames":["a","b"],"HasMoreStreams":true})"},
       {200,
        R"({"StreamNames":["c"],"HasMoreStreams":false,"StreamSummaries":[{"StreamName":"c","StreamStatus":"ACTIVE"}]})"}});
  KinesisClient client = client_for(server);
  const auto streams = list_streams(client);
  ASSERT_TRUE(streams);
  ASSERT_EQ(streams->size(), 3U);
  EXPECT_EQ(streams->at(2).name, "c");
  EXPECT_EQ(streams->at(2).status, "ACTIVE");
  server.stop();
  EXPECT_TRUE(server.requests()[1].ends_with(R"({"ExclusiveStartStreamName":"b"})"));
}

TEST(Streams, ListsShardsThroughTokens) {
  const std::string shard = R"({"ShardId":"shardId-000000000000","ParentShardId":"p",)"
                            R"("HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"9"},)"
                            R"("SequenceNumberRange":{"StartingSequenceNumber":"1")";
  CannedServer server({{200, R"({"NextToken":"t","Shards":[)" + shard + "}}]}"},
                       {200, R"({"Shards":[)" + shard + R"(,"EndingSequenceNumber":"2"}}]})"}});
  KinesisClient client = client_for(server);
  const auto shards = list_shards(client, "s");
  ASSERT_TRUE(shards);
  ASSERT_EQ(shards->size(), 2U);
  EXPECT_TRUE(shards->at(0).open());
  EXPECT_FALSE(shards->at(1).open());
  EXPECT_EQ(shards->at(0).parent, "p");
  EXPECT_EQ(shards->at(0).end, (base::HashKey{0, 9}));
  server.stop();
  EXPECT_TRUE(server.requests()[1].ends_with(R"({"NextToken":"t"})"));
}

TEST(Streams, AnAnswerWithoutRangesIsAProtocolError) {
  CannedServer server({{200, R"({"Shards":[{"ShardId":"x"}]})"}});
  KinesisClient client = client_for(server);
  const auto shards = list_shards(client, "s");
  ASSERT_FALSE(shards);
  EXPECT_EQ(shards.error().kind, FailureKind::kProtocol);
}

TEST(Streams, MiddleOfARange) {
  using base::HashKey;
  EXPECT_EQ(middle({0, 0}, {0, 9}), (HashKey{0, 5}));
  EXPECT_EQ(middle({0, 0}, {0, 1}), (HashKey{0, 1}));
  EXPECT_EQ(middle({0, 0}, base::kHashKeyMax), (HashKey{1ULL << 63, 0}));
  EXPECT_EQ(middle({1, ~0ULL}, {3, 1}), (HashKey{2, 1ULL << 63 | 1}));
  EXPECT_EQ(middle({5, ~0ULL - 1}, {6, 3}), (HashKey{6, 1}));
}

}  // namespace
}  // namespace penstock::client
