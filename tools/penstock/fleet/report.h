// What a run of the fleet showed, for people and for programs.
#pragma once

#include "base/histogram.h"
#include "fleet/ledger.h"

#include <cstdint>
#include <optional>
#include <string>

namespace penstock::tools {

struct FleetReport {
  std::string stream;
  std::string via;
  std::int64_t shards = 0;
  std::uint32_t vehicles = 0;
  std::uint32_t connections = 0;
  std::uint32_t run = 0;
  std::uint64_t seed = 0;
  double rate_wanted = 0;  // 0: closed loop
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t calls = 0;
  std::uint64_t refused = 0;
  double seconds = 0;
  base::Histogram latencies;  // nanoseconds
  std::string last_refusal;
  std::optional<double> storage_used;     // bytes; not every service tells
  std::optional<std::string> durability;  // likewise
  std::optional<Verdict> verdict;
  std::uint64_t read_back = 0;  // records
  double read_seconds = 0;

  [[nodiscard]] std::string as_text() const;
  [[nodiscard]] std::string as_json() const;
};

}  // namespace penstock::tools
