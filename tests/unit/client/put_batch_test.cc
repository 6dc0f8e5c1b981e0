// Goal: entries leave a batch when acknowledged and stay, in order, when refused. Method: a canned server
// refuses some; what it is asked next is compared with what should be left.
#include "client/put_batch.h"

#include "canned_server.h"

#include <gtest/gtest.h>

namespace penstock::client {
namespace {

constexpr const char* kStored = R"({"SequenceNumber":"1","ShardId":"shardId-000000000000"})";
constexpr const char* kThrottled =
    R"({"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"m"})";
constexpr const char* kInternal = R"({"ErrorCode":"InternalFailure","ErrorMessage":"m"})";

std::string answer(std::initializer_list<const char*> entries) {
  std::string text = R"({"FailedRecordCount":0,"Records":[)";
  for (const char* entry : entries) {
    if (text.back() == '}') text += ',';
    text += entry;
  }
  return text + "]}";
}

std::string body_of(const std::string& request) {
  return request.substr(request.find("\r\n\r\n") + 4);
}

KinesisClient client_for(const CannedServer& server) {
  ClientOptions options;
  options.endpoint = server.endpoint();
  options.credentials = {"A", "S", ""};
  return KinesisClient(options);
}

TEST(PutBatch, WritesTheRequestOfTheService) {
  CannedServer server({{200, answer({kStored, kStored})}});
  KinesisClient client = client_for(server);
  PutBatch batch("fleet");
  batch.add("k\"1", "foo", 1);
  batch.add("k2", "foobar", 2, "17");
  std::vector<std::uint64_t> acknowledged;
  const auto left = batch.send(
      client, {[&](const PutBatch::Acknowledged& a) { acknowledged.push_back(a.tag); }, nullptr});
  ASSERT_TRUE(left);
  EXPECT_EQ(*left, 0U);
  EXPECT_EQ(acknowledged, (std::vector<std::uint64_t>{1, 2}));
  server.stop();
  EXPECT_EQ(body_of(server.requests()[0]),
            R"({"StreamName":"fleet","Records":[{"Data":"Zm9v","PartitionKey":"k\"1"},)"
            R"({"Data":"Zm9vYmFy","PartitionKey":"k2","ExplicitHashKey":"17"}]})");
}

TEST(PutBatch, KeepsTheRefusedInOrderInFrontOfWhatFollows) {
  CannedServer server({{200, answer({kStored, kThrottled, kStored, kInternal})},
                       {200, answer({kStored, kStored, kStored})}});
  KinesisClient client = client_for(server);
  PutBatch batch("s");
  for (const char* key : {"a", "b", "c", "d"})
    batch.add(key, key, static_cast<std::uint64_t>(key[0]));
  std::vector<std::pair<std::uint64_t, bool>> refused;
  const auto left = batch.send(client, {nullptr, [&](const PutBatch::Refused& r) {
                                          refused.emplace_back(r.tag, r.unknown);
                                        }});
  ASSERT_TRUE(left);
  EXPECT_EQ(*left, 2U);
  EXPECT_EQ(refused, (std::vector<std::pair<std::uint64_t, bool>>{{'b', false}, {'d', true}}));
  batch.add("e", "e", 'e');
  ASSERT_EQ(batch.send(client, {}), 0U);
  server.stop();
  EXPECT_EQ(body_of(server.requests()[1]),
            R"({"StreamName":"s","Records":[{"Data":"Yg==","PartitionKey":"b"},)"
            R"({"Data":"ZA==","PartitionKey":"d"},{"Data":"ZQ==","PartitionKey":"e"}]})");
}

TEST(PutBatch, AnErrorOfTheCallKeepsEverything) {
  CannedServer server({{400, R"({"__type":"ResourceNotFoundException","message":"m"})"}});
  KinesisClient client = client_for(server);
  PutBatch batch("s");
  batch.add("a", "a", 1);
  EXPECT_FALSE(batch.send(client, {}));
  EXPECT_EQ(batch.size(), 1U);
}

TEST(PutBatch, TooFewResultsAreAnUnknownOutcome) {
  CannedServer server({{200, answer({kStored})}});
  KinesisClient client = client_for(server);
  PutBatch batch("s");
  batch.add("a", "a", 1);
  batch.add("b", "b", 2);
  const auto left = batch.send(client, {});
  ASSERT_FALSE(left);
  EXPECT_TRUE(left.error().unknown);
  EXPECT_EQ(batch.size(), 2U);
}

TEST(PutBatch, IsFullByCountAndByBytes) {
  PutBatch batch("s");
  for (std::uint64_t i = 0; i < PutBatch::kEntriesMax; ++i) {
    ASSERT_FALSE(batch.full(1, 1));
    batch.add("k", "v", i);
  }
  EXPECT_TRUE(batch.full(1, 1));
  batch.clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_FALSE(batch.full(1, 8 * 1024 * 1024));  // alone, whatever its size
  batch.add("k", std::string(2 * 1024 * 1024, 'x'), 1);
  EXPECT_TRUE(batch.full(1, 2 * 1024 * 1024));
}

}  // namespace
}  // namespace penstock::client
