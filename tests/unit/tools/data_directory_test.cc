// Goal: `cell clear` and `clock accept` change what a stopped daemon's next start goes by, and touch
// nothing else's directory. Method: the whole program in process on a formatted directory of the real
// file system; what it left is read as the daemon would read it.
#include "data_directory.h"

#include "command.h"
#include "doctor/checks.h"
#include "drivers/clock/system/system_clock.h"
#include "drivers/entropy/system_entropy.h"
#include "retention/clock.h"
#include "storage/superblock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace penstock::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kDay = 24 * kMillisPerHour;

struct Outcome {
  int code;
  std::string out;
  std::string error;
};

// In the working directory: that of the build, where files can be opened O_DIRECT more often than in
// /tmp.
class DataDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "data-directory-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
    auto volume = drivers::FileVolume::open_root(path_);
    ASSERT_TRUE(volume.has_value());
    if (const auto info = (*volume)->info(); !info || !info->direct_io) {
      GTEST_SKIP() << "no O_DIRECT in the build directory";
    }
    drivers::SystemEntropy entropy;
    const storage::FormatOptions small{.cells = 2, .slot_bytes = kMiB, .slots_ahead = 0};
    ASSERT_TRUE(storage::Store::format(**volume, entropy, small).has_value());
  }
  void TearDown() override { fs::remove_all(path_); }

  [[nodiscard]] Outcome run_with(std::vector<const char*> words) const {
    words.insert(words.begin(), "penstock");
    words.insert(words.end(), {"--data-dir", path_.c_str()});
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run(static_cast<int>(words.size()), words.data());
    std::string out = ::testing::internal::GetCapturedStdout();
    return {code, std::move(out), ::testing::internal::GetCapturedStderr()};
  }
  [[nodiscard]] DataDirectory opened() const {
    auto directory = DataDirectory::open(path_);
    EXPECT_TRUE(directory.has_value()) << (directory ? "" : directory.error().as_text());
    return std::move(*directory);
  }
  [[nodiscard]] bool fenced(std::size_t cell) const {
    return opened().store().take_cells().at(cell).fenced;
  }
  // The retention clock as the daemon's next start has it.
  [[nodiscard]] retention::Clock next_start() const {
    retention::Clock clock(opened().store().retention_clock());
    drivers::SystemClock system;
    clock.observe(system.now(), system.wall(), true);
    return clock;
  }
  // As if the last boot had seen the wall clock so far from now.
  void last_boot(std::int64_t retention_ms, std::int64_t wall_off_ms) const {
    drivers::SystemClock system;
    const std::int64_t wall = system.wall().raw() + wall_off_ms;
    ASSERT_TRUE(opened().store().record_clock({retention_ms, wall}).has_value());
  }

  std::string path_;
};

TEST_F(DataDirectoryTest, TheDoctorCountsTheSlotsThatAreThere) {
  auto volume = drivers::FileVolume::open_root(path_);
  ASSERT_TRUE(volume.has_value());
  std::uint64_t found = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path_)) {
    if (entry.path().filename().string().starts_with("slot-")) found += entry.file_size();
  }
  EXPECT_GE(found, 2 * kMiB);
  EXPECT_EQ(journal_bytes(**volume), found);
  fs::remove(fs::path(path_) / storage::kSuperblockName);
  EXPECT_EQ(journal_bytes(**volume), 0U);
}

TEST_F(DataDirectoryTest, CellClearLiftsOneFence) {
  ASSERT_TRUE(opened().store().record_fence(CellId(0)).has_value());
  ASSERT_TRUE(opened().store().record_fence(CellId(1)).has_value());
  const Outcome outcome = run_with({"cell", "clear", "--cell", "1"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_TRUE(fenced(0));
  EXPECT_FALSE(fenced(1));
  const Outcome again = run_with({"cell", "clear", "--cell", "1", "-o", "json"});
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.out, "{\"cell\":1,\"was_fenced\":false}\n");
  const Outcome none = run_with({"cell", "clear", "--cell", "2"});
  EXPECT_EQ(none.code, 3);
  EXPECT_NE(none.error.find("0 to 1"), std::string::npos) << none.error;
}

TEST_F(DataDirectoryTest, AClockTooFarAheadIsAcceptedAndCounted) {
  constexpr std::int64_t kCounted = 1'000'000'000'000;
  last_boot(kCounted, -8 * kDay);
  ASSERT_FALSE(next_start().sure());
  const Outcome outcome = run_with({"clock", "accept"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("8.0 days"), std::string::npos) << outcome.out;
  const retention::Clock clock = next_start();
  EXPECT_TRUE(clock.sure());
  drivers::SystemClock system;
  EXPECT_NEAR(static_cast<double>(clock.now(system.now()).raw() - kCounted), 8.0 * kDay, 60'000);
}

TEST_F(DataDirectoryTest, AClockThatWentBackIsAcceptedAndNothingIsCounted) {
  constexpr std::int64_t kCounted = 1'000'000'000'000;
  last_boot(kCounted, 30 * kDay);
  ASSERT_FALSE(next_start().sure());
  const Outcome outcome = run_with({"clock", "accept", "-o", "json"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("\"was_unsure\":true"), std::string::npos) << outcome.out;
  const retention::Clock clock = next_start();
  EXPECT_TRUE(clock.sure());
  drivers::SystemClock system;
  EXPECT_NEAR(static_cast<double>(clock.now(system.now()).raw() - kCounted), 0, 60'000);
}

TEST_F(DataDirectoryTest, AClockWithinBoundsIsLeftToTheDaemon) {
  last_boot(1'000'000'000'000, -kDay);
  const auto before = opened().store().retention_clock();
  const Outcome outcome = run_with({"clock", "accept"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("nothing is changed"), std::string::npos) << outcome.out;
  EXPECT_EQ(opened().store().retention_clock().wall_ms, before.wall_ms);
}

TEST_F(DataDirectoryTest, WhatADaemonHoldsIsRefusedWithItsProcess) {
  const DataDirectory held = opened();
  const std::string pid = std::to_string(::getpid());
  for (const auto& words :
       {std::vector<const char*>{"cell", "clear", "--cell", "0"}, {"clock", "accept"}}) {
    const Outcome outcome = run_with(words);
    EXPECT_EQ(outcome.code, 6);
    EXPECT_NE(outcome.error.find("error PS-1007"), std::string::npos) << outcome.error;
    EXPECT_NE(outcome.error.find("found   process " + pid), std::string::npos) << outcome.error;
    EXPECT_NE(outcome.error.find("kill " + pid), std::string::npos) << outcome.error;
  }
}

TEST_F(DataDirectoryTest, ADirectoryOfSomebodyElseStaysAsItWas) {
  fs::remove_all(path_);
  fs::create_directory(path_);
  std::ofstream(fs::path(path_) / "thesis.txt") << "chapter one";
  const Outcome outcome = run_with({"clock", "accept"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_NE(outcome.error.find("error PS-2001"), std::string::npos) << outcome.error;
  EXPECT_EQ(std::distance(fs::directory_iterator(path_), fs::directory_iterator()), 1);
}

TEST(DataDirectory, OneMustBeNamed) {
  const auto directory = DataDirectory::open("");
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().exit, Exit::kUsage);
}

}  // namespace
}  // namespace penstock::tools
