// How a core sleeps when a turn found nothing, and how others wake it.
//
// Owner      `wait` by the owning core alone; `wake` by any core
#pragma once

#include "penstock/units.h"

namespace penstock::env {

class Waiter {
 public:
  virtual ~Waiter() = default;
  // Returns when a completion is there, after `wake`, or at `deadline` (monotonic), whichever is
  // first. A wake that came since the last return makes it return at once.
  virtual void wait(Nanos deadline) = 0;
  virtual void wake() = 0;
};

}  // namespace penstock::env
