// The machine's clocks.
//
// Units      now(): CLOCK_BOOTTIME in nanoseconds. wall(): CLOCK_REALTIME in milliseconds
// Source     clock_gettime(2), adjtimex(2)
#pragma once

#include "env/clock.h"

namespace penstock::drivers {

class SystemClock final : public env::Clock {
 public:
  [[nodiscard]] Nanos now() override;
  [[nodiscard]] WallMillis wall() override;
  [[nodiscard]] bool wall_synchronised() override;
};

}  // namespace penstock::drivers
