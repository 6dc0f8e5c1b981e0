// Goal: the simulated medium keeps what it must, loses what it may, and repeats from its seed.
// Method: small histories of writes, cut at chosen moments with chosen or seeded survival, and read
// back through the drivers of the next boot.
#include "drivers/disk/sim/sim_disk.h"
#include "tests/unit/drivers/buffers.h"

#include <gtest/gtest.h>

#include <cstring>

namespace penstock::drivers {
namespace {

using env::DiskDone;
using env::DiskKind;
using env::DiskOp;
using env::FileId;
using env::kSector;

constexpr std::uint32_t kBlock = 4 * kSector;

class SimStorageTest : public ::testing::Test {
 protected:
  // A file of `sectors` zeros that a power cut does not take away.
  FileId make_file(SimVolume& volume, std::string_view name, std::size_t sectors) {
    const Result<FileId> file = volume.create(name);
    EXPECT_TRUE(file.has_value());
    EXPECT_TRUE(volume.sync_directory("").has_value());
    const Buffer zeros(sectors * kSector);
    EXPECT_TRUE(volume.write(*file, 0, zeros.bytes()).has_value());
    return *file;
  }

  static DiskOp write_op(FileId file, std::uint64_t offset, Buffer& data, bool durable) {
    return {.kind = DiskKind::kWrite,
            .durable = durable,
            .file = file,
            .offset = offset,
            .data = data.data(),
            .length = static_cast<std::uint32_t>(data.size()),
            .tag = offset};
  }

  // Lets time pass until the disk has answered once; nothing when it never will.
  std::optional<DiskDone> finish(SimDisk& disk) {
    DiskDone done;
    while (disk.reap({&done, 1}) == 0) {
      const std::optional<Nanos> next = storage_.next_completion();
      if (!next) return std::nullopt;
      time_.advance_to(*next);
    }
    return done;
  }

  // What the next boot finds in the file.
  std::vector<std::byte> after_restart(SimStorage& storage, std::string_view name,
                                       std::size_t bytes) {
    SimVolume volume(storage);
    const Result<FileId> file = volume.open(name);
    if (!file) return {};
    Buffer found(bytes);
    EXPECT_TRUE(volume.read(*file, 0, found.bytes()).has_value());
    return {found.bytes().begin(), found.bytes().end()};
  }

