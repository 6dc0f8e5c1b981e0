// A stream with records in it, for scenarios that read: made, filled as fast as it goes, and read back once.
#pragma once

#include "bench/puts.h"

#include <cstdint>
#include <memory>
#include <string>

namespace penstock::tools::bench {

struct Filled {
  ScratchStream stream;
  std::uint64_t records = 0;
  Findings findings;
};

// What --fill says.
[[nodiscard]] Attempt<std::uint64_t> fill_bytes(const std::string& text);
// `plan`: of the filling, in a closed loop, until `bytes` of data are stored.
[[nodiscard]] Attempt<Filled> fill_stream(Target& target, const PutPlan& plan, std::uint64_t bytes,
                                          const Live& live);

}  // namespace penstock::tools::bench
