// Goal: reading keeps its limits and tells the end of a shard exactly when it is one. Method: the
// service over planes in memory; answers parsed.
#include "http/base64.h"
#include "http/get_codec.h"
#include "tests/support/kinesis_harness.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>

namespace penstock::http {
namespace {

using test::KinesisHarness;

class KinesisRead : public testing::Test {
 protected:
  explicit KinesisRead(KinesisOptions options = {}) : kinesis_(std::move(options)) {
    kinesis_.data.add_stream("fleet", 1);
  }

  void fill(std::size_t records, std::size_t bytes) {
    for (std::size_t i = 0; i < records; ++i) {
      kinesis_.data.log("fleet", 0)
          .records.push_back({.key = "k" + std::to_string(i),
                              .data = std::string(bytes, 'x'),
                              .arrival = kinesis_.data.wall(),
                              .hash = {}});
    }
  }
  std::string iterator(std::string_view type) {
    return member("ShardIterator",
                  kinesis_.call("GetShardIterator",
                                R"({"StreamName":"fleet","ShardId":"0","ShardIteratorType":")" +
                                    std::string(type) + "\"}"));
  }
  test::Answer get(const std::string& iterator, int limit = 10'000) {
    return kinesis_.call("GetRecords", R"({"ShardIterator":")" + iterator + R"(","Limit":)" +
                                           std::to_string(limit) + "}");
  }
  // A string member, or nothing.
  std::string member(const char* name, const test::Answer& answer) {
    std::string_view text;
    if (parser_.parse(answer.body)[name].get(text) != simdjson::SUCCESS) return "";
    return std::string(text);
  }
  std::size_t count(const test::Answer& answer) {
    simdjson::dom::array records;
    EXPECT_EQ(parser_.parse(answer.body)["Records"].get(records), simdjson::SUCCESS) << answer.body;
    return records.size();
  }

  KinesisHarness kinesis_;
  simdjson::dom::parser parser_;
};

TEST_F(KinesisRead, GivesEveryRecordOnceInPages) {
  fill(1000, 10);
  std::string at = iterator("TRIM_HORIZON");
  std::size_t seen = 0;
  for (int page = 0; page < 10; ++page) {
    const test::Answer answer = get(at, 300);
    simdjson::dom::array records;
    ASSERT_EQ(parser_.parse(answer.body)["Records"].get(records), simdjson::SUCCESS);
    for (const simdjson::dom::element record : records) {
      EXPECT_EQ(std::string_view(record["PartitionKey"]), "k" + std::to_string(seen));
      ++seen;
    }
    at = member("NextShardIterator", answer);
    ASSERT_FALSE(at.empty());
  }
  EXPECT_EQ(seen, 1000U);
}

TEST_F(KinesisRead, ReservesItsAnswerBeforeItReads) {
  fill(3, 100);
  const std::string at = iterator("TRIM_HORIZON");
  test::FakeExchange exchange;
  kinesis_.prepare(exchange, "GetRecords", R"({"ShardIterator":")" + at + "\"}");
  exchange.starved = true;
  kinesis_.send(exchange);
  EXPECT_EQ(kinesis_.data.waiting(), 0U);
  EXPECT_FALSE(exchange.answered());
  exchange.starved = false;
  kinesis_.send(exchange);
  EXPECT_EQ(exchange.status(), 200);
  EXPECT_EQ(count({200, std::string(exchange.text())}), 3U);
  EXPECT_EQ(exchange.reserved, kRecordsAnswerBytesMax);
}

TEST_F(KinesisRead, GivesSmallPagesWhileThereIsLittleRoom) {
  fill(3, 900'000);
  std::string at = iterator("TRIM_HORIZON");
  for (int page = 0; page < 3; ++page) {
    test::FakeExchange exchange;
    exchange.scarce = true;
    kinesis_.prepare(exchange, "GetRecords", R"({"ShardIterator":")" + at + "\"}");
    kinesis_.send(exchange);
    EXPECT_LT(exchange.reserved, 3 * kMiB / 2 - 4 * kKiB);  // a record of a MiB in base64
    EXPECT_LE(exchange.text().size(), exchange.reserved);
    const test::Answer answer{200, std::string(exchange.text())};
    EXPECT_EQ(count(answer), 1U);
    at = member("NextShardIterator", answer);
  }
  EXPECT_EQ(count(get(at)), 0U);
}