  SimTime time_;
  SimStorage storage_{time_, SimStorageOptions{}, 7};
};

TEST_F(SimStorageTest, DurableWriteSurvivesAPowerCut) {
  Buffer data(kBlock, 0x5A);
  {
    SimVolume volume(storage_);
    SimDisk disk(storage_);
    const FileId file = make_file(volume, "journal", 8);
    const DiskOp op = write_op(file, kSector, data, true);
    ASSERT_EQ(disk.submit({&op, 1}), 1U);
    EXPECT_EQ(finish(disk)->result, static_cast<std::int32_t>(kBlock));
    storage_.cut_power();
    EXPECT_EQ(disk.submit({&op, 1}), 1U);
    EXPECT_FALSE(finish(disk).has_value());
    EXPECT_EQ(volume.size(file).error().code, ErrorCode::kSystem);
  }
  storage_.restart();
  const std::vector<std::byte> found = after_restart(storage_, "journal", 8 * kSector);
  EXPECT_EQ(std::memcmp(found.data() + kSector, data.data(), kBlock), 0);
}

TEST_F(SimStorageTest, CompletedWriteThatWasNotDurableMayBeLost) {
  Buffer data(kBlock, 0x5A);
  SimVolume volume(storage_);
  SimDisk disk(storage_);
  const FileId file = make_file(volume, "journal", 8);
  const DiskOp op = write_op(file, 0, data, false);
  ASSERT_EQ(disk.submit({&op, 1}), 1U);
  EXPECT_EQ(finish(disk)->result, static_cast<std::int32_t>(kBlock));
  Buffer now(kBlock);
  ASSERT_TRUE(volume.read(file, 0, now.bytes()).has_value());
  EXPECT_EQ(std::memcmp(now.data(), data.data(), kBlock), 0);

  SimTime later = time_;
  const auto lost = storage_.branch(
      later, {.in_flight = {}, .completed = SimSurvival::Choice::kLose, .names = {}}, 1);
  EXPECT_EQ(after_restart(*lost, "journal", kSector), std::vector<std::byte>(kSector));
  const auto kept = storage_.branch(
      later, {.in_flight = {}, .completed = SimSurvival::Choice::kKeep, .names = {}}, 1);
  EXPECT_EQ(after_restart(*kept, "journal", kSector),
            std::vector<std::byte>(kSector, std::byte{0x5A}));

  // A durable write to the same place takes the doubt away, for its sectors alone.
  Buffer again(kSector, 0x77);
  const DiskOp durable = write_op(file, 0, again, true);
  ASSERT_EQ(disk.submit({&durable, 1}), 1U);
  ASSERT_TRUE(finish(disk).has_value());
  const auto mixed = storage_.branch(
      later, {.in_flight = {}, .completed = SimSurvival::Choice::kLose, .names = {}}, 1);
  const std::vector<std::byte> found = after_restart(*mixed, "journal", 2 * kSector);
  EXPECT_EQ(found[0], std::byte{0x77});
  EXPECT_EQ(found[kSector], std::byte{0});
}

TEST_F(SimStorageTest, WriteInFlightIsTornAsToldBySector) {
  Buffer data(kBlock, 0x5A);
  SimVolume volume(storage_);
  SimDisk disk(storage_);
  const FileId file = make_file(volume, "journal", 8);
  const DiskOp op = write_op(file, 0, data, true);
  ASSERT_EQ(disk.submit({&op, 1}), 1U);
  ASSERT_EQ(storage_.in_flight().size(), 1U);
  EXPECT_EQ(storage_.in_flight()[0].file, "journal");

  SimTime later = time_;
  SimSurvival odd;
  odd.in_flight = [](const SimWrite&, std::uint32_t sector) { return sector % 2 == 1; };
  const auto torn = storage_.branch(later, odd, 1);
  const std::vector<std::byte> found = after_restart(*torn, "journal", kBlock);
  for (std::size_t sector = 0; sector < kBlock / kSimSector; ++sector) {
    EXPECT_EQ(found[sector * kSimSector], sector % 2 == 1 ? std::byte{0x5A} : std::byte{0});
  }
  // The branch took nothing from the storage it came from.
  EXPECT_EQ(finish(disk)->result, static_cast<std::int32_t>(kBlock));
  Buffer now(kBlock);
  ASSERT_TRUE(volume.read(file, 0, now.bytes()).has_value());
  EXPECT_EQ(std::memcmp(now.data(), data.data(), kBlock), 0);
}

TEST_F(SimStorageTest, SeededCutsTearInEveryWay) {
  Buffer data(kBlock, 0x5A);
  SimVolume volume(storage_);
  SimDisk disk(storage_);
  const FileId file = make_file(volume, "journal", 8);
  const DiskOp op = write_op(file, 0, data, true);
  ASSERT_EQ(disk.submit({&op, 1}), 1U);
  DiskFaultCounts counts;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimTime later = time_;
    const auto branch = storage_.branch(later, {}, seed);
    counts += branch->counts();
    const std::vector<std::byte> found = after_restart(*branch, "journal", kBlock);
    for (std::size_t at = 0; at < kBlock; at += kSimSector) {
      const std::vector<std::byte> sector(
          found.begin() + static_cast<std::ptrdiff_t>(at),
          found.begin() + static_cast<std::ptrdiff_t>(at + kSimSector));
      EXPECT_TRUE(sector == std::vector<std::byte>(kSimSector) ||
                  sector == std::vector<std::byte>(kSimSector, std::byte{0x5A}));
    }
  }
  EXPECT_GT(counts[DiskFault::kInFlightLost], 0U) << counts.describe();
  EXPECT_GT(counts[DiskFault::kTornSectors], 0U) << counts.describe();
  EXPECT_GT(counts[DiskFault::kTorn512], 0U) << counts.describe();
  EXPECT_GT(counts[DiskFault::kTorn4096], 0U) << counts.describe();
}

TEST_F(SimStorageTest, NamesNeedASyncOfTheirDirectory) {
  SimVolume volume(storage_);
  ASSERT_TRUE(volume.make_directory("cell").has_value());
  ASSERT_TRUE(volume.create("cell/slot").has_value());
  ASSERT_TRUE(volume.sync_directory("cell").has_value());
  const SimSurvival lose{.in_flight = {}, .completed = {}, .names = SimSurvival::Choice::kLose};

  // The file's name is durable in a directory whose own name is not.
  SimTime later = time_;
  EXPECT_TRUE(after_restart(*storage_.branch(later, lose, 1), "cell/slot", 0).empty());
  ASSERT_TRUE(volume.sync_directory("").has_value());
  const auto kept = storage_.branch(later, lose, 1);
  EXPECT_TRUE(SimVolume(*kept).open("cell/slot").has_value());

  // A rename that was not synced leaves the old name, whole.
  ASSERT_TRUE(volume.rename("cell/slot", "cell/taken").has_value());
  EXPECT_FALSE(volume.open("cell/slot").has_value());
  const auto undone = storage_.branch(later, lose, 1);
  EXPECT_TRUE(SimVolume(*undone).open("cell/slot").has_value());
  EXPECT_FALSE(SimVolume(*undone).open("cell/taken").has_value());

  // So does a removal.
  ASSERT_TRUE(volume.sync_directory("cell").has_value());
  ASSERT_TRUE(volume.remove("cell/taken").has_value());
  EXPECT_TRUE(SimVolume(*storage_.branch(later, lose, 1)).open("cell/taken").has_value());
  EXPECT_EQ(storage_.branch(later, lose, 1)->counts()[DiskFault::kEntryLost], 1U);
}

TEST_F(SimStorageTest, PowerGoesAtTheMutationThatWasNamed) {
  for (const SimCutPhase phase : {SimCutPhase::kDuring, SimCutPhase::kAfter}) {
    SimTime time;
    SimStorage storage(time, SimStorageOptions{}, 7);
    SimVolume volume(storage);
    const FileId file = make_file(volume, "journal", 8);
    SimSurvival none;
    none.in_flight = [](const SimWrite&, std::uint32_t) { return false; };
    storage.cut_power_at(storage.mutations() + 2, phase, none);
    Buffer data(kSector, 0x11);
    EXPECT_TRUE(volume.write(file, 0, data.bytes()).has_value());
    EXPECT_TRUE(storage.powered());
    EXPECT_EQ(volume.write(file, kSector, data.bytes()).error().code, ErrorCode::kSystem);
    EXPECT_FALSE(storage.powered());
    storage.restart();
    const std::vector<std::byte> found = after_restart(storage, "journal", 2 * kSector);
    EXPECT_EQ(found[0], std::byte{0x11});
    EXPECT_EQ(found[kSector], phase == SimCutPhase::kAfter ? std::byte{0x11} : std::byte{0});
  }
}

TEST_F(SimStorageTest, KilledProcessLosesNothingThatItHandedOver) {
  Buffer data(kSector, 0x33);
  {
    SimVolume volume(storage_);
    SimDisk disk(storage_);
    const FileId file = make_file(volume, "journal", 2);
    const DiskOp op = write_op(file, 0, data, false);
    ASSERT_EQ(disk.submit({&op, 1}), 1U);
    storage_.kill_process();
  }
  storage_.restart();
  EXPECT_EQ(after_restart(storage_, "journal", kSector),
            std::vector<std::byte>(kSector, std::byte{0x33}));
}

TEST_F(SimStorageTest, FullDiskRefusesGrowthAndNothingElse) {
  SimVolume volume(storage_);
  const FileId file = make_file(volume, "journal", 4);
  storage_.set_capacity(4 * kSector);
  Buffer data(kSector, 1);
  EXPECT_TRUE(volume.write(file, 0, data.bytes()).has_value());
  EXPECT_EQ(volume.write(file, 4 * kSector, data.bytes()).error().code, ErrorCode::kNoSpace);
  SimDisk disk(storage_);
  const DiskOp op = write_op(file, 4 * kSector, data, true);
  ASSERT_EQ(disk.submit({&op, 1}), 1U);
  EXPECT_EQ(finish(disk)->result, -ENOSPC);
  EXPECT_EQ(*volume.size(file), 4 * kSector);
  EXPECT_EQ(volume.info()->free_bytes, 0U);
  storage_.set_capacity(8 * kSector);
  EXPECT_TRUE(volume.write(file, 4 * kSector, data.bytes()).has_value());
}

TEST_F(SimStorageTest, FlippedBitIsTheOnlyDifference) {
  SimVolume volume(storage_);
  const FileId file = make_file(volume, "journal", 8);
  EXPECT_FALSE(storage_.flip_bit("journal"));
  Buffer data(2 * kSector, 0x44);
  ASSERT_TRUE(volume.write(file, 2 * kSector, data.bytes()).has_value());
  ASSERT_TRUE(storage_.flip_bit("journal", 3 * kSector, kSector));
  Buffer found(2 * kSector);
  ASSERT_TRUE(volume.read(file, 2 * kSector, found.bytes()).has_value());
  std::size_t changed = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found.data()[i] != data.data()[i]) {
      ++changed;
      EXPECT_EQ(storage_.damage().at(0).offset, 2 * kSector + i);
      EXPECT_GE(i, kSector);
    }
  }
  EXPECT_EQ(changed, 1U);
}

