// Goal: percentiles are those of the recorded values within the promised 1 in 64, at every magnitude.
// Method: known values, and pseudo-random ones against a sorted copy.
#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace penstock::base {
namespace {

TEST(Histogram, EmptyGivesZeros) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.quantile(0.5), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.min(), 0U);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t v = 1; v <= 100; ++v) histogram.record(v);
  EXPECT_EQ(histogram.quantile(0.5), 50U);
  EXPECT_EQ(histogram.quantile(0.99), 99U);
  EXPECT_EQ(histogram.quantile(1), 100U);
  EXPECT_EQ(histogram.quantile(0), 1U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 50.5);
}

TEST(Histogram, EveryMagnitudeIsWithinASixtyFourth) {
  for (unsigned bit = 0; bit < 40; ++bit) {
    for (const std::uint64_t value :
         {1ULL << bit, (1ULL << bit) + (1ULL << bit) / 3, (2ULL << bit) - 1}) {
      if (value > Histogram::kValueMax) continue;
      Histogram histogram;
      histogram.record(value);
      histogram.record(Histogram::kValueMax);
      EXPECT_GE(histogram.quantile(0.5), value);
      EXPECT_LE(histogram.quantile(0.5), value + value / 64) << value;
    }
  }
}

TEST(Histogram, ValuesPastTheEndCountAsTheLargest) {
  Histogram histogram;
  histogram.record(~0ULL);
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.max(), ~0ULL);
  EXPECT_GE(histogram.quantile(0.5), Histogram::kValueMax);
}

TEST(Histogram, AgreesWithASortedCopyAfterMerging) {
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> values;
  Histogram one;
  Histogram two;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t value = random() >> (24 + random() % 40);
    values.push_back(value);
    (i % 3 == 0 ? one : two).record(value);
  }
  one.merge(two);
  std::ranges::sort(values);
  for (const double quantile : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto exact =
        values[static_cast<std::size_t>(quantile * static_cast<double>(values.size())) - 1];
    const auto found = one.quantile(quantile);
    EXPECT_GE(found, exact) << quantile;
    EXPECT_LE(found, exact + exact / 64) << quantile;
  }
  EXPECT_EQ(one.count(), values.size());
  EXPECT_EQ(one.min(), values.front());
  EXPECT_EQ(one.max(), values.back());
}

TEST(Histogram, CountsWeigh) {
  Histogram histogram;
  histogram.record(10, 99);
  histogram.record(1000, 1);
  histogram.record(5, 0);
  EXPECT_EQ(histogram.quantile(0.99), 10U);
  EXPECT_EQ(histogram.max(), 1000U);
  EXPECT_EQ(histogram.min(), 10U);
}

}  // namespace
}  // namespace penstock::base
