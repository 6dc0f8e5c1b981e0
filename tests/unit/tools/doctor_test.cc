// Goal: each check tells sound facts from unsound ones, and says what mends the latter. Method: facts given
// by hand; a device tree in a temporary directory; one run on the machine at hand for its shape.
#include "doctor/checks.h"
#include "doctor/device.h"
#include "penstock/units.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace penstock::tools {
namespace {

namespace fs = std::filesystem;

env::VolumeInfo disk(std::uint64_t free) {
  env::VolumeInfo volume;
  volume.file_system = "ext4";
  volume.free_bytes = free;
  volume.total_bytes = 2 * free;
  return volume;
}

TEST(Doctor, Kernel) {
  EXPECT_EQ(check_kernel("5.10.0-28-amd64").health, Health::kFailed);
  EXPECT_EQ(check_kernel("5.19.17").health, Health::kWarning);
  EXPECT_EQ(check_kernel("6.1.0-18-amd64").health, Health::kOk);
  EXPECT_EQ(check_kernel("10.0").health, Health::kOk);
  EXPECT_EQ(check_kernel("unreadable").health, Health::kFailed);
  EXPECT_FALSE(check_kernel("5.10").mend.empty());
}

TEST(Doctor, Ring) {
  drivers::RingProbe probe;
  probe.mode = "single issuer";
  EXPECT_EQ(check_ring(probe).health, Health::kOk);
  probe.refusal = drivers::RingRefusal::kSysctl;
  probe.reason = "kernel.io_uring_disabled is 2";
  probe.remedy = "sysctl kernel.io_uring_disabled=0";
  const Check check = check_ring(probe);
  EXPECT_EQ(check.health, Health::kFailed);
  EXPECT_EQ(check.found, probe.reason);
  EXPECT_EQ(check.mend, probe.remedy);
}

TEST(Doctor, LockedMemory) {
  EXPECT_EQ(check_memlock(64 * 1024, false).health, Health::kWarning);
  EXPECT_EQ(check_memlock(64 * 1024, true).health, Health::kOk);
  EXPECT_EQ(check_memlock(8 * kMiB, false).health, Health::kOk);
  EXPECT_EQ(check_memlock(~0ULL, false).found, "no limit");
}

TEST(Doctor, Volume) {
  env::VolumeInfo volume = disk(100 * kGiB);
  EXPECT_EQ(check_direct_io(volume).health, Health::kOk);
  EXPECT_EQ(check_durability(volume).health, Health::kOk);
  volume.file_system = "tmpfs";
  volume.direct_io = false;
  volume.durable = false;
  EXPECT_EQ(check_direct_io(volume).health, Health::kFailed);
  EXPECT_EQ(check_durability(volume).health, Health::kFailed);
  EXPECT_NE(check_durability(volume).found.find("class none"), std::string::npos);
}

TEST(Doctor, SpaceIsToldInHoursOfTheRate) {
  DoctorPlan plan;
  EXPECT_EQ(check_space(disk(100 * kMiB), 0, plan).health, Health::kFailed);
  EXPECT_EQ(check_space(disk(36'000'000'000), 0, plan).health, Health::kOk);
  plan.rate = 1'000'000;
  const Check short_of = check_space(disk(36'000'000'000), 0, plan);
  EXPECT_EQ(short_of.health, Health::kFailed);
  EXPECT_NE(short_of.found.find("10.0 h of journal"), std::string::npos);
  EXPECT_NE(short_of.mend.find("50.4 GB more"), std::string::npos);
  plan.retention_hours = 9;
  EXPECT_EQ(check_space(disk(36'000'000'000), 0, plan).health, Health::kOk);
}

TEST(Doctor, AJournalThatHasGrownIsNoShortage) {
  DoctorPlan plan;
  plan.rate = 500'000;
  const Check grown = check_space(disk(1 * kGiB), 60 * kGiB, plan);
  EXPECT_EQ(grown.health, Health::kOk) << grown.mend;
  EXPECT_NE(grown.found.find("in the journal"), std::string::npos) << grown.found;
}

TEST(Doctor, NoHoursArePromisedBeyondSizeMax) {
  DoctorPlan plan;
  plan.size_max = 36'000'000'000;
  plan.rate = 1'000'000;
  const Check check = check_space(disk(1'000'000'000'000), 0, plan);
  EXPECT_EQ(check.health, Health::kFailed);
  EXPECT_NE(check.found.find("10.0 h of journal"), std::string::npos) << check.found;
  EXPECT_NE(check.mend.find("[journal] size_max of 86.4 GB"), std::string::npos) << check.mend;
  EXPECT_EQ(check.mend.find("more"), std::string::npos) << check.mend;
}

TEST(Doctor, ClockAndProcessor) {
  EXPECT_EQ(check_clock(true).health, Health::kOk);
  EXPECT_EQ(check_clock(false).health, Health::kWarning);
  EXPECT_EQ(check_processor(true, true).health, Health::kOk);
  EXPECT_EQ(check_processor(true, false).health, Health::kWarning);
  EXPECT_EQ(check_processor(false, false).health, Health::kFailed);
}

class DeviceTree : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("penstock-doctor-" + std::to_string(::getpid()));
    fs::create_directories(root_ / "devices/nvme0n1/queue");
    fs::create_directories(root_ / "devices/nvme0n1/nvme0n1p2");
    fs::create_directories(root_ / "dev/block");
    fs::create_directory_symlink(root_ / "devices/nvme0n1/nvme0n1p2", root_ / "dev/block/259:2");
    write("write_cache", "write back\n");
    write("fua", "1\n");
    write("rotational", "0\n");
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const char* name, const char* text) const {
    std::ofstream(root_ / "devices/nvme0n1/queue" / name) << text;
  }
  fs::path root_;
};

TEST_F(DeviceTree, APartitionIsJudgedByItsDisk) {
  const auto device = block_device(259, 2, root_.string());
  ASSERT_TRUE(device);
  EXPECT_EQ(device->name, "nvme0n1");
  EXPECT_EQ(device->write_cache, "write back");
  EXPECT_TRUE(device->fua);
  EXPECT_FALSE(device->rotational);
  const Check check = check_write_cache(259, 2, root_.string());
  EXPECT_EQ(check.health, Health::kOk);
  EXPECT_NE(check.found.find("FUA"), std::string::npos);
  write("fua", "0\n");
  EXPECT_NE(check_write_cache(259, 2, root_.string()).found.find("flushed"), std::string::npos);
}

TEST_F(DeviceTree, AFileSystemWithoutADeviceIsAWarning) {
  EXPECT_FALSE(block_device(0, 45, root_.string()));
  EXPECT_EQ(check_write_cache(0, 45, root_.string()).health, Health::kWarning);
}

TEST(Doctor, LooksAtThisMachine) {
  DoctorPlan plan;
  plan.data_dir = fs::temp_directory_path().string();
  const auto checks = run_checks(plan);
  EXPECT_GE(checks.size(), 6U);
  for (const Check& check : checks) {
    EXPECT_FALSE(check.found.empty()) << check.name;
    EXPECT_FALSE(check.needed.empty()) << check.name;
    EXPECT_EQ(check.mend.empty(), check.health == Health::kOk) << check.name;
  }
  plan.data_dir = "/nonexistent/directory";
  bool told = false;
  for (const Check& check : run_checks(plan)) {
    told = told || (check.name == "data directory" && check.health == Health::kFailed);
  }
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace penstock::tools
