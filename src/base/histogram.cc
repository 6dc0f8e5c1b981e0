#include "base/histogram.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace penstock::base {

// A value of n significant bits, n above kExactBits, keeps its top kExactBits bits; the first of them is
// always set, which is why an octave has half as many buckets as the exact range.
std::size_t Histogram::bucket(std::uint64_t value) {
  if (value < kExact) return static_cast<std::size_t>(value);
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kExactBits;
  return kExact + (shift - 1) * kPerOctave + static_cast<std::size_t>(value >> shift) - kPerOctave;
}

std::uint64_t Histogram::last_value(std::size_t bucket) {
  if (bucket < kExact) return bucket;
  const std::size_t shift = (bucket - kExact) / kPerOctave + 1;
  const std::uint64_t top = (bucket - kExact) % kPerOctave + kPerOctave;
  return ((top + 1) << shift) - 1;
}

void Histogram::record(std::uint64_t value, std::uint64_t count) {
  if (count == 0) return;
  buckets_[bucket(std::min(value, kValueMax))] += count;
  count_ += count;
  max_ = std::max(max_, value);
  min_ = std::min(min_, value);
  sum_ += static_cast<double>(value) * static_cast<double>(count);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  min_ = std::min(min_, other.min_);
  sum_ += other.sum_;
}

double Histogram::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::uint64_t Histogram::quantile(double quantile) const {
  PENSTOCK_ASSERT(quantile >= 0);
  PENSTOCK_ASSERT(quantile <= 1);
  if (count_ == 0) return 0;
  const auto rank =
      static_cast<std::uint64_t>(std::max(1.0, std::ceil(quantile * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::clamp(last_value(i), min_, max_);
  }
  return max_;
}

}  // namespace penstock::base
