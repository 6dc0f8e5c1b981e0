// Goal: numbers that clients hand in are read as the service reads them. Method: our own numbers read
// back; the layouts of the contract by their hex digits.
#include "http/sequence_check.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::http {
namespace {

// Decimal text of up to 64 hex digits, by repeated multiplication.
std::string decimal(std::string_view hex) {
  std::string digits = "0";  // least significant first
  for (const char c : hex) {
    int carry = c <= '9' ? c - '0' : c - 'a' + 10;
    for (char& digit : digits) {
      const int value = (digit - '0') * 16 + carry;
      digit = static_cast<char>('0' + value % 10);
      carry = value / 10;
    }
    for (; carry > 0; carry /= 10) digits.push_back(static_cast<char>('0' + carry % 10));
  }
  return {digits.rbegin(), digits.rend()};
}

TEST(SequenceCheck, ReadsWhatPenstockWrites) {
  const proto::SequenceNumber number =
      proto::record_sequence(1'700'000'000, ShardNumber(4095), RecordIndex(123'456'789'012),
                             WallMillis(1'700'000'123'999));
  const auto given = parse_given_sequence(number.decimal());
  ASSERT_TRUE(given);
  EXPECT_EQ(given->version, 2);
  EXPECT_EQ(given->shard_created_second, 1'700'000'000);
  EXPECT_EQ(given->shard, 4095);
  EXPECT_EQ(given->index, 123'456'789'013U);
  EXPECT_EQ(given->second, 1'700'000'123);
}

TEST(SequenceCheck, PlacesRecordsAfterTheStartOfTheirShard) {
  const route::ShardRoute shard{.number = ShardNumber(3),
                                .begin = {},
                                .end = base::kHashKeyMax,
                                .cell = {},
                                .core = {},
                                .created_second = 1'700'000'000,
                                .open = false,
                                .closed_ms = 1'700'000'500'000};
  const std::string start = starting_sequence(shard).decimal();
  const std::string first = proto::record_sequence(shard.created_second, shard.number,
                                                   RecordIndex(0), WallMillis(1'700'000'000'000))
                                .decimal();
  const std::string end = ending_sequence(shard).decimal();
  EXPECT_LT(start, first);  // equal lengths: as text
  EXPECT_LT(first, end);
  EXPECT_EQ(index_after(parse_given_sequence(start)->index), RecordIndex(0));
  EXPECT_EQ(index_at(parse_given_sequence(start)->index), RecordIndex(0));
  EXPECT_EQ(index_at(parse_given_sequence(first)->index), RecordIndex(0));
  EXPECT_EQ(index_after(parse_given_sequence(first)->index), RecordIndex(1));
}

TEST(SequenceCheck, KnowsTheOlderLayouts) {
  EXPECT_EQ(parse_given_sequence("0")->version, 0);
  EXPECT_EQ(parse_given_sequence("5")->shard, 5);
  const auto one =
      parse_given_sequence(decimal("20123456781"
                                   "00"
                                   "023456789"
                                   "00000000000000"
                                   "07"
                                   "000000ab1"));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->version, 1);
  EXPECT_EQ(one->shard_created_second, 0x012345678);
  EXPECT_EQ(one->second, 0x023456789);
  EXPECT_EQ(one->shard, 0xab);
}

TEST(SequenceCheck, ReadsTheTopBitOfAShardAsASign) {
  const auto given =
      parse_given_sequence(decimal("20000000000000000000000000000000000000800000002"));
  ASSERT_TRUE(given);
  EXPECT_EQ(given_shard_id(given->shard), "shardId--02147483648");
}

TEST(SequenceCheck, RefusesWhatIsNoNumberOfAnyLayout) {
  for (const std::string_view hex :
       {"20000000000000000000000000000000000000000000000",
        "20000000000000000000000000000000000000000000003",
        "20000000000000000000000000000000000000000000004",
        "30000000000000000000000000000000000000000000002",
        "20000000000800000000000000000000000000000000002",
        "2ffffffffff7fffffffffffffff000000000007fffffff2", "13bb2cc3d80000000000000000000000",
        "100000000000000000000000000000000", "1ffffffffff7fffffffffffffff000000000007fffffff2"}) {
    EXPECT_FALSE(parse_given_sequence(decimal(hex))) << hex;
  }
  EXPECT_FALSE(parse_given_sequence(std::string(129, '9')));
}

}  // namespace
}  // namespace penstock::http
