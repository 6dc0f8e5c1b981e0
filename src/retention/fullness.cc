#include "retention/fullness.h"

#include <algorithm>
#include <cmath>

namespace penstock::retention {
namespace {

constexpr double kSecondsPerHour = 3600;

}  // namespace

void Rate::observe(Nanos now, std::uint64_t counter) {
  if (!begun_) {
    begun_ = true;
    last_ = now;
    counter_ = counter;
    return;
  }
  const double seconds = static_cast<double>(now - last_) / static_cast<double>(kNanosPerSecond);
  if (seconds <= 0) return;
  const std::uint64_t written = counter > counter_ ? counter - counter_ : 0;
  const double present = static_cast<double>(written) / seconds;
  // The first interval is all that is known; later ones weigh by their length.
  const double weight = known_ ? 1 - std::exp(-seconds / smoothing_seconds_) : 1;
  per_second_ += weight * (present - per_second_);
  known_ = true;
  last_ = now;
  counter_ = counter;
}

double hours(std::uint64_t bytes, double per_second) {
  if (per_second < 1) return kHoursMax;
  return std::min(kHoursMax, static_cast<double>(bytes) / per_second / kSecondsPerHour);
}

}  // namespace penstock::retention
