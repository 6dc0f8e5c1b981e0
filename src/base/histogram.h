// Counts of values in log-linear buckets, as HdrHistogram has them: fixed size, no allocation, and every
// percentile within 1 in 64 of the value that was recorded.
//
// Units      whatever the caller's are, 0 … 2^40 − 1 (18 minutes in nanoseconds); larger values are
//            counted as the largest. `max` and `min` are exact
// Shape      33 octaves of 64 buckets after 128 exact ones
// Owner      one thread; merge to sum several
// Allocates  never
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace penstock::base {

class Histogram {
 public:
  static constexpr std::uint64_t kValueMax = (1ULL << 40) - 1;

  void record(std::uint64_t value, std::uint64_t count = 1);
  void merge(const Histogram& other);
  void clear() { *this = Histogram(); }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return count_ == 0 ? 0 : max_; }
  [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] double mean() const;
  // The largest value of the bucket in which the quantile lies, no more than `max`. 0 when empty.
  // REQUIRES: 0 ≤ quantile ≤ 1.
  [[nodiscard]] std::uint64_t quantile(double quantile) const;

 private:
  static constexpr unsigned kExactBits = 7;
  static constexpr std::size_t kExact = 1U << kExactBits;
  static constexpr std::size_t kPerOctave = kExact / 2;
  static constexpr std::size_t kBuckets = kExact + (40 - kExactBits) * kPerOctave;
  [[nodiscard]] static std::size_t bucket(std::uint64_t value);
  [[nodiscard]] static std::uint64_t last_value(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
  std::uint64_t min_ = ~0ULL;
  double sum_ = 0;
};

}  // namespace penstock::base
