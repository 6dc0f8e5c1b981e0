// Goal: times, durations and sizes are read and written as people write them. Method: tables.
#include "words.h"

#include <gtest/gtest.h>

namespace penstock::tools {
namespace {

TEST(Words, Durations) {
  EXPECT_EQ(parse_duration("90s")->count(), 90'000);
  EXPECT_EQ(parse_duration("500ms")->count(), 500);
  EXPECT_EQ(parse_duration("1.5h")->count(), 5'400'000);
  EXPECT_EQ(parse_duration("7d")->count(), 604'800'000);
  for (const char* text : {"", "10", "s", "-5s", "5 parsecs", "1e99d", "nans"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Words, Sizes) {
  EXPECT_EQ(parse_bytes("512"), 512U);
  EXPECT_EQ(parse_bytes("10MiB"), 10'485'760U);
  EXPECT_EQ(parse_bytes("10MB/s"), 10'000'000U);
  EXPECT_EQ(parse_bytes("2k"), 2'000U);
  EXPECT_FALSE(parse_bytes("10 bytes"));
  EXPECT_FALSE(parse_bytes("-1"));
}

TEST(Words, Times) {
  EXPECT_DOUBLE_EQ(*parse_time("1970-01-01T00:00:00Z", 0), 0);
  EXPECT_DOUBLE_EQ(*parse_time("2026-11-23T01:02:03Z", 0), 1'795'395'723);
  EXPECT_DOUBLE_EQ(*parse_time("2026-11-23T01:02:03.25Z", 0), 1'795'395'723.25);
  EXPECT_DOUBLE_EQ(*parse_time("2026-11-23T02:02:03+01:00", 0), 1'795'395'723);
  EXPECT_DOUBLE_EQ(*parse_time("2024-02-29T00:00:00-00:30", 0), 1'709'164'800 + 1'800);
  EXPECT_DOUBLE_EQ(*parse_time("-15m", 1'000'000), 999'100);
  for (const char* text :
       {"", "2026", "2026-11-23", "2026-11-23T01:02:03", "2026-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z", "2026-11-23T25:00:00Z", "2026-11-23T01:02:03.Z",
        "2026-11-23T01:02:03+1:00", "-15", "yesterday", "2026/11/23T01:02:03Z"}) {
    EXPECT_FALSE(parse_time(text, 0)) << text;
  }
}

TEST(Words, WritesTimesCountsAndBytes) {
  EXPECT_EQ(format_time(1'795'395'723.25), "2026-11-23T01:02:03.250Z");
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1'234'567), "1,234,567");
  EXPECT_EQ(format_count(100'000), "100,000");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1'500'000), "1.5 MB");
  EXPECT_EQ(format_bytes(999'999), "1.0 MB");
}

TEST(Words, PrintableTextHasNoControlCharacters) {
  EXPECT_EQ(printable("a\xc3\xa4\tb"), "a\xc3\xa4\tb");
  EXPECT_EQ(printable("a\n\x1b[0m\xff"), "a\\x0a\\x1b[0m\\xff");
}

TEST(Words, Utf8) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("\xf0\x9f\x9a\x8c \xe2\x82\xac \xc2\xb5"));
  for (const char* text :
       {"\xff", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

}  // namespace
}  // namespace penstock::tools
