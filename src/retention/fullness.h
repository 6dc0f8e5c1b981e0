// How full the journals are, and how long they last at the present rate.
//
// Units      bytes, bytes per second, hours
// Owner      the service core
// Allocates  at start-up
#pragma once

#include "penstock/ids.h"
#include "penstock/units.h"

#include <cstdint>

namespace penstock::retention {

// What stands for "longer than anybody asks": nothing is being written.
inline constexpr double kHoursMax = 100'000;

// What keeps a journal from getting another slot.
enum class Growth : std::uint8_t { kPossible, kSizeMax, kDiskFull, kFailing };

struct CellFullness {
  CellId cell;
  bool fenced = false;
  bool full = false;     // refuses puts
  bool expired = false;  // segments are about to be recycled
  Growth growth = Growth::kPossible;
  std::uint64_t slots_total = 0;
  std::uint64_t slots_free = 0;        // the reserved one included
  std::uint64_t used_bytes = 0;        // in slots that are not free
  std::uint64_t bytes_per_second = 0;  // written of late, smoothed
  double hours_left = kHoursMax;       // until no slot is free, growth included
};

// A rate from readings of a counter: the mean of the last seconds, recent ones weighing more.
class Rate {
 public:
  explicit Rate(double seconds) : smoothing_seconds_(seconds) {}
  void observe(Nanos now, std::uint64_t counter);
  [[nodiscard]] double per_second() const { return per_second_; }

 private:
  double smoothing_seconds_;
  bool begun_ = false;
  bool known_ = false;
  Nanos last_;
  std::uint64_t counter_ = 0;
  double per_second_ = 0;
};

[[nodiscard]] double hours(std::uint64_t bytes, double per_second);

}  // namespace penstock::retention
