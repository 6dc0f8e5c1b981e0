// How much a turn found to do: zero lets the core rest.
#pragma once

#include "penstock/units.h"

#include <cstdint>

namespace penstock::runtime {

using WorkCount = std::uint32_t;

// A duty cycle. `poll` does one turn and returns how much it did; whoever owns the thread loops,
// the simulator calls it in seeded order.
class Agent {
 public:
  virtual ~Agent() = default;
  [[nodiscard]] virtual WorkCount poll(Nanos now, WallMillis wall) = 0;
  // The next time at which a turn is needed though nothing arrives.
  [[nodiscard]] virtual Nanos next_deadline() const = 0;
};

inline constexpr Nanos kNever{INT64_MAX};

}  // namespace penstock::runtime
