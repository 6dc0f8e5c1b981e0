// Goal: sequence numbers, shard ids and ARNs are written as the service writes them. Method: numbers
// computed elsewhere with big integers, the published distance between neighbouring shards, and the
// way there and back for numbers at every border.
#include "proto/kinesis.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace penstock::proto {
namespace {

SequenceNumber number(std::int64_t created, std::uint32_t shard, std::uint64_t index,
                      std::int64_t second) {
  return {.shard_created_second = created,
          .shard = ShardNumber(shard),
          .index = index,
          .second = second};
}

// a − b of two decimal texts of one length, without leading zeros.
std::string difference(std::string a, const std::string& b) {
  int borrow = 0;
  for (std::size_t i = a.size(); i-- > 0;) {
    int digit = a[i] - b[i] - borrow;
    borrow = digit < 0 ? 1 : 0;
    digit += borrow * 10;
    a[i] = static_cast<char>('0' + digit);
  }
  a.erase(0, a.find_first_not_of('0'));
  return a;
}

TEST(SequenceNumber, IsWrittenAsBigIntegersSay) {
  EXPECT_EQ(number(1385956800, 0, 0, 1385956800).decimal(),
            "49534383218955977341887085527735673981251026756128735234");
  EXPECT_EQ(number(1700000000, 17, 123456789, 1700000123).decimal(),
            "49646437577130777162115556279067293959193421434784317714");
  EXPECT_EQ(number(16025174999, 0xffffffff, kSequenceIndexEnd, (1LL << 36) - 1).decimal(),
            "54757830818687100754102394022356125118755791377157586930");
}

TEST(SequenceNumber, OfNeighbouringInitialShardsDiffersByThePublishedConstant) {
  for (std::uint32_t shard = 0; shard < 15; ++shard) {
    const std::string lower = number(1385956800, shard, 0, 1385956800).decimal();
    const std::string upper = number(1385956800, shard + 1, 0, 1385956800).decimal();
    EXPECT_EQ(difference(upper, lower), "22300745198530623141535718272648361505980432");
  }
}

TEST(SequenceNumber, ReadsANumberOfTheServicesDocumentation) {
  const auto n = SequenceNumber::parse("49590338271490256608559692538361571095921575989136588898");
  ASSERT_TRUE(n.has_value());
  EXPECT_EQ(n->shard, ShardNumber(6));  // "shardId-000000000006" stands beside it
  EXPECT_EQ(n->shard_created_second, 1542776258);
  EXPECT_EQ(n->second, 1545084650);  // its ApproximateArrivalTimestamp is 1545084650.987
}

TEST(SequenceNumber, ComesBackFromItsText) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    SequenceNumber n = number(static_cast<std::int64_t>(random() % 16'025'175'000),
                              static_cast<std::uint32_t>(random()), random() >> (1 + random() % 63),
                              static_cast<std::int64_t>(random() >> 28));
    const std::string text = n.decimal();
    ASSERT_EQ(text.size(), kSequenceDigits);
    const auto back = SequenceNumber::parse(text);
    ASSERT_TRUE(back.has_value()) << text;
    EXPECT_EQ(*back, n) << text;
  }
}

TEST(SequenceNumber, RisesWithIndexAndFromParentToChild) {
  const std::string first = number(1700000000, 3, 41, 1800000000).decimal();
  const std::string second = number(1700000000, 3, 42, 1700000000).decimal();
  const std::string end = number(1700000000, 3, kSequenceIndexEnd, 1700000000).decimal();
  const std::string child = number(1700000001, 4, 0, 1700000001).decimal();
  EXPECT_LT(first, second);
  EXPECT_LT(second, end);
  EXPECT_LT(end, child);
}

TEST(SequenceNumber, IsRefusedWhereItIsNoVersionTwo) {
  const std::string good = number(1700000000, 3, 41, 1700000000).decimal();
  EXPECT_TRUE(SequenceNumber::parse(good));
  EXPECT_FALSE(SequenceNumber::parse(""));
  EXPECT_FALSE(SequenceNumber::parse("0"));
  EXPECT_FALSE(SequenceNumber::parse("0" + good));
  EXPECT_FALSE(SequenceNumber::parse(good.substr(1)));
  std::string letter = good;
  letter[20] = 'a';
  EXPECT_FALSE(SequenceNumber::parse(letter));
  std::string version = good;  // one more in the lowest digit is version 3
  ASSERT_NE(version.back(), '9');
  ++version.back();
  EXPECT_FALSE(SequenceNumber::parse(version));
  EXPECT_FALSE(SequenceNumber::parse(std::string(56, '9')));  // marker above 2
  // Index with its top bit set; created too late.
  EXPECT_FALSE(SequenceNumber::parse(number(1700000000, 3, 1ULL << 63, 1700000000).decimal()));
  EXPECT_FALSE(SequenceNumber::parse(number(16025175000, 3, 1, 1700000000).decimal()));
}

TEST(ShardId, HasTwelveDigits) {
  EXPECT_EQ(shard_id(ShardNumber(0)), "shardId-000000000000");
  EXPECT_EQ(shard_id(ShardNumber(2147483647)), "shardId-002147483647");
}

TEST(ShardId, IsReadBehindTheFirstDash) {
  EXPECT_EQ(parse_shard_id("shardId-000000000007"), ShardNumber(7));
  EXPECT_EQ(parse_shard_id("foo-0"), ShardNumber(0));
  EXPECT_EQ(parse_shard_id("0"), ShardNumber(0));
  EXPECT_EQ(parse_shard_id("x-2147483647"), ShardNumber(2147483647));
  EXPECT_EQ(parse_shard_id("00000000000000000000000000012"), ShardNumber(12));
  for (const char* bad : {"", "shardId", "shardId-", "a-b", "a-1-2", "x-2147483648", "x--1", "x- 1",
                          "x-99999999999999999999999"}) {
    EXPECT_FALSE(parse_shard_id(bad).has_value()) << bad;
  }
}

TEST(Identity, NamesStreams) {
  const Identity identity{.account = "123456789012", .region = "eu-west-1"};
  EXPECT_EQ(identity.stream_arn("fleet"), "arn:aws:kinesis:eu-west-1:123456789012:stream/fleet");
}

}  // namespace
}  // namespace penstock::proto
