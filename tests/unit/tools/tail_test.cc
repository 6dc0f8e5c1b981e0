// Goal: reading goes on where it was when an iterator has expired. Method: the whole program in process
// against prepared answers; what it asked for is looked at.
#include "../client/canned_server.h"
#include "command.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace penstock::tools {
namespace {

using client::CannedServer;

constexpr const char* kShards =
    R"({"Shards":[{"ShardId":"shardId-000000000000","HashKeyRange":{"StartingHashKey":"0",)"
    R"("EndingHashKey":"340282366920938463463374607431768211455"},)"
    R"("SequenceNumberRange":{"StartingSequenceNumber":"1"}}]})";
constexpr const char* kExpired = R"({"__type":"ExpiredIteratorException","message":"m"})";
constexpr const char* kRecord =
    R"({"Records":[{"Data":"aGVsbG8=","PartitionKey":"k","SequenceNumber":"7",)"
    R"("ApproximateArrivalTimestamp":784111790}],"MillisBehindLatest":0,"NextShardIterator":"c"})";

CannedServer::Answer iterator(const char* name, const char* date) {
  return {200, std::string("{\"ShardIterator\":\"") + name + "\"}", false, false,
          std::string("Date: ") + date + "\r\n"};
}

TEST(Tail, LatestIsOneMomentThoughItsIteratorExpires) {
  ::setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  CannedServer server({{200, kShards},
                       iterator("a", "Sun, 06 Nov 1994 08:49:37 GMT"),
                       {200, R"({"Records":[],"MillisBehindLatest":0,"NextShardIterator":"b"})"},
                       {400, kExpired},
                       iterator("c", "Sun, 06 Nov 1994 09:00:00 GMT"),
                       {200, kRecord}});
  const std::string endpoint = server.endpoint().url();
  const std::vector<const char*> words = {"penstock", "--endpoint", endpoint.c_str(), "tail", "s",
                                          "--from",   "latest",     "--count",        "1"};
  ::testing::internal::CaptureStdout();
  const int code = run(static_cast<int>(words.size()), words.data());
  const std::string out = ::testing::internal::GetCapturedStdout();
  server.stop();
  EXPECT_EQ(code, 0);
  EXPECT_NE(out.find("hello"), std::string::npos) << out;
  ASSERT_EQ(server.requests().size(), 6U);
  EXPECT_NE(server.requests()[1].find("LATEST"), std::string::npos);
  const std::string& again = server.requests()[4];
  EXPECT_NE(again.find("AT_TIMESTAMP"), std::string::npos) << again;
  EXPECT_NE(again.find("784111777"), std::string::npos) << again;
}

}  // namespace
}  // namespace penstock::tools
