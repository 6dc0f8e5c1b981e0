// Goal: counts and quantiles are right, and what is encoded is what HdrHistogram encodes. Method: values
// known by hand; payloads that the PyPI package `hdrhistogram` 0.10.8 made of the same values, compared
// uncompressed, because deflate may differ; a log read back as text. tests/system/test_bench.py has that
// package read a log.
#include "bench/hdr.h"

#include "client/base64.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace penstock::tools::bench {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

// The payload without its compression, in hexadecimal; empty where that has another header.
std::string uncompressed(const std::string& encoded) {
  std::string scratch;
  const auto bytes = client::base64_decode(encoded, scratch);
  if (!bytes || bytes->size() < 8 || hex(bytes->substr(0, 4)) != "1c849314") return "";
  const std::string_view packed = bytes->substr(8);
  if (hex(bytes->substr(4, 4)) != fmt::format("{:08x}", packed.size())) return "";
  std::string plain(1 << 20, '\0');
  uLongf length = plain.size();
  const int outcome = uncompress(reinterpret_cast<Bytef*>(plain.data()), &length,
                                 reinterpret_cast<const Bytef*>(packed.data()), packed.size());
  return outcome == Z_OK ? hex(std::string_view(plain).substr(0, length)) : "";
}

TEST(Hdr, AnEmptyOneHasNothing) {
  const HdrHistogram empty;
  EXPECT_EQ(empty.count(), 0U);
  EXPECT_EQ(empty.min(), 0U);
  EXPECT_EQ(empty.max(), 0U);
  EXPECT_EQ(empty.mean(), 0);
  EXPECT_EQ(empty.quantile(0.99), 0U);
  EXPECT_EQ(uncompressed(empty.encoded()),
            "1c84931300000000000000000000000300000000000000010000034630b8a0003ff0000000000000");
}

TEST(Hdr, SmallValuesAreExact) {
  HdrHistogram latencies;
  for (const std::uint64_t value : {0U, 1U, 2U, 4U, 8U}) latencies.record(value);
  EXPECT_EQ(latencies.count(), 5U);
  EXPECT_EQ(latencies.min(), 0U);
  EXPECT_EQ(latencies.max(), 8U);
  EXPECT_EQ(latencies.mean(), 3);
  EXPECT_EQ(latencies.quantile(0), 0U);
  EXPECT_EQ(latencies.quantile(0.5), 2U);
  EXPECT_EQ(latencies.quantile(0.8), 4U);
  EXPECT_EQ(latencies.quantile(0.81), 8U);
  EXPECT_EQ(uncompressed(latencies.encoded()),
            "1c84931300000007000000000000000300000000000000010000034630b8a0003ff0000000000000"
            "02020201020502");
}

TEST(Hdr, CountsOfAllSizesAreEncodedAsHdrHistogramDoes) {
  HdrHistogram latencies;
  const std::pair<std::uint64_t, std::uint64_t> values[] = {{1, 1},
                                                            {2047, 2},
                                                            {2048, 3},
                                                            {2049, 1},
                                                            {1'000'000, 1000},
                                                            {123'456'789, 70},
                                                            {50'000, 1ULL << 40},
                                                            {HdrHistogram::kValueMax, 1}};
  for (const auto& [value, count] : values) latencies.record(value, count);
  EXPECT_EQ(uncompressed(latencies.encoded()),
            "1c8493130000001a000000000000000300000000000000010000034630b8a0003ff0000000000000"
            "0102f91f0408b1488080808080408b46d00ff16e8c01dfec0102");
  EXPECT_EQ(latencies.quantile(0.5), 50'015U);
  EXPECT_EQ(latencies.quantile(1), HdrHistogram::kValueMax);
}

TEST(Hdr, QuantilesOfAnEvenSpreadAreThoseOfHdrHistogram) {
  HdrHistogram latencies;
  for (std::uint64_t i = 1; i <= 100'000; ++i) latencies.record(i * 1000);
  EXPECT_EQ(latencies.quantile(0.01), 1'000'447U);
  EXPECT_EQ(latencies.quantile(0.5), 50'003'967U);
  EXPECT_EQ(latencies.quantile(0.99), 99'024'895U);
  EXPECT_EQ(latencies.quantile(0.999), 99'942'399U);
  EXPECT_EQ(latencies.quantile(1), 100'000'000U);  // exact, where HdrHistogram says 100,007,935
  EXPECT_DOUBLE_EQ(latencies.mean(), 50'000'500);
}

TEST(Hdr, EveryValueIsToldWithinAThousandth) {
  for (std::uint64_t value = 1; value < HdrHistogram::kValueMax; value = value * 21 / 20 + 1) {
    HdrHistogram latencies;
    latencies.record(value);
    latencies.record(HdrHistogram::kValueMax);
    const std::uint64_t told = latencies.quantile(0.5);
    ASSERT_GE(told, value);
    ASSERT_LE(told - value, value / 1000) << value;
  }
}

TEST(Hdr, WhatIsLongerThanAnHourCountsAsAnHour) {
  HdrHistogram latencies;
  latencies.record(~std::uint64_t{0});
  EXPECT_EQ(latencies.max(), HdrHistogram::kValueMax);
  EXPECT_EQ(latencies.count(), 1U);
}

TEST(Hdr, MergingIsRecordingBoth) {
  HdrHistogram a;
  HdrHistogram b;
  HdrHistogram both;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? a : b).record(i * i * 977);
    both.record(i * i * 977);
  }
  a.merge(b);
  a.merge(HdrHistogram());
  EXPECT_EQ(a.encoded(), both.encoded());
  EXPECT_EQ(a.min(), both.min());
  EXPECT_EQ(a.mean(), both.mean());
  a.clear();
  EXPECT_EQ(a.encoded(), HdrHistogram().encoded());
  EXPECT_EQ(a.min(), 0U);
}

TEST(HdrLog, HasTheHeadAndALineForEachInterval) {
  const std::string path = testing::TempDir() + fmt::format("hdr_test.{}", getpid());
  HdrHistogram latencies;
  latencies.record(2'500'000);
  {
    auto log = HdrLog::create(path, 1'700'000'000.25);
    ASSERT_TRUE(log) << log.error().as_text();
    ASSERT_TRUE(log->append("put, p", 0.5, 1, latencies));
    ASSERT_TRUE(log->append("get", 1.5, 1.25, HdrHistogram()));
  }
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::filesystem::remove(path);
  EXPECT_EQ(text,
            "#[Histogram log format version 1.3]\n"
            "#[StartTime: 1700000000.250 (seconds since epoch), 2023-11-14T22:13:20.250Z]\n"
            "#[BaseTime: 1700000000.250 (seconds since epoch)]\n"
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
            "\"Interval_Compressed_Histogram\"\n"
            "Tag=put__p,0.500,1.000,2.500," +
                latencies.encoded() + "\nTag=get,1.500,1.250,0.000," + HdrHistogram().encoded() +
                "\n");
}

TEST(HdrLog, AFileThatCannotBeWrittenIsAProblem) {
  const auto log = HdrLog::create("/proc/no/such/file", 0);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().number, kNumberLocalFile);
  EXPECT_NE(log.error().as_text().find("/proc/no/such/file"), std::string::npos);
  auto full = HdrLog::create("/dev/full", 0);
  EXPECT_FALSE(full);
}

}  // namespace
}  // namespace penstock::tools::bench
