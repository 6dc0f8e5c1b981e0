// Goal: the real and the simulated disk keep one contract, so that what holds in simulation holds on
// the machine. Method: every test runs on both; only the way in which time passes differs.
#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/uring/file_volume.h"
#include "drivers/disk/uring/uring_disk.h"
#include "tests/unit/drivers/buffers.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <map>
#include <random>
#include <thread>

namespace penstock::drivers {
namespace {

using env::DiskDone;
using env::DiskKind;
using env::DiskOp;
using env::FileId;
using env::kSector;

constexpr std::size_t kDepth = 4;

class Rig {
 public:
  virtual ~Rig() = default;
  virtual std::string refusal() { return {}; }  // why it cannot run here
  virtual env::Volume& volume() = 0;
  virtual env::Disk& disk() = 0;
  virtual void let_time_pass() = 0;
};

class SimRig final : public Rig {
 public:
  env::Volume& volume() override { return volume_; }
  env::Disk& disk() override { return disk_; }
  void let_time_pass() override {
    if (const std::optional<Nanos> next = storage_.next_completion()) time_.advance_to(*next);
  }

 private:
  SimTime time_;
  SimStorage storage_{time_, SimStorageOptions{}, 1};
  SimVolume volume_{storage_};
  SimDisk disk_{storage_, kDepth};
};

class UringRig final : public Rig {
 public:
  // In the working directory, which is on a real file system wherever the build is.
  UringRig() : directory_("disk-contract-" + std::to_string(std::random_device{}())) {
    std::filesystem::create_directory(directory_);
    volume_ = std::move(*FileVolume::open_root(directory_));
    const Result<env::VolumeInfo> info = volume_->info();
    if (!info || !info->direct_io) {
      refusal_ = "the build directory's file system does not support O_DIRECT";
    }
    Result<std::unique_ptr<Ring>> ring = Ring::create();
    if (!ring) {
      refusal_ = "io_uring is not permitted here";
      return;
    }
    ring_ = std::move(*ring);
    disk_ = std::make_unique<UringDisk>(*ring_, kDepth);
  }
  ~UringRig() override {
    volume_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::string refusal() override { return refusal_; }
  env::Volume& volume() override { return *volume_; }
  env::Disk& disk() override { return *disk_; }
  void let_time_pass() override { ring_->sleep(10 * kNanosPerMilli); }

 private:
  std::string directory_;
  std::string refusal_;
  std::unique_ptr<FileVolume> volume_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<UringDisk> disk_;
};

class DiskContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "sim") {
      rig_ = std::make_unique<SimRig>();
    } else {
      rig_ = std::make_unique<UringRig>();
    }
    if (!rig_->refusal().empty()) GTEST_SKIP() << rig_->refusal();
  }

  FileId make_file(std::string_view name, std::size_t sectors) {
    const Result<FileId> file = rig_->volume().create(name);
    EXPECT_TRUE(file.has_value());
    const Buffer zeros(sectors * kSector);
    EXPECT_TRUE(rig_->volume().write(*file, 0, zeros.bytes()).has_value());
    return *file;
  }

  std::map<std::uint64_t, std::int32_t> finish(std::size_t count) {
    std::map<std::uint64_t, std::int32_t> results;
    for (int patience = 0; results.size() < count && patience < 1000; ++patience) {
      std::array<DiskDone, 2> done;
      const std::size_t got = rig_->disk().reap(done);
      for (std::size_t i = 0; i < got; ++i) {
        EXPECT_TRUE(results.emplace(done[i].tag, done[i].result).second);
      }
      if (got == 0) rig_->let_time_pass();
    }
    EXPECT_EQ(results.size(), count);
    return results;
  }

  static DiskOp op(DiskKind kind, FileId file, std::uint64_t offset, Buffer& data,
                   std::uint64_t tag) {
    return {.kind = kind,
            .durable = kind == DiskKind::kWrite,
            .file = file,
            .offset = offset,
            .data = data.data(),
            .length = static_cast<std::uint32_t>(data.size()),
            .tag = tag};
  }

  std::unique_ptr<Rig> rig_;
};

