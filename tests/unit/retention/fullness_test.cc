// Goal: the rate follows what is written, and hours are what the rate makes of the space.
// Method: counters that rise evenly, stop, and start again from zero.
#include "retention/fullness.h"

#include <gtest/gtest.h>

namespace penstock::retention {
namespace {

Nanos at_second(std::int64_t second) { return Nanos(second * kNanosPerSecond); }

TEST(Rate, FollowsAnEvenCounter) {
  Rate rate(60);
  rate.observe(at_second(0), 5000);
  EXPECT_EQ(rate.per_second(), 0);
  rate.observe(at_second(1), 6000);
  EXPECT_NEAR(rate.per_second(), 1000, 1) << "the first interval counts in full";
  for (int s = 2; s < 100; ++s)
    rate.observe(at_second(s), 5000 + 1000 * static_cast<std::uint64_t>(s));
  EXPECT_NEAR(rate.per_second(), 1000, 1);
}

TEST(Rate, DiesDownWithinMinutes) {
  Rate rate(60);
  rate.observe(at_second(0), 0);
  rate.observe(at_second(1), 1'000'000);
  rate.observe(at_second(61), 1'000'000);
  EXPECT_NEAR(rate.per_second(), 367'879, 1000) << "a minute leaves 1/e";
  rate.observe(at_second(1000), 1'000'000);
  EXPECT_LT(rate.per_second(), 1);
}

TEST(Rate, ACounterThatBeginsAnewIsNoFlood) {
  Rate rate(60);
  rate.observe(at_second(0), 1'000'000);
  rate.observe(at_second(1), 10);
  EXPECT_EQ(rate.per_second(), 0);
}

TEST(Hours, AreSpaceOverRate) {
  EXPECT_NEAR(hours(3600 * 1000, 1000), 1, 1e-9);
  EXPECT_EQ(hours(1, 0), kHoursMax);
  EXPECT_EQ(hours(~0ULL, 1), kHoursMax);
  EXPECT_EQ(hours(0, 1000), 0);
}

}  // namespace
}  // namespace penstock::retention
