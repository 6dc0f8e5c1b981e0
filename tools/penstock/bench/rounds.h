// Measures arms in turn, round by round: A-B, then B-A, so that what changes with time befalls all of them.
//
// Shape      a round has each arm once; a round in which others took too much of the machine is noisy
// Errors     an arm that cannot be measured ends the run; what makes figures doubtful goes into Result::problems
#pragma once

#include "bench/hdr.h"
#include "bench/result.h"
#include "bench/verify.h"
#include "problem.h"
#include "progress_line.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools::bench {

// What one arm gave in one round.
struct Measured {
  Figures figures;
  HdrHistogram latencies;
  double others = 0;  // share of the CPUs that others took meanwhile
  std::optional<Findings> findings;
  std::vector<std::string> problems;
};

// Shows what goes on: "round 2 of 7, native …: 3.2 s, 1,234,567 records".
using Live = std::function<void(const std::string& text)>;

struct Arm {
  std::string name;
  std::function<Attempt<Measured>(const Live& live)> measure;
};

struct RoundsPlan {
  std::string scenario;
  std::uint32_t rounds = 7;
  std::string hdr;  // a file for the latencies' log; empty: none
};

struct RoundsEnded {
  Result result;      // without manifest and load
  bool clean = true;  // nothing that was verified was wrong
};

[[nodiscard]] Attempt<RoundsEnded> run_rounds(const RoundsPlan& plan, const std::vector<Arm>& arms);

}  // namespace penstock::tools::bench
