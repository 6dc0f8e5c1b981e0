// The simulation's virtual time as a core sees it.
#pragma once

#include "drivers/sim/time.h"
#include "env/clock.h"

namespace penstock::drivers {

class SimClock final : public env::Clock {
 public:
  // Borrows `time`, which outlives it.
  explicit SimClock(const SimTime& time) : time_(time) {}
  [[nodiscard]] Nanos now() override { return time_.monotonic(); }
  [[nodiscard]] WallMillis wall() override { return time_.wall(); }
  [[nodiscard]] bool wall_synchronised() override { return time_.wall_synchronised(); }

 private:
  const SimTime& time_;
};

}  // namespace penstock::drivers
