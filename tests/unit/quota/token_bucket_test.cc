// Goal: a shard's limit is what the blueprint says it is. Method: drive buckets through virtual time and
// compare what they admit with the bound, over every window.
#include "quota/token_bucket.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace penstock::quota {
namespace {

TEST(TokenBucket, StartsWithOneSecondsWorth) {
  TokenBucket bucket(1'000, Nanos(5 * kNanosPerSecond));
  int admitted = 0;
  const Nanos now(5 * kNanosPerSecond);
  while (bucket.admits(now)) {
    bucket.debit(1, now);
    ++admitted;
  }
  EXPECT_EQ(admitted, 1'000);
}

TEST(TokenBucket, ZeroIsUnlimited) {
  TokenBucket bucket(0, Nanos(0));
  for (int i = 0; i < 1'000'000; ++i) bucket.debit(1 << 20, Nanos(1));
  EXPECT_TRUE(bucket.admits(Nanos(1)));
  EXPECT_EQ(bucket.wait(Nanos(1)), 0);
}

TEST(TokenBucket, LargeRecordPassesAndIsPaidBack) {
  TokenBucket bucket(1'048'576, Nanos(0));
  ASSERT_TRUE(bucket.admits(Nanos(0)));
  bucket.debit(10 * 1'048'576, Nanos(0));  // 10 s worth, 1 s of it saved up
  EXPECT_FALSE(bucket.admits(Nanos(0)));
  EXPECT_NEAR(static_cast<double>(bucket.wait(Nanos(0))), 9e9, 1e6);
  EXPECT_FALSE(bucket.admits(Nanos(8'990'000'000)));
  EXPECT_TRUE(bucket.admits(Nanos(9'010'000'000)));
}

TEST(TokenBucket, SavesNoMoreThanOneSecond) {
  TokenBucket bucket(100, Nanos(0));
  const Nanos later(3'600 * kNanosPerSecond);
  int admitted = 0;
  while (bucket.admits(later)) {
    bucket.debit(1, later);
    ++admitted;
  }
  EXPECT_EQ(admitted, 100);
}

// Over any window of T ≥ 1 s: admitted ≤ rate × (T + 1) + one record.
TEST(TokenBucket, HoldsItsBoundOverEveryWindow) {
  for (const std::uint64_t rate : {1'000ULL, 1'048'576ULL, 250'000'000ULL}) {
    std::mt19937_64 random(rate);
    TokenBucket bucket(rate, Nanos(0));
    const std::uint64_t largest = rate / 20 + 1;
    std::vector<std::uint64_t> per_100ms(300, 0);
    for (std::int64_t at = 0; at < 30 * kNanosPerSecond; at += kNanosPerMilli) {
      const Nanos now(at);
      for (int i = 0; i < 50 && bucket.admits(now); ++i) {
        const std::uint64_t tokens = 1 + random() % largest;
        bucket.debit(tokens, now);
        per_100ms[static_cast<std::size_t>(at / (100 * kNanosPerMilli))] += tokens;
      }
    }
    for (std::size_t begin = 0; begin + 10 <= per_100ms.size(); ++begin) {
      std::uint64_t sum = 0;
      for (std::size_t i = begin; i < per_100ms.size(); ++i) {
        sum += per_100ms[i];
        const std::size_t steps = i - begin + 1;
        if (steps < 10) continue;
        const double bound = static_cast<double>(rate) * (static_cast<double>(steps) / 10 + 1) +
                             static_cast<double>(largest);
        ASSERT_LE(static_cast<double>(sum), bound * 1.001) << "rate " << rate << " from " << begin;
      }
    }
  }
}

// Under steady overload for 30 s what passes is within 1 % of the rate.
TEST(TokenBucket, IsExactUnderSteadyOverload) {
  for (const std::uint64_t rate : {5ULL, 1'000ULL, 2'097'152ULL, 1'000'000'000ULL}) {
    TokenBucket bucket(rate, Nanos(0));
    while (bucket.admits(Nanos(0))) bucket.debit(rate / 100 + 1, Nanos(0));
    std::uint64_t admitted = 0;
    for (std::int64_t at = 0; at < 30 * kNanosPerSecond; at += kNanosPerMilli) {
      while (bucket.admits(Nanos(at))) {
        bucket.debit(rate / 1'000 + 1, Nanos(at));
        admitted += rate / 1'000 + 1;
      }
    }
    EXPECT_NEAR(static_cast<double>(admitted), 30.0 * static_cast<double>(rate),
                0.3 * static_cast<double>(rate) + 1);
  }
}

}  // namespace
}  // namespace penstock::quota
