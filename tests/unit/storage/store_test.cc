// Goal: a data directory is formatted, grown and snapshotted so that a power cut or a full disk at any
// step leaves it whole or plainly unfinished. Method: real calls on the simulated disk, cut at every
// single change that they make; contents compared.
#include "storage/store.h"

#include "storage/snapshot.h"
#include "store_rig.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

namespace penstock::storage {
namespace {

constexpr FormatOptions kSmall{.cells = 2, .slot_bytes = kMiB, .slots_ahead = 1};

ShardState shard_state(std::uint32_t number) {
  ShardState state;
  state.shard = key_of(number);
  state.next_index = number * 100ULL;
  state.trim_index = number;
  state.last_arrival = -5;
  state.range_begin[0] = number;
  state.range_end[1] = ~std::uint64_t{number};
  state.created_second = 99;
  state.catalogue_version = 12;
  state.closed = number % 2;
  return state;
}

// Producers with 0 to 8 entries in their windows.
ProducerState producer_state(std::uint32_t number) {
  ProducerState state;
  state.shard = key_of(number);
  state.producer = ~std::uint64_t{number};
  state.epoch = number % 3;
  state.last_sequence = number * 7;
  state.count = std::min(number % 9, state.last_sequence);
  state.last_used = WallMillis(1'700'000'000'000 + number);
  for (std::uint32_t i = 0; i < state.count; ++i) {
    state.window[i] = {RecordIndex(number + i), WallMillis(2'000'000'000'000 + i)};
  }
  return state;
}

Snapshot snapshot_of(std::uint16_t cells, std::uint32_t shards, std::uint8_t mark) {
  Snapshot snapshot;
  for (std::uint16_t c = 0; c < cells; ++c) {
    CellSnapshot cell;
    cell.cell = CellId(c);
    for (std::uint32_t s = 0; s < shards; ++s) cell.shards.push_back(shard_state(s));
    for (std::uint32_t s = 0; s < shards; ++s) cell.producers.push_back(producer_state(s));
    snapshot.cells.push_back(cell);
  }
  snapshot.catalogue.assign(100, std::byte{mark});
  snapshot.clock = {mark, 2 * mark};
  return snapshot;
}

struct Bare {
  Bare() : storage(time, {}, 3), volume(std::make_unique<drivers::SimVolume>(storage)) {}
  Result<> format(const FormatOptions& options = kSmall) {
    drivers::SimEntropy entropy(5);
    return Store::format(*volume, entropy, options);
  }
  void restart() {
    volume.reset();
    if (storage.powered()) storage.cut_power();
    storage.restart();
    volume = std::make_unique<drivers::SimVolume>(storage);
  }
  void make(const std::string& name, char fill) {
    base::Pages sector(kMiB);
    std::ranges::fill(sector.bytes(), static_cast<std::byte>(fill));
    const env::FileId file = *volume->create(name);
    ASSERT_TRUE(volume->write(file, 0, sector.bytes().first(4096)).has_value());
    volume->close(file);
  }
  std::size_t files() { return volume->list("")->size(); }

