// A scenario whose arms are loads that put: of one or two targets, in one or several variants.
#pragma once

#include "bench/options.h"
#include "bench/puts.h"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::tools::bench {

struct PutVariant {
  std::string name;  // of its arm; empty: the target's
  PutPlan plan;
};

struct PutScenario {
  std::string name;
  bool over_kinesis =
      false;  // where --target does not say: the Kinesis API of the session, not its native endpoint
  std::vector<PutVariant> variants;
  Facts load;
};

[[nodiscard]] Ended run_put_scenario(const GlobalOptions& globals, const Options& options,
                                     const PutScenario& scenario);

}  // namespace penstock::tools::bench
