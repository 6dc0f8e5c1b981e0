// Goal: calls are signed, kept alive, repeated where that is harmless and only there, and errors arrive as
// the service gave them. Method: a canned server on loopback counts what it is asked.
#include "client/kinesis_client.h"

#include "canned_server.h"

#include <gtest/gtest.h>

namespace penstock::client {
namespace {

ClientOptions options_for(const CannedServer& server) {
  ClientOptions options;
  options.endpoint = server.endpoint();
  options.credentials = {"AKIDEXAMPLE", "secret", ""};
  options.timeout = std::chrono::milliseconds(2'000);
  return options;
}

TEST(KinesisClient, SignsAndNamesTheOperation) {
  CannedServer server({{200, "{}"}});
  KinesisClient client(options_for(server));
  ASSERT_TRUE(client.call("ListStreams", "{\"Limit\":1}"));
  server.stop();
  ASSERT_EQ(server.requests().size(), 1U);
  const std::string& request = server.requests()[0];
  EXPECT_NE(request.find("X-Amz-Target: Kinesis_20131202.ListStreams\r\n"), std::string::npos);
  EXPECT_NE(request.find("Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
            std::string::npos);
  EXPECT_NE(request.find("Content-Type: application/x-amz-json-1.1\r\n"), std::string::npos);
  EXPECT_TRUE(request.ends_with("{\"Limit\":1}"));
}

TEST(KinesisClient, GivesTheServicesErrorAndDoesNotRepeatIt) {
  CannedServer server(
      {{400, R"({"__type":"a.b#ResourceNotFoundException","message":"no stream"})"}});
  KinesisClient client(options_for(server));
  const auto reply = client.call("DescribeStreamSummary", "{}");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, FailureKind::kService);
  EXPECT_EQ(reply.error().type, "ResourceNotFoundException");
  EXPECT_EQ(reply.error().message, "no stream");
  EXPECT_EQ(reply.error().http_status, 400);
  server.stop();
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(KinesisClient, RepeatsThrottlesAndServerErrorsOfReads) {
  CannedServer server(
      {{400, R"({"__type":"ProvisionedThroughputExceededException","message":"m"})"},
       {500, R"({"__type":"InternalFailure"})"},
       {200, R"({"ok":true})"}});
  KinesisClient client(options_for(server));
  const auto reply = client.call("GetRecords", "{}");
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, R"({"ok":true})");
  server.stop();
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST(KinesisClient, DoesNotRepeatAnEffectThatMayHaveHappened) {
  CannedServer server({{500, R"({"__type":"InternalFailure"})"}, {200, "{}"}});
  KinesisClient client(options_for(server));
  const auto reply = client.call("PutRecord", "{}", Effect::kSome);
  ASSERT_FALSE(reply);
  EXPECT_TRUE(reply.error().unknown);
  server.stop();
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(KinesisClient, OpensAnewWhenAnIdleConnectionWasClosed) {
  CannedServer server({{200, "{\"n\":1}", false, true}, {200, "{\"n\":2}"}});
  KinesisClient client(options_for(server));
  ASSERT_TRUE(client.call_once("ListStreams", "{}", Effect::kNone));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto reply = client.call_once("ListStreams", "{}", Effect::kNone);
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, "{\"n\":2}");
}

TEST(KinesisClient, APutAfterAQuietSpellIsCertain) {
  CannedServer server({{200, "{\"n\":1}", false, true}, {200, "{\"n\":2}"}});
  KinesisClient client(options_for(server));
  ASSERT_TRUE(client.call_once("PutRecords", "{}"));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto reply = client.call_once("PutRecords", "{}");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(*reply, "{\"n\":2}");
}

TEST(KinesisClient, ALostAnswerLeavesAPutUnknown) {
  CannedServer server({{200, "", true}});
  KinesisClient client(options_for(server));
  const auto reply = client.call_once("PutRecords", "{}");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, FailureKind::kUnreachable);
  EXPECT_TRUE(reply.error().unknown);
}

TEST(KinesisClient, NobodyListeningIsUnreachableAndCertainlyWithoutEffect) {
  ClientOptions options;
  {
    CannedServer server({});
    options = options_for(server);
  }
  options.attempts_max = 1;
  KinesisClient client(options);
  const auto reply = client.call("ListStreams", "{}");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, FailureKind::kUnreachable);
  EXPECT_FALSE(reply.error().unknown);
}

}  // namespace
}  // namespace penstock::client
