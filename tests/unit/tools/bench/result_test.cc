// Goal: a result says what its rounds say, survives its JSON, and text that is none is refused with words.
// Method: results made by hand; each member of a result taken away, or made something else.
#include "bench/result.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::tools::bench {
namespace {

Result two_arms(std::uint32_t rounds = kRoundsMin) {
  Result result;
  result.scenario = "put";
  result.manifest.durability = kDurableMedia;
  result.manifest.set("cpu", "A \"quoted\" one");
  result.load = {{"record bytes", "1024"}, {"in flight", "64"}};
  result.arms = {"native", "http"};
  for (std::uint32_t i = 0; i < rounds; ++i) {
    Round round;
    round.arms["native"] = {{"records_per_s", 100'000.0 + i}, {"p99_us", 0.125}};
    round.arms["http"] = {{"records_per_s", 50'000.0 + i / 2.0}};
    round.others = 0.01 * i;
    result.rounds.push_back(std::move(round));
  }
  result.verification = "all 7 there";
  result.problems = {"the generator fell behind"};
  return result;
}

std::string without(std::string text, const std::string& part, const std::string& instead = "") {
  const std::size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return at == std::string::npos ? text : text.replace(at, part.size(), instead);
}

TEST(BenchResult, SurvivesItsJson) {
  Result result = two_arms();
  result.dropped = 2;
  const std::string json = result.as_json();
  const auto again = Result::parse(json);
  ASSERT_TRUE(again) << again.error().as_text();
  EXPECT_EQ(again->as_json(), json);
  EXPECT_EQ(again->scenario, "put");
  EXPECT_EQ(again->manifest.durability, "media");
  EXPECT_EQ(*again->manifest.find("cpu"), "A \"quoted\" one");
  EXPECT_EQ(again->load, result.load);
  EXPECT_EQ(again->arms, result.arms);
  EXPECT_EQ(again->dropped, 2U);
  EXPECT_EQ(again->rounds[3].arms, result.rounds[3].arms);
  EXPECT_EQ(again->rounds[3].others, result.rounds[3].others);
  EXPECT_EQ(again->verification, result.verification);
  EXPECT_EQ(again->problems, result.problems);
}

TEST(BenchResult, TheJsonTellsWhatFollowsFromTheRounds) {
  const std::string json = two_arms().as_json();
  EXPECT_NE(
      json.find(R"("native":{"p99_us":{"median":0.125,"interval_95":[0.125,0.125],"rounds":7,)"
                R"("conclusive":true},"records_per_s":{"median":100003)"),
      std::string::npos)
      << json;
  EXPECT_NE(json.find(R"("ratios":{"http":{"records_per_s":{"median":0.5,)"), std::string::npos)
      << json;
}

TEST(BenchResult, RatiosAreOfTheSameRound) {
  Result result = two_arms(0);
  for (int i = 0; i < 7; ++i) {  // a machine that gets slower and slower
    const double speed = 1000.0 / (i + 1);
    result.rounds.push_back({{{"native", {{"x", speed}}}, {"http", {{"x", speed * 2}}}}});
  }
  EXPECT_FALSE(conclusive(result.summary("http", "x")));
  EXPECT_TRUE(conclusive(result.ratio("http", "x")));
  EXPECT_EQ(result.ratio("http", "x").median, 2);
  EXPECT_EQ(result.ratio("http", "absent").rounds, 0U);
}

TEST(BenchResult, NoisyRoundsAreDroppedAndCounted) {
  Result result = two_arms(8);
  result.rounds[2].noisy = true;
  result.drop_noisy();
  EXPECT_EQ(result.rounds.size(), 7U);
  EXPECT_EQ(result.dropped, 1U);
  EXPECT_TRUE(conclusive(result.summary("http", "records_per_s")));
  EXPECT_NE(result.as_text().find("7 rounds, 1 noisy dropped"), std::string::npos);
}

TEST(BenchResult, OnlyNoisyRoundsStayAndShowNothing) {
  Result result = two_arms(8);
  for (Round& round : result.rounds) round.noisy = true;
  result.drop_noisy();
  EXPECT_EQ(result.rounds.size(), 8U);
  EXPECT_EQ(result.dropped, 0U);
  EXPECT_FALSE(conclusive(result.summary("http", "records_per_s")));
  EXPECT_NE(result.as_text().find("kept though noisy"), std::string::npos);
}

TEST(BenchResult, TheTextNamesEveryFigureAndWhatIsInconclusive) {
  const std::string sure = two_arms().as_text();
  for (const char* part :
       {"put, 7 rounds", "media", "record bytes 1024, in flight 64", "all 7 there",
        "the generator fell behind", "100,003", "0.125", "TO native", "0.500 [0.500, 0.500]"}) {
    EXPECT_NE(sure.find(part), std::string::npos) << part << "\n" << sure;
  }
  EXPECT_EQ(sure.find("inconclusive"), std::string::npos);
  EXPECT_NE(two_arms(6).as_text().find("inconclusive"), std::string::npos);
}

TEST(BenchResult, WhatIsNotFiniteWasNotMeasured) {
  Result result = two_arms();
  result.rounds[0].arms["http"]["records_per_s"] = 1.0 / 0.0;
  EXPECT_EQ(result.values("http", "records_per_s").size(), 6U);
  EXPECT_EQ(result.ratio("http", "records_per_s").rounds, 6U);
  const auto again = Result::parse(result.as_json());
  ASSERT_TRUE(again) << again.error().as_text();
  EXPECT_EQ(again->values("http", "records_per_s").size(), 6U);
}

TEST(BenchResult, TextThatIsNoneIsRefusedWithWords) {
  const std::string json = two_arms().as_json();
  const std::pair<std::string, std::string> wrong[] = {
      {"", "JSON"},
      {"{", "JSON"},
      {"[]", "object"},
      {"{}", "penstock_bench"},
      {"\xff\xfe", "JSON"},
      {std::string(100'000, '['), "JSON"},
      {json.substr(0, json.size() / 2), "JSON"},
      {without(json, R"("penstock_bench":1)", R"("penstock_bench":2)"), "\"penstock_bench\": 2"},
      {without(json, R"("scenario":"put",)"), "\"scenario\""},
      {without(json, R"("scenario":"put")", R"("scenario":7)"), "\"scenario\""},
      {without(json, R"("durability":"media",)"), "\"durability\""},
      {without(json, R"("in flight":"64")", R"("in flight":64)"), "\"load\""},
      {without(json, R"("arms":["native","http"])", R"("arms":["native",{}])"), "\"arms\""},
      {without(json, R"("arms":["native","http"])", R"("arms":["native"])"), "the arm \"http\""},
      {without(json, R"("rounds":[{)", R"("rounds":[[],{)"), "\"rounds\""},
      {without(json, R"("rounds":[{)", R"("rounds":{"a":{)"), "JSON"},
      {without(json, R"("others":0,)"), "\"others\""},
      {without(json, R"("noisy":false)", R"("noisy":0)"), "\"noisy\""},
      {without(json, R"("arms":{"http")", R"("arms":7,"x":{"http")"), "\"arms\""},
      {without(json, R"("p99_us":0.125,)", R"("p99_us":"fast",)"), "\"p99_us\""},
      {without(json, R"("dropped":0)", R"("dropped":-1)"), "\"dropped\""},
      {without(json, R"("problems":[)", R"("problems":[null,)"), "\"problems\""},
  };
  for (const auto& [text, expected] : wrong) {
    const auto result = Result::parse(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().number, kNumberResult);
    const std::string words = result.error().as_text();
    EXPECT_NE(words.find(expected), std::string::npos) << expected << "\n" << words;
    EXPECT_NE(words.find("mend"), std::string::npos);
  }
}

TEST(BenchResult, FiguresAreToldAsPeopleReadThem) {
  EXPECT_EQ(format_figure(0), "0");
  EXPECT_EQ(format_figure(0.0123456), "0.01235");
  EXPECT_EQ(format_figure(1234.56), "1235");
  EXPECT_EQ(format_figure(1'234'567.8), "1,234,568");
  EXPECT_EQ(format_figure(-12'345), "-12,345");
  EXPECT_EQ(format_ratio({}), "-");
  EXPECT_EQ(format_ratio({2, 1, 3, 7}), "2.000 [1.000, 3.000], inconclusive");
}

}  // namespace
}  // namespace penstock::tools::bench
