// What time it is. Read once a turn by the loop and handed down; nothing below asks again.
//
// Units      monotonic in nanoseconds since boot (CLOCK_BOOTTIME: it counts suspended time);
//            wall in milliseconds since 1970 UTC
// Owner      one core; implementations are free of shared state
// Source     clock_gettime(2), adjtimex(2) for `wall_synchronised`
#pragma once

#include "penstock/units.h"

namespace penstock::env {

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Nanos now() = 0;
  [[nodiscard]] virtual WallMillis wall() = 0;
  // Whether the kernel calls the wall clock synchronised (STA_UNSYNC clear).
  [[nodiscard]] virtual bool wall_synchronised() = 0;
};

}  // namespace penstock::env
