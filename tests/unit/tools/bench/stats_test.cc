// Goal: medians, intervals and verdicts are those of bench/support/measure.py. Method: values whose medians
// and intervals are known by hand; each rule of the verdict broken alone.
#include "bench/stats.h"

#include <gtest/gtest.h>

#include <vector>

namespace penstock::tools::bench {
namespace {

TEST(Stats, MediansOfOddAndEvenNumbers) {
  EXPECT_EQ(summarize(std::vector{3.0, 1.0, 2.0}).median, 2);
  EXPECT_EQ(summarize(std::vector{4.0, 1.0, 2.0, 3.0}).median, 2.5);
  EXPECT_EQ(summarize(std::vector{-5.0}).median, -5);
  EXPECT_EQ(summarize(std::vector{4.0, 1.0, 2.0, 3.0}).rounds, 4U);
}

TEST(Stats, NothingHasNoRounds) {
  EXPECT_EQ(summarize({}).rounds, 0U);
  EXPECT_EQ(ratio_of({}, std::vector{1.0}).rounds, 0U);
  EXPECT_EQ(ratio_of(std::vector{1.0}, {}).rounds, 0U);
  EXPECT_EQ(ratio_of(std::vector{1.0}, std::vector{0.0}).rounds, 0U);
  EXPECT_FALSE(conclusive(summarize({})));
}

TEST(Stats, TheIntervalOfEqualValuesIsThatValue) {
  const Summary summary = summarize(std::vector<double>(7, 42));
  EXPECT_EQ(summary.low, 42);
  EXPECT_EQ(summary.high, 42);
}

// Of seven values the bootstrap's median is the 1st in 1 % of the resamples (binomial), the 2nd in 10 %: the
// interval ends at the 2nd and the 6th.
TEST(Stats, TheIntervalCoversNinetyFivePercent) {
  const Summary summary = summarize(std::vector{70.0, 10.0, 60.0, 20.0, 50.0, 30.0, 40.0});
  EXPECT_EQ(summary.median, 40);
  EXPECT_EQ(summary.low, 20);
  EXPECT_EQ(summary.high, 60);
}

TEST(Stats, TheSameInputGivesTheSameOutput) {
  const std::vector<double> a{1.5, 2.25, 9, 4, 5.5, 3, 8};
  const std::vector<double> b{2, 4, 6, 8, 1, 3, 5};
  EXPECT_EQ(summarize(a).low, summarize(a).low);
  EXPECT_EQ(ratio_of(a, b).low, ratio_of(a, b).low);
  EXPECT_EQ(ratio_of(a, b).high, ratio_of(a, b).high);
}

TEST(Stats, ARatioIsOfTheMediansAndItsIntervalHoldsIt) {
  const std::vector<double> a{20, 22, 18, 21, 19, 20, 20};
  const std::vector<double> b{10, 11, 9, 10, 10};
  const Summary ratio = ratio_of(a, b);
  EXPECT_EQ(ratio.median, 2);
  EXPECT_EQ(ratio.rounds, 5U);
  EXPECT_LE(ratio.low, 2);
  EXPECT_GE(ratio.high, 2);
  EXPECT_GE(ratio.low, 18.0 / 11);
  EXPECT_LE(ratio.high, 22.0 / 9);
}

TEST(Stats, ARatioOverValuesThatAreOftenZeroIsInconclusive) {
  const std::vector<double> a{1, 1, 1, 1, 1, 1, 1};
  const std::vector<double> b{0, 0, 0, 1, 1, 1, 1};
  const Summary ratio = ratio_of(a, b);
  EXPECT_EQ(ratio.median, 1);
  EXPECT_EQ(verdict(ratio, 0.5), Verdict::kInconclusive);
}

TEST(Stats, VerdictsAreMetOrMissedOnBothSides) {
  const Summary sure{100, 95, 105, kRoundsMin};
  EXPECT_TRUE(conclusive(sure));
  EXPECT_EQ(verdict(sure, 100), Verdict::kMet);
  EXPECT_EQ(verdict(sure, 100.5), Verdict::kMissed);
  EXPECT_EQ(verdict(sure, 100, false), Verdict::kMet);
  EXPECT_EQ(verdict(sure, 99.5, false), Verdict::kMissed);
  EXPECT_EQ(word(Verdict::kInconclusive), "inconclusive");
}

TEST(Stats, EachRuleAloneMakesItInconclusive) {
  const Summary wide{100, 89, 110, kRoundsMin};
  const Summary few{100, 95, 105, kRoundsMin - 1};
  const Summary noisy{100, 95, 105, kRoundsMin, false};
  EXPECT_EQ(verdict(wide, 1), Verdict::kInconclusive);
  EXPECT_EQ(verdict(few, 1), Verdict::kInconclusive);
  EXPECT_EQ(verdict(noisy, 1), Verdict::kInconclusive);
  EXPECT_TRUE(conclusive({100, 90, 110, kRoundsMin}));     // just
  EXPECT_TRUE(conclusive({-100, -110, -90, kRoundsMin}));  // a negative median has a width, too
}

}  // namespace
}  // namespace penstock::tools::bench
