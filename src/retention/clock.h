// The retention clock: what expiry goes by. It advances with the monotonic clock, which counts the time
// that the machine sleeps, and never goes back. The wall clock only tells it what it cannot have seen
// itself: the time between two boots, and the time that a virtual machine stood still. Because records
// are stamped and expired by this same clock, a wrong wall clock cannot expire anything early by more
// than the bounds below.
//
// The wall clock is heard only when the kernel calls it synchronised. It may be ahead of this clock by
//   7 days    at the first reading of a boot, if that is synchronised: the box was off. A clock that is
//             synchronised later does not count the time off: records stamped meanwhile would age by it
//   10 min    in all later within that boot
// and is then adopted. Beyond that, or as far behind, the clock is unsure and nothing expires, until
// the wall clock comes back within bounds or someone says that it is right (`accept`). A box that never
// had a synchronised clock has a sure retention clock: the time between boots is not counted, so its
// records live longer, never shorter.
//
// Units      nanoseconds since boot in, milliseconds out
// Owner      the service core. One reading by one thread
// Allocates  never
// Errors     none
// States     sure ⇄ unsure (kAhead, kBehind)
// Source     ARCHITECTURE: clock; clock_gettime(2), adjtimex(2)
#pragma once

#include "penstock/units.h"
#include "shard/service.h"
#include "storage/store.h"

#include <cstdint>
#include <string_view>

namespace penstock::retention {

inline constexpr std::int64_t kJumpWithinBootMax = std::int64_t{10} * 60 * 1000;
inline constexpr std::int64_t kJumpOverRestartMax = std::int64_t{7} * 24 * kMillisPerHour;

class Clock {
 public:
  // `saved` as the snapshot has it; zeros for a new data directory.
  explicit Clock(storage::RetentionClockState saved) : saved_(saved) {}

  // Once a turn or a few times a second. The first one starts the clock.
  void observe(Nanos now, WallMillis wall, bool synchronised);
  // REQUIRES: observed once.
  [[nodiscard]] RetentionMillis now(Nanos now) const;

  [[nodiscard]] bool sure() const { return doubt_ == Doubt::kNone; }
  // Empty when sure: what is wrong and what mends it.
  [[nodiscard]] std::string_view reason() const;
  // How far the wall clock is ahead of this one, as last seen (negative: behind).
  [[nodiscard]] std::int64_t wall_ahead_ms() const { return ahead_; }
  // The wall clock as last seen is right: time runs on from there. It never runs back: what lies ahead
  // of an accepted clock that is behind stays, and expires by elapsed time.
  void accept();

  // What a snapshot keeps.
  [[nodiscard]] storage::RetentionClockState state(Nanos now) const;
  // As of the last `observe`; for those who share the thread.
  [[nodiscard]] const shard::RetentionReading& reading() const { return reading_; }

 private:
  enum class Doubt : std::uint8_t { kNone, kAhead, kBehind };

  void begin(Nanos now, WallMillis wall, bool synchronised);
  // `first`: nothing was stamped in this boot yet.
  void hear(Nanos now, WallMillis wall, bool first);
  void advance(std::int64_t millis);

  storage::RetentionClockState saved_;
  bool running_ = false;
  bool related_ = false;           // it is known how wall time maps to this clock
  bool heard_ = false;             // a synchronised wall clock was within bounds in this boot
  bool stamped_in_doubt_ = false;  // by the boot before: what it stamped does not age by time off
  Nanos base_now_;                 // `base_` is the clock's time then
  RetentionMillis base_;
  std::int64_t offset_ = 0;   // this clock = wall time + offset, where related
  std::int64_t adopted_ = 0;  // by jumps after the first, in this boot
  std::int64_t lag_ = 0;      // how far wall time was behind when first heard
  std::int64_t ahead_ = 0;
  Doubt doubt_ = Doubt::kNone;
  Nanos seen_now_;
  shard::RetentionReading reading_;
};

}  // namespace penstock::retention
