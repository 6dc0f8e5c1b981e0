#include "drivers/clock/system/system_clock.h"

#include "base/assert.h"

#include <ctime>
#include <sys/timex.h>

namespace penstock::drivers {
namespace {

timespec read(clockid_t clock) {
  timespec time{};
  PENSTOCK_ASSERT(clock_gettime(clock, &time) == 0);
  return time;
}

}  // namespace

Nanos SystemClock::now() {
  const timespec time = read(CLOCK_BOOTTIME);
  return Nanos(time.tv_sec * kNanosPerSecond + time.tv_nsec);
}

WallMillis SystemClock::wall() {
  const timespec time = read(CLOCK_REALTIME);
  return WallMillis(time.tv_sec * 1000 + time.tv_nsec / kNanosPerMilli);
}

bool SystemClock::wall_synchronised() {
  timex state{};
  // A sandbox may refuse the call: then nobody vouches for the clock.
  const int leap = adjtimex(&state);
  return leap >= 0 && leap != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

}  // namespace penstock::drivers