  drivers::SimTime time;
  drivers::SimStorage storage;
  std::unique_ptr<drivers::SimVolume> volume;
};

TEST(Format, RefusesWhatIsNotEmpty) {
  Bare bare;
  bare.make("holiday.jpg", 'x');
  ASSERT_FALSE(bare.format().has_value());
  EXPECT_EQ(bare.format().error().code, ErrorCode::kExists);
  EXPECT_EQ(bare.files(), 1U);
}

TEST(Format, LeavesTheServersFilesAlone) {
  Bare bare;
  bare.make("LOCK", 'x');
  bare.make("credentials", 'x');
  bare.make("server-key.pem", 'x');
  ASSERT_TRUE(bare.format().has_value());
  EXPECT_TRUE(Store::open(*bare.volume).has_value());
  EXPECT_TRUE(bare.volume->open("credentials").has_value());
}

TEST(Format, RefusesADataDirectory) {
  Bare bare;
  ASSERT_TRUE(bare.format().has_value());
  EXPECT_EQ(bare.format().error().code, ErrorCode::kExists);
}

TEST(Format, NeverTakesADirectoryThatLostItsSuperblockForAnEmptyOne) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  Forge forge(rig);
  forge.open_segment();
  forge.data(1, 0, 1);
  ASSERT_TRUE(rig.volume->remove(kSuperblockName).has_value());
  ASSERT_TRUE(rig.volume->sync_directory("").has_value());
  drivers::SimEntropy entropy(5);
  EXPECT_EQ(Store::format(*rig.volume, entropy, kSmall).error().code, ErrorCode::kExists);
  EXPECT_EQ(rig.open().error().code, ErrorCode::kForeignFormat);
}

TEST(Format, ChecksSpaceAndOptionsFirst) {
  Bare bare;
  bare.storage.set_capacity(5 * kMiB);
  EXPECT_EQ(bare.format().error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(bare.files(), 0U);
  EXPECT_EQ(bare.format({.cells = 0, .slot_bytes = kMiB}).error().code, ErrorCode::kConfig);
  EXPECT_EQ(bare.format({.cells = 65, .slot_bytes = kMiB}).error().code, ErrorCode::kConfig);
  EXPECT_EQ(bare.format({.cells = 1, .slot_bytes = 12345}).error().code, ErrorCode::kConfig);
}

TEST(Format, AnEmptyDirectoryIsNotFound) {
  Bare bare;
  EXPECT_EQ(Store::open(*bare.volume).error().code, ErrorCode::kNotFound);
}

// Cut at every change that formatting makes: afterwards it opens, or it can be formatted again.
TEST(Format, APowerCutAtAnyStepCanBeRepeated) {
  std::uint64_t steps = 0;
  {
    Bare bare;
    ASSERT_TRUE(bare.format().has_value());
    steps = bare.storage.mutations();
  }
  ASSERT_GT(steps, 10U);
  std::uint64_t opened = 0;
  for (std::uint64_t step = 1; step <= steps; ++step) {
    for (const auto phase : {drivers::SimCutPhase::kDuring, drivers::SimCutPhase::kAfter}) {
      Bare bare;
      bare.storage.cut_power_at(step, phase);
      EXPECT_FALSE(bare.format().has_value());
      bare.restart();
      if (auto store = Store::open(*bare.volume)) {
        ++opened;
        EXPECT_EQ((*store)->cells(), 2);
      } else {
        // These two let the server format: nothing but an unfinished format is there.
        EXPECT_TRUE(store.error().code == ErrorCode::kNotFound ||
                    store.error().code == ErrorCode::kForeignFormat)
            << "step " << step << ": detail " << store.error().detail;
        ASSERT_TRUE(bare.format().has_value()) << "step " << step;
        ASSERT_TRUE(Store::open(*bare.volume).has_value()) << "step " << step;
      }
    }
  }
  EXPECT_GT(opened, 0U) << "after group A it is a data directory";
}

TEST(Store, GrowsInStepsAndTheSlotIsThereAfterARestart) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  const std::size_t before = rig.journal().free.size();
  int steps = 0;
  Store::NewSlot slot;
  while (!slot.ready) {
    const auto grown = rig.store->grow(CellId(0), 256 * kKiB);
    ASSERT_TRUE(grown.has_value());
    slot = *grown;
    ++steps;
  }
  EXPECT_EQ(steps, 4);
  EXPECT_EQ(slot.slot, 4U);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.journal().free.size(), before + 1);
}

TEST(Store, ASlotCutShortIsRemovedAtTheNextStart) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.store->grow(CellId(0), 256 * kKiB).has_value());
  ASSERT_TRUE(rig.volume->sync_directory("cell-00").has_value());
  const auto name = slot_name(0, 4);
  ASSERT_TRUE(rig.volume->open(name).has_value());
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.journal().free.size(), 4U);
  EXPECT_FALSE(rig.volume->open(name).has_value());
}

TEST(Store, AFullDiskLeavesNothingOfANewSlot) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().has_value());
  const auto files = rig.volume->list("")->size();
  const std::uint64_t used = 1024 * kGiB - rig.volume->info()->free_bytes;
  rig.storage.set_capacity(used + kMiB / 2);
  EXPECT_EQ(rig.store->grow(CellId(0), 256 * kKiB).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(rig.volume->list("")->size(), files);
  // Room at first, taken away while the slot grows.
  rig.storage.set_capacity(used + 2 * kMiB);
  ASSERT_TRUE(rig.store->grow(CellId(0), 256 * kKiB).has_value());
  rig.storage.set_capacity(used + 300 * kKiB);
  EXPECT_EQ(rig.store->grow(CellId(0), 256 * kKiB).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(rig.volume->list("")->size(), files);
  // And it works again once there is space.
  rig.storage.set_capacity(used + 2 * kMiB);
  EXPECT_TRUE(rig.store->grow(CellId(0), kMiB)->ready);
}

TEST(Store, AFenceHoldsOverRestartsUntilItIsCleared) {
  StoreRig rig(kSmall);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_FALSE(rig.cells[1].fenced);
  ASSERT_TRUE(rig.store->record_fence(CellId(1)).has_value());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_FALSE(rig.cells[0].fenced);
    EXPECT_TRUE(rig.cells[1].fenced);
    EXPECT_TRUE(rig.cells[1].journal->fenced);
  }
  ASSERT_TRUE(rig.store->clear_fence(CellId(1)).has_value());
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_FALSE(rig.cells[1].fenced);
}

