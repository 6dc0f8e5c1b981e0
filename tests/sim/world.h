// One simulated machine with the whole server on it, and its clients: one thread, virtual time, one seed.
//
// In some there are clients of the native protocol among them.
//
// A run is a number of lives. In each the machine boots, the server recovers, clients work, and
// something ends it: a power cut, a kill, a clean stop, at a moment that the seed chooses. At the end faults
// stop, everything is read back, and the model compares.
//
// Owner      one thread
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace penstock::sim {

struct WorldOptions {
  std::uint64_t seed = 1;
  std::uint32_t lives = 4;
  std::int64_t life_nanos_max = 6'000'000'000;
  std::uint32_t data_cores = 2;
  std::uint32_t writers = 4;
  std::uint32_t native_producers = 3;
  std::uint32_t native_subscribers = 3;
  bool disk_faults = true;
  bool clock_faults = true;
  double off_chance = 0.2;  // that the machine stays off for hours between two lives
  std::int64_t off_hours_min = 1;
  std::int64_t off_hours_max = 40;
  std::uint32_t slots_max = 32;  // per cell; with few, a slot is soon in use again
  double native_chance = 0.25;   // that the native protocol is served and used, too
  bool tell = false;             // prints what happens, life by life
};

struct WorldResult {
  std::vector<std::string> findings;  // empty: every promise held
  std::uint64_t trace_hash = 0;
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  std::int64_t simulated_nanos = 0;                           // while the machine was on
  std::vector<std::pair<std::string, std::uint64_t>> faults;  // kind, how often it fired
};

[[nodiscard]] WorldResult run_world(const WorldOptions& options);

}  // namespace penstock::sim
