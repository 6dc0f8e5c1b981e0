#include "bench/load_clock.h"

#include <cerrno>
#include <ctime>

namespace penstock::tools::bench {
namespace {

class MachineClock final : public LoadClock {
 public:
  Nanos now() override {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return Nanos(time.tv_sec * kNanosPerSecond + time.tv_nsec);
  }
  void sleep_until(Nanos time) override {
    const timespec until{time.raw() / kNanosPerSecond, time.raw() % kNanosPerSecond};
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
    }
  }
};

}  // namespace

LoadClock& machine_clock() {
  static MachineClock clock;
  return clock;
}

}  // namespace penstock::tools::bench
