// Goal: the disk's writes are all complete when figures are told, its file has no name, and the advice is where
// throughput stops growing. Method: a few writes to a temporary directory; figures by hand.
#include "bench/disk_report.h"
#include "bench/disk_writes.h"
#include "penstock/units.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace penstock::tools::bench {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::uint64_t kFile = 16 * kMiB;

class Directory {
 public:
  Directory() : path_(fs::path(testing::TempDir()) / fmt::format("disk_test.{}", getpid())) {
    fs::create_directories(path_);
  }
  ~Directory() { fs::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

TEST(DiskWrites, EveryShapeWritesWholeRoundsAndLeavesNoName) {
  const Directory directory;
  auto writes = DiskWrites::open(directory.path(), kFile);
  if (!writes && writes.error().number == number(ErrorCode::kNoDirectIo)) {
    GTEST_SKIP() << "the temporary directory has no O_DIRECT";
  }
  ASSERT_TRUE(writes) << writes.error().as_text();
  EXPECT_TRUE(fs::is_empty(directory.path()));
  std::uint64_t told = 0;
  ASSERT_TRUE(writes->prepare([&told](std::uint64_t bytes) { told = bytes; }));
  EXPECT_EQ(told, kFile);
  for (const DiskShape shape : disk_shapes()) {
    const auto figures = writes->measure(shape, 0ns);  // one round of `depth`
    ASSERT_TRUE(figures) << figures.error().as_text();
    EXPECT_EQ(figures->writes, shape.depth);
    const auto polled = writes->measure(shape, 0ns, DiskIdle::kPoll);
    ASSERT_TRUE(polled) << polled.error().as_text();
    EXPECT_EQ(polled->writes, shape.depth);
    EXPECT_EQ(figures->latencies.count(), shape.depth);
    EXPECT_GT(figures->latencies.min(), 0U);
    EXPECT_GT(figures->seconds, 0);
  }
  const auto longer = writes->measure({1 << 20, 8}, 50ms);  // goes round the file's end
  ASSERT_TRUE(longer) << longer.error().as_text();
  EXPECT_EQ(longer->latencies.count(), longer->writes);
  EXPECT_GE(longer->seconds, 0.05);
}

TEST(DiskWrites, ADirectoryThatIsNoneIsAProblem) {
  const auto writes = DiskWrites::open("/no/such/directory", kFile);
  ASSERT_FALSE(writes);
  EXPECT_EQ(writes.error().exit, Exit::kNotFound);
  EXPECT_EQ(writes.error().number, number(ErrorCode::kNotFound));
  EXPECT_NE(writes.error().as_text().find("mkdir -p /no/such/directory"), std::string::npos);
}

TEST(DiskWrites, WhatDoesNotFitIsRefusedBeforeItIsWritten) {
  const Directory directory;
  const auto writes = DiskWrites::open(directory.path(), std::uint64_t{1} << 60);
  ASSERT_FALSE(writes);
  if (writes.error().number == number(ErrorCode::kNoDirectIo)) {
    GTEST_SKIP() << "the temporary directory has no O_DIRECT";
  }
  EXPECT_EQ(writes.error().number, number(ErrorCode::kNoSpace));
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

Result with_rates(double (*rate)(DiskShape)) {
  Result result;
  for (const DiskShape shape : disk_shapes()) result.arms.push_back(name_of(shape));
  for (std::uint32_t i = 0; i < kRoundsMin; ++i) {
    Round round;
    for (const DiskShape shape : disk_shapes()) {
      round.arms[name_of(shape)] = {
          {"bytes_per_s", rate(shape)}, {"p50_us", 100}, {"p99_us", 1234}};
    }
    result.rounds.push_back(std::move(round));
  }
  return result;
}

TEST(DiskAdvice, IsTheFewestBytesInFlightThatFillTheDisk) {
  // 1 GB/s from half a megabyte in flight on.
  const auto advice = advise(with_rates([](DiskShape shape) {
    return std::min(1e9, 2e3 * static_cast<double>(shape.block) * shape.depth);
  }));
  ASSERT_TRUE(advice);
  EXPECT_EQ(name_of(advice->shape), "256 KiB x 2");
  EXPECT_EQ(advice->cells, 1U);
  EXPECT_EQ(advice->share, 1);
  EXPECT_NE(as_text(*advice).find("1.0 GB/s"), std::string::npos) << as_text(*advice);
}

TEST(DiskAdvice, ADiskThatWantsManyWritesWantsTwoCells) {
  // Each write takes its time, whatever its size: only more of them at a time are more.
  const auto advice = advise(with_rates(
      [](DiskShape shape) { return 1e4 * shape.depth * (shape.block == 1 << 20 ? 10 : 1); }));
  ASSERT_TRUE(advice);
  EXPECT_EQ(name_of(advice->shape), "1 MiB x 8");
  EXPECT_EQ(advice->cells, 2U);
  Manifest manifest;
  add_facts(*advice, manifest);
  EXPECT_EQ(*manifest.find("advised blocks in flight"), "8");
  EXPECT_EQ(*manifest.find("advised cells"), "2");
}

TEST(DiskAdvice, NothingMeasuredAdvisesNothing) {
  EXPECT_FALSE(advise({}));
  EXPECT_FALSE(advise(with_rates([](DiskShape) { return 0.0; })));
}

TEST(DiskReport, TablesHaveARowForEachSizeAndSayWhatIsInconclusive) {
  Result result = with_rates([](DiskShape shape) { return 1e6 * shape.depth; });
  std::string text = disk_tables(result);
  for (const char* part : {"4 KiB", "16 KiB", "64 KiB", "256 KiB", "1 MiB", "8.0 MB/s", "1234"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(text.find('?'), std::string::npos) << text;
  result.rounds.pop_back();
  EXPECT_NE(disk_tables(result).find("1.0 MB/s ?"), std::string::npos);
}

}  // namespace
}  // namespace penstock::tools::bench