TEST_F(KinesisRead, APageOfLongKeysFitsItsRoomAndGoesOn) {
  std::string key;
  for (int i = 0; i < 256; ++i) key += "\x01";
  for (int i = 0; i < 10'000; ++i) {
    kinesis_.data.log("fleet", 0)
        .records.push_back({.key = key,
                            .data = std::string(100, 'x'),
                            .arrival = kinesis_.data.wall(),
                            .hash = {}});
  }
  const test::Answer first = get(iterator("TRIM_HORIZON"));
  EXPECT_LE(first.body.size(), kRecordsAnswerBytesMax);
  EXPECT_GT(first.body.size(), kRecordsAnswerBytesMax - 16 * kKiB);
  const test::Answer second = get(member("NextShardIterator", first));
  EXPECT_EQ(count(first) + count(second), 10'000U);
}

TEST_F(KinesisRead, StopsAtTenMebibytesOfData) {
  fill(11, 1'048'576);
  const test::Answer first = get(iterator("TRIM_HORIZON"));
  EXPECT_EQ(count(first), 10U);
  const test::Answer second = get(member("NextShardIterator", first));
  EXPECT_EQ(count(second), 1U);
  EXPECT_EQ(kinesis_.service.counters().records_delivered, 11U);
}

TEST_F(KinesisRead, GivesOneRecordHoweverLarge) {
  fill(2, 10'485'760);
  EXPECT_EQ(count(get(iterator("TRIM_HORIZON"))), 1U);
}

TEST_F(KinesisRead, GivesTheLargestRecordWithTheLongestKeyAlone) {
  std::string key;
  for (int i = 0; i < 256; ++i) key += "\xF0\x9F\x8C\x8A";
  kinesis_.data.log("fleet", 0)
      .records.push_back({.key = key,
                          .data = std::string(1'048'576, 'x'),
                          .arrival = kinesis_.data.wall(),
                          .hash = {}});
  EXPECT_EQ(count(get(iterator("TRIM_HORIZON"), 1)), 1U);
}

// The room that the response has at first, and pieces of every size after it.
TEST_F(KinesisRead, JoinsAnswersOfManyPieces) {
  for (const std::size_t bytes : {0U, 1U, 100U, 3'000U, 50'000U, 70'000U, 900'000U}) {
    fill(3, bytes);
    fill(40, 700);
  }
  const test::Answer answer = get(iterator("TRIM_HORIZON"));
  simdjson::dom::array records;
  ASSERT_EQ(parser_.parse(answer.body)["Records"].get(records), simdjson::SUCCESS);
  const auto& stored = kinesis_.data.log("fleet", 0).records;
  ASSERT_EQ(records.size(), stored.size());
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const std::string_view text = records.at(i)["Data"];
    EXPECT_EQ(text.size(), base64_encoded_bytes(stored[i].data.size()));
  }
}

TEST_F(KinesisRead, WritesDataAndKeysThatReadBack) {
  std::string data;
  for (int i = 0; i < 1000; ++i) data.push_back(static_cast<char>(i * 7));
  const std::string key = "\x01\"\\\xE2\x82\xAC\x7F";
  kinesis_.data.log("fleet", 0)
      .records.push_back(
          {.key = key, .data = data, .arrival = kinesis_.data.wall() + 7, .hash = {}});
  const test::Answer answer = get(iterator("TRIM_HORIZON"));
  const simdjson::dom::element record = parser_.parse(answer.body)["Records"].at(0);
  EXPECT_EQ(std::string_view(record["PartitionKey"]), key);
  EXPECT_EQ(double(record["ApproximateArrivalTimestamp"]), 1'700'000'000.007);
  const std::string_view text = record["Data"];
  std::vector<std::byte> decoded(text.size());
  const auto size = base64_decode(text, decoded.data());
  ASSERT_TRUE(size);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(decoded.data()), *size), data);
}

TEST_F(KinesisRead, AnIteratorUsedAgainGivesTheSame) {
  fill(5, 10);
  const std::string at = iterator("TRIM_HORIZON");
  const test::Answer first = get(at, 2);
  const test::Answer again = get(at, 2);
  EXPECT_EQ(count(first), 2U);
  EXPECT_EQ(first.body.substr(0, first.body.find("NextShardIterator")),
            again.body.substr(0, again.body.find("NextShardIterator")));
}

TEST_F(KinesisRead, NextIteratorsAreFresh) {
  const std::string at = iterator("LATEST");
  kinesis_.advance(1);
  const std::string next = member("NextShardIterator", get(at));
  EXPECT_NE(next, "");
  EXPECT_NE(next, at);
}

// A request that had to wait for memory is judged as of when it came, and answered as of now.
TEST_F(KinesisRead, WhatHasWaitedIsJudgedAsOfThen) {
  fill(1, 10);
  const std::string at = iterator("TRIM_HORIZON");
  kinesis_.advance(299'000);
  test::FakeExchange exchange;
  kinesis_.prepare(exchange, "GetRecords", R"({"ShardIterator":")" + at + "\"}");
  kinesis_.advance(30'000);
  kinesis_.send(exchange);
  ASSERT_EQ(exchange.status(), 200) << exchange.text();
  const std::string next =
      member("NextShardIterator", {exchange.status(), std::string(exchange.text())});
  kinesis_.advance(299'000);
  EXPECT_EQ(get(next).status, 200);
  kinesis_.advance(2'000);
  EXPECT_EQ(get(next).status, 400);
}

TEST_F(KinesisRead, AShardEndsOnlyWhenItsChildrenAreKnown) {
  fill(1, 10);
  // Its cell has closed it, and this core's map does not show it yet.
  kinesis_.data.close_unpublished("fleet", 0);
  const test::Answer between = get(iterator("TRIM_HORIZON"));
  EXPECT_EQ(between.body.find("ChildShards"), std::string::npos);
  const std::string next = member("NextShardIterator", between);
  ASSERT_FALSE(next.empty());
  kinesis_.data.split("fleet", 0, base::HashKey{1ULL << 63, 0});
  const test::Answer end = get(next);
  EXPECT_NE(end.body.find("ChildShards"), std::string::npos);
  EXPECT_EQ(member("NextShardIterator", end), "");
}

TEST_F(KinesisRead, AnIteratorOvertakenByRetentionGoesOnAtTheHorizon) {
  fill(10, 10);
  const std::string at = iterator("TRIM_HORIZON");
  const std::string next = member("NextShardIterator", get(at, 2));
  kinesis_.data.log("fleet", 0).trim = 7;
  EXPECT_EQ(count(get(next)), 3U);
}

TEST_F(KinesisRead, ServesEveryCoreWithTheSameKey) {
  fill(3, 10);
  const std::string at = iterator("TRIM_HORIZON");
  KinesisHarness other;
  other.data.add_stream("fleet", 1);
  const test::Answer answer = other.call("GetRecords", R"({"ShardIterator":")" + at + "\"}");
  EXPECT_EQ(answer.status, 200) << answer.body;
}

}  // namespace
}  // namespace penstock::http