TEST_P(DiskContract, NamesBehaveLikeADirectory) {
  env::Volume& volume = rig_->volume();
  EXPECT_EQ(volume.open("absent").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(volume.create("cell/slot").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(volume.make_directory("cell").has_value());
  EXPECT_EQ(volume.make_directory("cell").error().code, ErrorCode::kExists);
  const FileId b = make_file("cell/b", 1);
  const FileId a = make_file("cell/a", 2);
  make_file("root", 1);
  EXPECT_EQ(volume.create("cell/a").error().code, ErrorCode::kExists);
  EXPECT_TRUE(volume.sync_directory("cell").has_value());
  EXPECT_TRUE(volume.sync_directory("").has_value());
  EXPECT_EQ(volume.sync_directory("absent").error().code, ErrorCode::kNotFound);

  const auto names = [&](std::string_view directory) {
    std::string all;
    const Result<std::vector<env::FileInfo>> files = volume.list(directory);
    EXPECT_TRUE(files.has_value());
    for (const env::FileInfo& file : *files) {
      all += file.name + ":" + std::to_string(file.bytes / kSector) + " ";
    }
    return all;
  };
  EXPECT_EQ(names(""), "cell/a:2 cell/b:1 root:1 ");
  EXPECT_EQ(names("cell"), "cell/a:2 cell/b:1 ");
  EXPECT_EQ(volume.list("absent").error().code, ErrorCode::kNotFound);

  // A rename replaces, and an open file stays what it is.
  ASSERT_TRUE(volume.rename("cell/b", "cell/a").has_value());
  EXPECT_EQ(names("cell"), "cell/a:1 ");
  EXPECT_EQ(*volume.size(a), 2 * kSector);
  EXPECT_EQ(volume.rename("cell/b", "cell/c").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(volume.remove("cell/a").has_value());
  EXPECT_EQ(volume.remove("cell/a").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(*volume.size(b), kSector);
  volume.close(a);
  volume.close(b);
  EXPECT_EQ(names(""), "root:1 ");
}

TEST_P(DiskContract, VolumeExtendsAndReadsBack) {
  env::Volume& volume = rig_->volume();
  const FileId file = make_file("file", 2);
  Buffer data(2 * kSector, 0x6B);
  ASSERT_TRUE(volume.write(file, 4 * kSector, data.bytes()).has_value());
  EXPECT_EQ(*volume.size(file), 6 * kSector);
  Buffer found(6 * kSector, 0xFF);
  ASSERT_TRUE(volume.read(file, 0, found.bytes()).has_value());
  EXPECT_EQ(std::memcmp(found.data() + 4 * kSector, data.data(), data.size()), 0);
  EXPECT_EQ(found.data()[3 * kSector], std::byte{0});  // the hole
  const Result<> beyond = volume.read(file, 5 * kSector, data.bytes());
  ASSERT_FALSE(beyond.has_value());
  EXPECT_EQ(beyond.error().code, ErrorCode::kSystem);
  EXPECT_EQ(beyond.error().detail, ENODATA);
}

TEST_P(DiskContract, OperationsCompleteWithTheirTagAndLength) {
  const FileId file = make_file("file", 16);
  Buffer first(2 * kSector, 0x11);
  Buffer second(3 * kSector, 0x22);
  const std::array<DiskOp, 2> writes = {op(DiskKind::kWrite, file, 0, first, 100),
                                        op(DiskKind::kWrite, file, 8 * kSector, second, 200)};
  ASSERT_EQ(rig_->disk().submit(writes), 2U);
  const auto written = finish(2);
  EXPECT_EQ(written.at(100), static_cast<std::int32_t>(first.size()));
  EXPECT_EQ(written.at(200), static_cast<std::int32_t>(second.size()));

  Buffer found(3 * kSector);
  const DiskOp read = op(DiskKind::kRead, file, 8 * kSector, found, 300);
  ASSERT_EQ(rig_->disk().submit({&read, 1}), 1U);
  EXPECT_EQ(finish(1).at(300), static_cast<std::int32_t>(found.size()));
  EXPECT_EQ(std::memcmp(found.data(), second.data(), found.size()), 0);
}

TEST_P(DiskContract, ReadAtTheEndIsShort) {
  const FileId file = make_file("file", 2);
  Buffer found(4 * kSector);
  const std::array<DiskOp, 2> reads = {op(DiskKind::kRead, file, kSector, found, 1)};
  ASSERT_EQ(rig_->disk().submit(std::span(reads).first(1)), 1U);
  EXPECT_EQ(finish(1).at(1), static_cast<std::int32_t>(kSector));
  const DiskOp beyond = op(DiskKind::kRead, file, 8 * kSector, found, 2);
  ASSERT_EQ(rig_->disk().submit({&beyond, 1}), 1U);
  EXPECT_EQ(finish(1).at(2), 0);
}

TEST_P(DiskContract, TakesNoMoreThanItsDepthAndGoesOn) {
  ASSERT_EQ(rig_->disk().depth(), kDepth);
  const FileId file = make_file("file", 64);
  std::vector<Buffer> buffers;
  std::vector<DiskOp> ops;
  for (std::uint64_t i = 0; i < 40; ++i) {
    buffers.emplace_back(kSector, static_cast<int>(i + 1));
    ops.push_back(op(DiskKind::kWrite, file, i * kSector, buffers.back(), i));
  }
  EXPECT_EQ(rig_->disk().submit(ops), kDepth);
  EXPECT_EQ(rig_->disk().submit(std::span(ops).subspan(kDepth)), 0U);
  std::size_t started = kDepth;
  std::size_t finished = 0;
  for (int patience = 0; finished < ops.size() && patience < 1000; ++patience) {
    DiskDone done;
    if (rig_->disk().reap({&done, 1}) == 0) {
      rig_->let_time_pass();
      continue;
    }
    EXPECT_EQ(done.result, static_cast<std::int32_t>(kSector));
    ++finished;
    started += rig_->disk().submit(std::span(ops).subspan(started));
    EXPECT_LE(started - finished, kDepth);
  }
  ASSERT_EQ(finished, ops.size());
  Buffer found(40 * kSector);
  ASSERT_TRUE(rig_->volume().read(file, 0, found.bytes()).has_value());
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(found.data()[i * kSector], static_cast<std::byte>(i + 1));
  }
}

TEST_P(DiskContract, SaysWhatItIs) {
  const Result<env::VolumeInfo> info = rig_->volume().info();
  ASSERT_TRUE(info.has_value());
  EXPECT_FALSE(info->file_system.empty());
  EXPECT_TRUE(info->direct_io);
  EXPECT_GE(info->total_bytes, info->free_bytes);
  make_file("file", 1);
  EXPECT_EQ(rig_->volume().list("")->size(), 1U);  // the probe leaves nothing behind
}

INSTANTIATE_TEST_SUITE_P(Both, DiskContract, ::testing::Values("sim", "uring"),
                         [](const auto& which) { return which.param; });

TEST(FileVolume, LockIsHeldOnceAndNamesItsHolder) {
  const std::string directory = "lock-" + std::to_string(std::random_device{}());
  std::filesystem::create_directory(directory);
  {
    const auto first = std::move(*FileVolume::open_root(directory));
    const auto second = std::move(*FileVolume::open_root(directory));
    ASSERT_TRUE(first->lock().has_value());
    const Result<> refused = second->lock();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kLocked);
    EXPECT_EQ(refused.error().detail, static_cast<std::int32_t>(::getpid()));
  }
  const auto third = std::move(*FileVolume::open_root(directory));
  EXPECT_TRUE(third->lock().has_value());
  std::filesystem::remove_all(directory);
  EXPECT_EQ(FileVolume::open_root(directory).error().code, ErrorCode::kNotFound);
}

TEST(FileVolume, MemoryKeepsNothingOverAPowerCut) {
  const auto volume = FileVolume::open_root("/dev/shm");
  if (!volume) GTEST_SKIP() << "there is no tmpfs at /dev/shm";
  const Result<env::VolumeInfo> info = (*volume)->info();
  if (!info || info->file_system != "tmpfs") GTEST_SKIP() << "there is no tmpfs at /dev/shm";
  EXPECT_FALSE(info->durable);
}

}  // namespace
}  // namespace penstock::drivers
