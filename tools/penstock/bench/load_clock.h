// The time by which a load is sent: the machine's, or a test's.
#pragma once

#include "penstock/units.h"

namespace penstock::tools::bench {

class LoadClock {
 public:
  virtual ~LoadClock() = default;
  [[nodiscard]] virtual Nanos now() = 0;
  virtual void sleep_until(Nanos time) = 0;
};

// CLOCK_MONOTONIC. Any thread.
[[nodiscard]] LoadClock& machine_clock();

}  // namespace penstock::tools::bench
