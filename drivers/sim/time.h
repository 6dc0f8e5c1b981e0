// Virtual time, shared by everything in one simulation. Only the harness moves it.
//
// Units      `now` in nanoseconds of the simulation, never stepping back, over restarts too. The
//            server's monotonic clock starts anew with every boot of the machine
// Owner      one simulation, one thread
#pragma once

#include "penstock/units.h"

#include <cstdint>

namespace penstock::drivers {

class SimTime {
 public:
  [[nodiscard]] Nanos now() const { return now_; }
  // Does nothing when `to` has passed already.
  void advance_to(Nanos to) {
    if (to > now_) now_ = to;
  }

  // What the server's clock reads, and back: a server's deadline as a time of the simulation.
  [[nodiscard]] Nanos monotonic() const { return Nanos(now_ - booted_); }
  [[nodiscard]] Nanos from_monotonic(Nanos monotonic) const {
    const std::int64_t room = INT64_MAX - booted_.raw();
    return monotonic.raw() > room ? Nanos(INT64_MAX) : booted_ + monotonic.raw();
  }
  [[nodiscard]] WallMillis wall() const {
    return WallMillis(wall_at_zero_ + now_.raw() / kNanosPerMilli);
  }
  [[nodiscard]] bool wall_synchronised() const { return synchronised_; }

  // The machine starts again: the monotonic clock reads one second.
  void reboot() { booted_ = now_ - kNanosPerSecond; }
  void step_wall(std::int64_t millis) { wall_at_zero_ += millis; }
  void set_wall_synchronised(bool synchronised) { synchronised_ = synchronised; }

 private:
  Nanos now_{kNanosPerSecond};
  Nanos booted_{0};
  std::int64_t wall_at_zero_ = 1'767'225'600'000;  // 2026-01-01T00:00:00Z
  bool synchronised_ = true;
};

}  // namespace penstock::drivers
