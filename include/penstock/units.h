// Quantities and positions, a type each.
//
// Units      Nanos: nanoseconds of the monotonic clock (since boot). WallMillis: milliseconds since
//            1970-01-01 UTC. RetentionMillis: milliseconds of the retention clock, which never jumps
//            (src/retention/clock.h). RecordIndex: position of a record in its shard, dense from 0.
//            Lsn: position of a block in its journal, dense from 1.
// Shape      a position has difference and step, a quantity adds; no implicit conversion
#pragma once

#include <compare>
#include <cstdint>

namespace penstock {

// A point on a line: points subtract to a distance, a distance steps a point.
template <class Tag>
class Position {
 public:
  constexpr Position() = default;
  constexpr explicit Position(std::uint64_t raw) : raw_(raw) {}
  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
  friend constexpr auto operator<=>(Position, Position) = default;
  friend constexpr Position operator+(Position p, std::uint64_t n) { return Position(p.raw_ + n); }
  friend constexpr Position operator-(Position p, std::uint64_t n) { return Position(p.raw_ - n); }
  friend constexpr std::uint64_t operator-(Position a, Position b) { return a.raw_ - b.raw_; }
  constexpr Position& operator++() {
    ++raw_;
    return *this;
  }

 private:
  std::uint64_t raw_ = 0;
};

using RecordIndex = Position<struct RecordIndexTag>;
using Lsn = Position<struct LsnTag>;
using SegmentNumber = Position<struct SegmentNumberTag>;

// A signed time on one named clock. Durations are plain counts of the same unit.
template <class Tag>
class TimePoint {
 public:
  constexpr TimePoint() = default;
  constexpr explicit TimePoint(std::int64_t raw) : raw_(raw) {}
  [[nodiscard]] constexpr std::int64_t raw() const { return raw_; }
  friend constexpr auto operator<=>(TimePoint, TimePoint) = default;
  friend constexpr TimePoint operator+(TimePoint t, std::int64_t d) {
    return TimePoint(t.raw_ + d);
  }
  friend constexpr TimePoint operator-(TimePoint t, std::int64_t d) {
    return TimePoint(t.raw_ - d);
  }
  friend constexpr std::int64_t operator-(TimePoint a, TimePoint b) { return a.raw_ - b.raw_; }

 private:
  std::int64_t raw_ = 0;
};

using Nanos = TimePoint<struct NanosTag>;
using WallMillis = TimePoint<struct WallMillisTag>;
using RetentionMillis = TimePoint<struct RetentionMillisTag>;

inline constexpr std::int64_t kNanosPerMilli = 1'000'000;
inline constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
inline constexpr std::int64_t kMillisPerHour = 3'600'000;

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

template <class Int>
constexpr Int div_ceil(Int n, Int d) {
  return (n + d - 1) / d;
}
template <class Int>
constexpr Int round_up(Int n, Int step) {
  return div_ceil(n, step) * step;
}
template <class Int>
constexpr Int round_down(Int n, Int step) {
  return n / step * step;
}

}  // namespace penstock
