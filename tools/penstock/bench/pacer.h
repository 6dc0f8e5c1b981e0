// When the records of an open loop are due: at equal distances, whatever became of those before.
//
// Units      records a second; nanoseconds
// Shape      record n is due at begin + n / rate
// Owner      a value
#pragma once

#include "penstock/units.h"

#include <cmath>
#include <cstdint>

namespace penstock::tools::bench {

class Pacer {
 public:
  // REQUIRES: per_second > 0.
  Pacer(double per_second, Nanos begin) : interval_(1e9 / per_second), begin_(begin) {}

  [[nodiscard]] Nanos due(std::uint64_t number) const {
    return begin_ +
           static_cast<std::int64_t>(std::llround(static_cast<double>(number) * interval_));
  }
  // How many are due before `time`.
  [[nodiscard]] std::uint64_t due_before(Nanos time) const {
    if (time <= begin_) return 0;
    auto count = static_cast<std::uint64_t>(static_cast<double>(time - begin_) / interval_);
    while (count > 0 && due(count - 1) >= time) --count;
    while (due(count) < time) ++count;
    return count;
  }

 private:
  double interval_;
  Nanos begin_;
};

}  // namespace penstock::tools::bench
