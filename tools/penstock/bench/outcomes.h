// Results that come on several connections, one at a time to the Track; and why the first was no acknowledgement.
#pragma once

#include "bench/track.h"
#include "problem.h"

#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace penstock::tools::bench {

class Outcomes {
 public:
  explicit Outcomes(Track& track) : track_(track) {}

  void result(std::uint64_t number, Outcome outcome) {
    const std::lock_guard lock(mutex_);
    track_.result(number, outcome);
  }
  void failed(Problem problem) {
    const std::lock_guard lock(mutex_);
    if (!problem_) problem_ = std::move(problem);
  }
  [[nodiscard]] std::optional<Problem> problem() const {
    const std::lock_guard lock(mutex_);
    return problem_;
  }
  // The producer's: until all has its result.
  void wait() { track_.wait_unresolved(0); }

 private:
  Track& track_;
  mutable std::mutex mutex_;
  std::optional<Problem> problem_;
};

}  // namespace penstock::tools::bench
