// Goal: whatever a power cut does to the writes in flight, at whatever moment, every acknowledged record
// comes back unchanged and in order, nothing that was never sent comes back, and what once came back stays.
// Method: a seeded workload (appends, seals, snapshots, recycling, growth) on the simulated disk. At every
// point where a write was begun or ended the disk is branched as a cut would leave it: with none, all, random
// subsets of the sectors in flight, prefixes torn at 512 B and 4 KiB. Each branch is recovered and compared
// with the model, written to, cut again and recovered once more. A second test cuts the power at each numbered
// mutation, those of snapshots and new slots included.
//
// PENSTOCK_CRASH_STATES sets how many states are tried; a build with planted bugs switches on the one
// whose number PENSTOCK_PLANTED_BUG gives, and must then fail.
#include "storage/sabotage.h"
#include "tests/unit/storage/crash_rig.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

namespace penstock::storage {
namespace {

[[nodiscard]] std::uint64_t states_wanted() {
  const char* text = std::getenv("PENSTOCK_CRASH_STATES");
  return text == nullptr ? 600 : std::strtoull(text, nullptr, 10);
}

[[nodiscard]] drivers::SimStorageOptions disk_options() {
  drivers::SimStorageOptions options;
  options.write_nanos_min = 50'000;
  options.write_nanos_max = 2'000'000;
  return options;
}

void plant_bug() {
#ifdef PENSTOCK_SABOTAGE
  if (const char* number = std::getenv("PENSTOCK_PLANTED_BUG"); number != nullptr) {
    g_sabotage = static_cast<Sabotage>(std::strtoul(number, nullptr, 10));
  }
#endif
}

void format(drivers::SimStorage& storage) {
  drivers::SimVolume volume(storage);
  drivers::SimEntropy entropy(5);
  ASSERT_TRUE(Store::format(volume, entropy, {.cells = 1, .slot_bytes = kMiB, .slots_ahead = 3})
                  .has_value());
}

// How the writes in flight fare.
[[nodiscard]] drivers::SimSurvival survival(std::uint64_t variant, std::uint64_t seed) {
  drivers::SimSurvival s;
  const auto mix = [seed](std::uint64_t a, std::uint64_t b) {
    std::mt19937_64 random(seed * 31 + a * 1'000'003 + b);
    return random();
  };
  switch (variant) {
    case 0:
      s.in_flight = [](const drivers::SimWrite&, std::uint32_t) { return false; };
      break;
    case 1:
      s.in_flight = [](const drivers::SimWrite&, std::uint32_t) { return true; };
      break;
    case 2:  // whole writes
      s.in_flight = [mix](const drivers::SimWrite& w, std::uint32_t) {
        return mix(w.number, 0) % 2 == 0;
      };
      break;
    case 3:  // sectors of 512 bytes
      s.in_flight = [mix](const drivers::SimWrite& w, std::uint32_t sector) {
        return mix(w.number, sector) % 2 == 0;
      };
      break;
    case 4:  // prefixes, torn at 512 bytes
      s.in_flight = [mix](const drivers::SimWrite& w, std::uint32_t sector) {
        return sector < mix(w.number, 0) % (w.length / 512 + 1);
      };
      break;
    default:  // prefixes, torn at 4 KiB
      s.in_flight = [mix](const drivers::SimWrite& w, std::uint32_t sector) {
        return sector / 8 < mix(w.number, 0) % (w.length / 4096 + 1);
      };
      break;
  }
  return s;
}
constexpr std::uint64_t kVariants = 6;

// Recovers, goes on a little, is cut again, twice; and recovers a last time.
void recover_again_and_again(drivers::SimStorage& storage, drivers::SimTime& time, CrashModel model,
                             std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const CrashOptions options;
  for (int crash = 0; crash < 2; ++crash) {
    CrashBoot boot(time, storage, model, options);
    ASSERT_TRUE(boot.open());
    const std::uint64_t steps = random() % 12;
    for (std::uint64_t i = 0; i < steps; ++i) boot.work(random);
    storage.cut_power(survival(random() % kVariants, seed + 17));
    storage.restart();
  }
  CrashBoot last(time, storage, model, options);
  ASSERT_TRUE(last.open());
}

TEST(CrashPoints, EveryIoTimesEveryFate) {
  plant_bug();
  const std::uint64_t wanted = states_wanted() * 3 / 4;
  std::uint64_t states = 0;
  std::uint64_t points = 0;
  std::uint64_t with_writes = 0;
  for (std::uint64_t seed = 1; states < wanted && !testing::Test::HasFailure(); ++seed) {
    std::mt19937_64 random(seed);
    drivers::SimTime time;
    drivers::SimStorage storage(time, disk_options(), seed);
    format(storage);
    CrashModel model;
    const CrashOptions options;
    auto boot = std::make_unique<CrashBoot>(time, storage, model, options);
    ASSERT_TRUE(boot->open());
    for (int step = 0; step < 300 && states < wanted && !testing::Test::HasFailure(); ++step) {
      const std::uint64_t before = storage.mutations();
      const std::size_t flying = storage.in_flight().size();
      boot->work(random);
      if (step % 90 == 89) {  // the main line dies now and then, too
        boot.reset();
        storage.kill_process();
        storage.restart();
        boot = std::make_unique<CrashBoot>(time, storage, model, options);
        ASSERT_TRUE(boot->open());
      }
      if (storage.mutations() == before && storage.in_flight().size() == flying) continue;
      ++points;
      const std::size_t in_flight = storage.in_flight().size();
      for (std::uint64_t variant = 0; variant < kVariants && states < wanted; ++variant) {
        if (in_flight == 0 && variant > 0) break;  // all the same
        ++states;
        with_writes += in_flight > 0 ? 1 : 0;
        SCOPED_TRACE(testing::Message()
                     << "seed " << seed << " step " << step << " variant " << variant);
        drivers::SimTime branch_time = time;
        const auto branch =
            storage.branch(branch_time, survival(variant, seed * 1000 + states), states);
        recover_again_and_again(*branch, branch_time, model, states);
      }
    }
  }
  std::cout << "[ STATES   ] " << states << " crash states at " << points << " points, "
            << with_writes << " of them with writes in flight\n";
  EXPECT_GT(with_writes, states / 8);
}

TEST(CrashPoints, EveryNumberedMutation) {
  plant_bug();
  const std::uint64_t wanted = states_wanted() / 4;
  std::uint64_t states = 0;
  std::uint64_t cuts = 0;
  for (std::uint64_t seed = 1; states < wanted && !testing::Test::HasFailure(); ++seed) {
    std::uint64_t first = 0;
    for (std::uint64_t offset = 1; states < wanted && !testing::Test::HasFailure(); ++offset) {
      std::mt19937_64 random(seed);
      drivers::SimTime time;
      drivers::SimStorage storage(time, disk_options(), seed);
      format(storage);
      first = storage.mutations();
      CrashModel model;
      const CrashOptions options;
      const auto phase =
          offset % 2 == 0 ? drivers::SimCutPhase::kDuring : drivers::SimCutPhase::kAfter;
      storage.cut_power_at(first + 1 + offset / 2, phase,
                           survival((offset + seed) % kVariants, offset));
      bool cut = false;
      {
        CrashBoot boot(time, storage, model, options);
        cut = !boot.open();
        for (int step = 0; step < 120 && !cut; ++step) {
          boot.work(random);
          cut = !storage.powered();
        }
      }
      ++states;
      SCOPED_TRACE(testing::Message() << "seed " << seed << " mutation " << first + 1 + offset / 2);
      if (!cut) break;  // the workload has no more
      ++cuts;
      storage.restart();
      CrashBoot again(time, storage, model, options);
      ASSERT_TRUE(again.open());
    }
  }
  std::cout << "[ STATES   ] " << states << " runs, " << cuts << " of them cut\n";
  EXPECT_GT(cuts, 0U);
}

// A device that fails writes: the journal fences itself, and what it acknowledged before is there
// after the cut that follows.
TEST(CrashPoints, FailedWritesTakeNothingThatWasAcknowledged) {
  plant_bug();
  const std::uint64_t wanted = states_wanted() / 10;
  std::uint64_t fences = 0;
  for (std::uint64_t seed = 1; seed <= wanted && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    drivers::SimTime time;
    drivers::SimStorage storage(time, disk_options(), seed);
    format(storage);
    CrashModel model;
    const CrashOptions options;
    {
      CrashBoot boot(time, storage, model, options);
      ASSERT_TRUE(boot.open());
      for (int step = 0; step < 40; ++step) boot.work(random);
      storage.set_rates({.write_error = 0.05, .short_write = 0.05});
      for (int step = 0; step < 200 && !boot.journal().fenced(); ++step) boot.work(random);
      fences += boot.journal().fenced() ? 1 : 0;
      storage.set_rates({});
      for (int step = 0; step < 10; ++step) boot.work(random);
      storage.cut_power(survival(seed % kVariants, seed));
    }
    storage.restart();
    CrashBoot again(time, storage, model, options);
    ASSERT_TRUE(again.open());
  }
  std::cout << "[ STATES   ] " << fences << " fenced journals of " << wanted << "\n";
  EXPECT_GT(fences, wanted / 2);
}

}  // namespace
}  // namespace penstock::storage