TEST(Store, ARecordedClockGoesBeforeTheSnapshots) {
  StoreRig rig(kSmall);
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.store->write_snapshot(snapshot_of(2, 3, 9)).has_value());
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.store->record_clock({.retention_ms = 9, .wall_ms = 5}).has_value());
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->retention_clock().retention_ms, 9);
  EXPECT_EQ(rig.store->retention_clock().wall_ms, 5);
  EXPECT_EQ(rig.store->catalogue_snapshot().at(0), std::byte{9});
}

TEST(Store, ASnapshotComesBackWhole) {
  StoreRig rig(kSmall);
  ASSERT_TRUE(rig.open().has_value());
  const Snapshot written = snapshot_of(2, 1'500, 9);
  ASSERT_TRUE(rig.store->write_snapshot(written).has_value());
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->catalogue_snapshot(), written.catalogue);
  EXPECT_EQ(rig.store->retention_clock().retention_ms, 9);
  EXPECT_EQ(rig.store->retention_clock().wall_ms, 18);
  for (const RecoveredCell& cell : rig.cells) {
    ASSERT_EQ(cell.shards.size(), 1'500U);
    for (std::uint32_t s = 0; s < 1'500; ++s) {
      const ShardState& got = cell.shards[s];
      const ShardState want = shard_state(s);
      EXPECT_EQ(got.shard, want.shard);
      EXPECT_EQ(got.next_index, want.next_index);
      EXPECT_EQ(got.trim_index, want.trim_index);
      EXPECT_EQ(got.last_arrival, want.last_arrival);
      EXPECT_EQ(got.range_begin[0], want.range_begin[0]);
      EXPECT_EQ(got.range_end[1], want.range_end[1]);
      EXPECT_EQ(got.created_second, want.created_second);
      EXPECT_EQ(got.catalogue_version, want.catalogue_version);
      EXPECT_EQ(got.closed, want.closed);
    }
  }
}

TEST(Store, ABadSnapshotFallsBackToTheOneBefore) {
  StoreRig rig(kSmall);
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.store->write_snapshot(snapshot_of(2, 3, 1)).has_value());  // a
  ASSERT_TRUE(rig.store->write_snapshot(snapshot_of(2, 3, 2)).has_value());  // b
  rig.flip("snapshot-b", 700);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->catalogue_snapshot().at(0), std::byte{1});
  EXPECT_FALSE(rig.store->report().notes.empty());
  rig.flip("snapshot-a", 700);
  EXPECT_EQ(rig.open().error().code, ErrorCode::kCorrupt);
}

// The next one goes over the bad one: the one that can be read stays until there are two again.
TEST(Store, APowerCutBehindAFallbackLeavesOneToo) {
  for (std::uint64_t step = 1; step <= 3; ++step) {
    for (const auto phase : {drivers::SimCutPhase::kDuring, drivers::SimCutPhase::kAfter}) {
      StoreRig rig(kSmall);
      ASSERT_TRUE(rig.open().has_value());
      ASSERT_TRUE(rig.store->write_snapshot(snapshot_of(2, 50, 1)).has_value());  // a
      ASSERT_TRUE(rig.store->write_snapshot(snapshot_of(2, 60, 2)).has_value());  // b
      rig.flip("snapshot-b", 700);
      ASSERT_TRUE(rig.open().has_value());
      rig.storage.cut_power_at(rig.storage.mutations() + step, phase);
      static_cast<void>(rig.store->write_snapshot(snapshot_of(2, 70, 3)));
      ASSERT_TRUE(rig.open().has_value()) << "step " << step;
      const auto mark = static_cast<std::uint32_t>(rig.store->catalogue_snapshot().at(0));
      EXPECT_TRUE(mark == 1 || mark == 3) << mark;
      ASSERT_TRUE(rig.store->write_snapshot(snapshot_of(2, 80, 4)).has_value());
      ASSERT_TRUE(rig.open().has_value());
      EXPECT_EQ(rig.store->catalogue_snapshot().at(0), std::byte{4});
    }
  }
}