// Runs 400 random operations under every fault, and says what happened.
struct History {
  std::uint64_t trace = 0;
  DiskFaultCounts counts;
  std::uint64_t good = 0;
};

History run_history(std::uint64_t seed) {
  SimTime time;
  SimStorageOptions options;
  options.rates = {.write_error = 0.05,
                   .read_error = 0.05,
                   .short_write = 0.05,
                   .no_space = 0.1,
                   .stall = 0.05,
                   .misdirected_write = 0.05,
                   .lost_write = 0.05,
                   .read_flip = 0.05};
  SimStorage storage(time, options, seed);
  SimVolume volume(storage);
  SimDisk disk(storage, 8);
  const FileId file = *volume.create("journal");
  SimRandom random(seed, "history");
  std::vector<Buffer> buffers;
  for (int i = 0; i < 8; ++i) buffers.emplace_back(kBlock, 0x10 + i);
  std::vector<std::uint64_t> idle = {0, 1, 2, 3, 4, 5, 6, 7};
  History history;
  std::size_t started = 0;
  while (started < 400 || disk.pending() > 0) {
    while (started < 400 && !idle.empty()) {
      const std::uint64_t slot = idle.back();
      idle.pop_back();
      const DiskOp op{.kind = random.below(3) == 0 ? DiskKind::kRead : DiskKind::kWrite,
                      .durable = true,
                      .file = file,
                      .offset = random.below(1 + started) * kSector,
                      .data = buffers[slot].data(),
                      .length = kBlock,
                      .tag = slot};
      EXPECT_EQ(disk.submit({&op, 1}), 1U);
      ++started;
    }
    if (const std::optional<Nanos> next = storage.next_completion()) time.advance_to(*next);
    DiskDone done;
    while (disk.reap({&done, 1}) == 1) {
      idle.push_back(done.tag);
      if (done.result == static_cast<std::int32_t>(kBlock)) ++history.good;
    }
  }
  storage.cut_power();
  history.trace = storage.trace_hash();
  history.counts = storage.counts();
  return history;
}

TEST(SimStorageHistory, OneSeedIsOneHistory) {
  const History first = run_history(1);
  EXPECT_EQ(first.trace, run_history(1).trace);
  EXPECT_NE(first.trace, run_history(2).trace);
}

TEST(SimStorageHistory, EveryFaultFires) {
  const History history = run_history(3);
  for (const DiskFault fault :
       {DiskFault::kWriteError, DiskFault::kReadError, DiskFault::kShortWrite, DiskFault::kNoSpace,
        DiskFault::kStall, DiskFault::kMisdirectedWrite, DiskFault::kLostWrite,
        DiskFault::kReadFlip}) {
    EXPECT_GT(history.counts[fault], 0U) << name(fault) << ": " << history.counts.describe();
  }
  EXPECT_GT(history.good, 200U);
}

}  // namespace
}  // namespace penstock::drivers
