// Goal: what must not be compared is refused with words that name the difference; ratios are second to first.
// Method: pairs of results that differ in one thing.
#include "bench/compare.h"

#include <gtest/gtest.h>

namespace penstock::tools::bench {
namespace {

Result with(double rate, const std::string& arm = "native") {
  Result result;
  result.scenario = "put";
  result.manifest.durability = kDurableMedia;
  result.manifest.set("cpu", "one");
  result.load = {{"record bytes", "1024"}, {"batch", "65536"}};
  result.arms = {arm};
  for (std::uint32_t i = 0; i < kRoundsMin; ++i) {
    result.rounds.push_back({{{arm, {{"records_per_s", rate}, {"p99_us", 2 * rate}}}}});
  }
  return result;
}

std::string refused(const Result& first, const Result& second, int number) {
  const auto comparison = compare(first, second);
  EXPECT_FALSE(comparison);
  if (comparison) return "";
  EXPECT_EQ(comparison.error().number, number);
  EXPECT_EQ(comparison.error().exit, Exit::kConflict);
  return comparison.error().as_text();
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Compare, RatiosAreSecondToFirst) {
  const auto comparison = compare(with(100), with(150));
  ASSERT_TRUE(comparison);
  ASSERT_EQ(comparison->figures.size(), 2U);
  EXPECT_EQ(comparison->figures[1].figure, "records_per_s");
  EXPECT_EQ(comparison->figures[1].first.median, 100);
  EXPECT_EQ(comparison->figures[1].second.median, 150);
  EXPECT_EQ(comparison->figures[1].ratio.median, 1.5);
  EXPECT_TRUE(comparison->notes.empty());
  EXPECT_TRUE(holds(comparison->as_text(), "1.500 [1.500, 1.500]")) << comparison->as_text();
  EXPECT_FALSE(holds(comparison->as_text(), "inconclusive"));
  EXPECT_TRUE(
      holds(comparison->as_json(),
            R"("ratio":{"median":1.5,"interval_95":[1.5,1.5],"rounds":7,"conclusive":true})"))
      << comparison->as_json();
}

TEST(Compare, TwoDurabilityClassesAreRefused) {
  Result second = with(100);
  second.manifest.durability = kDurableSecond;
  const std::string text = refused(with(100), second, kNumberDurability);
  EXPECT_TRUE(holds(text, "media")) << text;
  EXPECT_TRUE(holds(text, "1 s")) << text;
  EXPECT_TRUE(holds(text, "appendfsync always")) << text;
}

TEST(Compare, UnknownClassesAreComparedAndSaid) {
  Result first = with(100);
  first.manifest.durability = kDurableUnknown;
  refused(first, with(100), kNumberDurability);
  const auto comparison = compare(first, first);
  ASSERT_TRUE(comparison);
  EXPECT_TRUE(holds(comparison->as_text(), "durability is unknown on both sides"));
}

TEST(Compare, TwoScenariosAreRefused) {
  Result second = with(100);
  second.scenario = "get";
  EXPECT_TRUE(holds(refused(with(100), second, kNumberIncomparable), "scenario: put and get"));
}

TEST(Compare, EveryLineOfTheLoadThatDiffersIsNamed) {
  Result second = with(100);
  second.load = {{"shards", "4"}, {"record bytes", "100"}, {"batch", "65536"}};
  const std::string text = refused(with(100), second, kNumberIncomparable);
  EXPECT_TRUE(holds(text, "record bytes: 1024 and 100")) << text;
  EXPECT_TRUE(holds(text, "shards: (not said) and 4")) << text;
  EXPECT_FALSE(holds(text, "batch")) << text;
  EXPECT_TRUE(holds(refused(second, with(100), kNumberIncomparable), "shards: 4 and (not said)"));
}

TEST(Compare, TheOrderOfTheLoadDoesNotMatter) {
  Result second = with(100);
  std::swap(second.load[0], second.load[1]);
  EXPECT_TRUE(compare(with(100), second));
}

TEST(Compare, LoneArmsAreComparedWhateverTheirNames) {
  const auto comparison = compare(with(100, "native"), with(50, "redis"));
  ASSERT_TRUE(comparison);
  EXPECT_EQ(comparison->figures[0].other_arm, "redis");
  EXPECT_EQ(comparison->figures[0].ratio.median, 0.5);
}

TEST(Compare, OfSeveralArmsThoseOfOneNameAre) {
  Result both = with(100);
  both.arms.emplace_back("http");
  for (Round& round : both.rounds) round.arms["http"] = {{"records_per_s", 40}};
  const auto comparison = compare(both, with(80, "http"));
  ASSERT_TRUE(comparison);
  ASSERT_EQ(comparison->figures.size(), 1U);
  EXPECT_EQ(comparison->figures[0].arm, "http");
  EXPECT_EQ(comparison->figures[0].ratio.median, 2);
  EXPECT_TRUE(holds(refused(both, with(1, "redis"), kNumberIncomparable), "native, http"));
}

TEST(Compare, NothingInCommonIsRefused) {
  Result empty = with(100);
  empty.rounds.clear();
  refused(with(100), empty, kNumberIncomparable);
}

TEST(Compare, AnotherMachineAndDoubtsAreNotes) {
  Result second = with(100);
  second.manifest.set("cpu", "two");
  second.manifest.set("date", "2026-01-01");
  second.problems = {"the generator fell behind"};
  for (Round& round : second.rounds) round.noisy = true;
  const auto comparison = compare(with(100), second);
  ASSERT_TRUE(comparison);
  const std::string text = comparison->as_text();
  EXPECT_TRUE(holds(text, "cpu: one and two")) << text;
  EXPECT_TRUE(holds(text, "noisy in every round")) << text;
  EXPECT_TRUE(holds(text, "fell behind")) << text;
  EXPECT_TRUE(holds(text, "1.000 [1.000, 1.000], inconclusive")) << text;
  EXPECT_FALSE(holds(text, "2026")) << text;
}

}  // namespace
}  // namespace penstock::tools::bench
