#include "retention/clock.h"

#include "base/assert.h"

#include <algorithm>
#include <cstdlib>

namespace penstock::retention {

void Clock::observe(Nanos now_ns, WallMillis wall, bool synchronised) {
  const bool first = !running_;
  if (first) begin(now_ns, wall, synchronised);
  seen_now_ = now_ns;
  if (synchronised) hear(now_ns, wall, first);
  reading_ = {.now = now(now_ns), .sure = sure()};
}

// A new data directory begins at wall time, whatever that is: nothing is stored yet, and only
// differences count. A boot goes on where the last snapshot saw the clock.
void Clock::begin(Nanos now_ns, WallMillis wall, bool synchronised) {
  running_ = true;
  base_now_ = now_ns;
  const bool fresh = saved_.retention_ms == 0 && saved_.wall_ms == 0;
  if (fresh) {
    base_ = RetentionMillis(wall.raw());
    if (synchronised) {
      related_ = true;
      heard_ = true;
    }
    return;
  }
  base_ = RetentionMillis(saved_.retention_ms);
  if (saved_.wall_ms != 0) {
    related_ = true;
    stamped_in_doubt_ = saved_.wall_ms < 0;
    offset_ = saved_.retention_ms - std::abs(saved_.wall_ms);
  }
}

RetentionMillis Clock::now(Nanos now_ns) const {
  PENSTOCK_ASSERT(running_);
  return base_ + std::max<std::int64_t>(now_ns - base_now_, 0) / kNanosPerMilli;
}

void Clock::advance(std::int64_t millis) {
  PENSTOCK_ASSERT(millis >= 0);
  base_ = base_ + millis;
}

void Clock::hear(Nanos now_ns, WallMillis wall, bool first) {
  if (!related_) {
    // The first synchronised reading ever: it tells where wall time is, not what time has passed.
    related_ = true;
    heard_ = true;
    offset_ = now(now_ns).raw() - wall.raw();
  }
  ahead_ = wall.raw() + offset_ - now(now_ns).raw();
  const std::int64_t ahead_max = heard_ ? kJumpWithinBootMax - adopted_ : kJumpOverRestartMax;
  const std::int64_t behind_max = heard_ ? lag_ + kJumpWithinBootMax : kJumpOverRestartMax;
  if (ahead_ > ahead_max) {
    doubt_ = Doubt::kAhead;
    return;
  }
  if (-ahead_ > behind_max) {
    doubt_ = Doubt::kBehind;
    return;
  }
  doubt_ = Doubt::kNone;
  if (ahead_ > 0 && !heard_ && (!first || stamped_in_doubt_)) {
    // Records were stamped without it. Were the time off adopted, they would age by it: it is not counted.
    offset_ -= ahead_;
    ahead_ = 0;
  } else if (ahead_ > 0) {
    advance(ahead_);
    if (heard_) adopted_ += ahead_;
    ahead_ = 0;
  } else if (!heard_) {
    lag_ = -ahead_;
  }
  heard_ = true;
}

void Clock::accept() {
  if (!running_ || doubt_ == Doubt::kNone) return;
  if (ahead_ > 0) {
    advance(ahead_);
  } else {
    offset_ -= ahead_;
  }
  ahead_ = 0;
  adopted_ = 0;
  lag_ = 0;
  heard_ = true;
  doubt_ = Doubt::kNone;
  reading_ = {.now = now(seen_now_), .sure = true};
}

std::string_view Clock::reason() const {
  switch (doubt_) {
    case Doubt::kNone:
      return {};
    case Doubt::kAhead:
      return "the wall clock is further ahead than the time that can have passed; correct it";
    case Doubt::kBehind:
      return "the wall clock has gone back; correct it";
  }
  return {};
}

storage::RetentionClockState Clock::state(Nanos now_ns) const {
  if (!running_) return saved_;
  storage::RetentionClockState state;
  state.retention_ms = now(now_ns).raw();
  // What the wall clock shows when this clock is right. Where this boot never learnt it, or doubts it, its
  // records must not age by what the next one learns.
  const std::int64_t wall = state.retention_ms - offset_;
  const bool doubted = doubt_ != Doubt::kNone;
  state.wall_ms = doubted && related_ ? -wall : heard_ ? wall : 0;
  return state;
}

}  // namespace penstock::retention