// Cut at every change that a snapshot makes: what is found is the one before or the new one, whole.
TEST(Store, APowerCutAtAnyStepOfASnapshotLeavesOne) {
  bool saw_old = false;
  bool saw_new = false;
  for (std::uint64_t step = 1; step <= 3; ++step) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      StoreRig rig(kSmall);
      ASSERT_TRUE(rig.open().has_value());
      ASSERT_TRUE(rig.store->write_snapshot(snapshot_of(2, 50, 1)).has_value());
      ASSERT_TRUE(rig.store->write_snapshot(snapshot_of(2, 60, 2)).has_value());
      drivers::SimSurvival survival;
      survival.in_flight = [seed](const drivers::SimWrite& write, std::uint32_t sector) {
        return (std::mt19937_64(seed * 1000 + write.number * 31 + sector)() & 1) != 0;
      };
      rig.storage.cut_power_at(rig.storage.mutations() + step, drivers::SimCutPhase::kDuring,
                               survival);
      EXPECT_FALSE(rig.store->write_snapshot(snapshot_of(2, 70, 3)).has_value());
      ASSERT_TRUE(rig.open().has_value()) << "step " << step << " seed " << seed;
      const auto mark = static_cast<std::uint32_t>(rig.store->catalogue_snapshot().at(0));
      EXPECT_TRUE(mark == 2 || mark == 3) << mark;
      EXPECT_EQ(rig.cells[0].shards.size(), mark == 2 ? 60U : 70U);
      saw_old = saw_old || mark == 2;
      saw_new = saw_new || mark == 3;
      EXPECT_TRUE(rig.store->report().notes.empty());
    }
  }
  EXPECT_TRUE(saw_old);
  EXPECT_TRUE(saw_new);
}

// A failed superblock write must not make the next snapshot overwrite one that may be in use.
TEST(Store, AFailedSnapshotCanBeTriedAgain) {
  StoreRig rig(kSmall);
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.store->write_snapshot(snapshot_of(2, 5, 1)).has_value());
  Snapshot large = snapshot_of(2, 5, 2);
  large.catalogue.resize(3 * kMiB);
  rig.storage.set_capacity(1 * kMiB);
  EXPECT_EQ(rig.store->write_snapshot(large).error().code, ErrorCode::kNoSpace);
  rig.storage.set_capacity(1024 * kGiB);
  EXPECT_TRUE(rig.store->write_snapshot(snapshot_of(2, 6, 3)).has_value());
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.cells[0].shards.size(), 6U);
}

TEST(Snapshot, KeepsWhatProducersHaveWritten) {
  Snapshot written = snapshot_of(3, 20, 1);
  written.cells[1].producers.clear();
  written.cells[2].segments = {SegmentNumber(3), SegmentNumber(9)};
  const auto read = decode_snapshot(encode_snapshot(written, {}, 1), {}, 3);
  ASSERT_TRUE(read.has_value());
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(read->cells[c].producers, written.cells[c].producers) << c;
    EXPECT_EQ(read->cells[c].segments, written.cells[c].segments) << c;
    EXPECT_EQ(read->cells[c].shards.size(), 20U) << c;
  }
}

TEST(Snapshot, AWindowThatCannotBeIsRefused) {
  const auto with = [](std::uint32_t last_sequence, std::uint32_t count) {
    Snapshot snapshot = snapshot_of(1, 1, 1);
    snapshot.cells[0].producers[0].last_sequence = last_sequence;
    auto bytes = encode_snapshot(snapshot, {}, 1);
    // Behind the header, the cell's and the shard's: the record's `count`.
    format::store(bytes, 128 + 32 + 96 + 28, count);
    return decode_snapshot(bytes, {}, 1).has_value();
  };
  EXPECT_TRUE(with(8, 8));
  EXPECT_TRUE(with(0, 0));
  EXPECT_FALSE(with(9, 9)) << "more entries than there is room for";
  EXPECT_FALSE(with(2, 3)) << "more than there were batches";
}

TEST(Snapshot, HostileBytesAreRefusedOrHarmless) {
  const format::Uuid box{};
  const auto good = encode_snapshot(snapshot_of(2, 4, 7), box, 1);
  ASSERT_TRUE(decode_snapshot(good, box, 2).has_value());
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_snapshot(std::span(good).first(size), box, 2).has_value()) << size;
  }
  std::mt19937_64 random(1);
  std::uint64_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = good;
    // Aimed at the counts and offsets of headers as well as anywhere.
    const std::size_t at = round % 2 == 0 ? random() % 160 : random() % bytes.size();
    bytes[at] = static_cast<std::byte>(random());
    if (!decode_snapshot(bytes, box, 2)) ++refused;
  }
  EXPECT_GT(refused, 1'000U);
}

// 64 cells of 1,024 shards: no step may grow with the square of the shards.
TEST(Snapshot, ManyShardsAreFast) {
  const Snapshot snapshot = snapshot_of(64, 1'024, 1);
  const auto begin = std::chrono::steady_clock::now();
  const auto bytes = encode_snapshot(snapshot, {}, 1);
  const auto decoded = decode_snapshot(bytes, {}, 64);
  const auto taken = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->cells[63].shards.size(), 1'024U);
  EXPECT_LT(taken, std::chrono::seconds(2)) << "65,536 shards";
}

}  // namespace
}  // namespace penstock::storage
