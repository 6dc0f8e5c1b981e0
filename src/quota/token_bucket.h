// A rate limit as time arithmetic: no refill, no timer, one word of state.
//
// The bucket remembers when it was (or will be) empty. Tokens = rate × (now − empty), at most one
// second's worth. Something is admitted while tokens > 0 and may drive them negative, so a large
// record passes and is paid back. Over any window T ≥ 1 s: admitted ≤ rate × (T + 1) + one record.
//
// Units      rate in tokens (bytes, records, calls) per second, 0 is unlimited; time in nanoseconds
// Owner      the core that owns the shard
// Allocates  never
#pragma once

#include "penstock/units.h"

#include <algorithm>
#include <cstdint>

namespace penstock::quota {

class TokenBucket {
 public:
  TokenBucket() = default;
  // A new bucket is full.
  TokenBucket(std::uint64_t rate, Nanos now) { set_rate(rate, now); }

  void set_rate(std::uint64_t rate, Nanos now) {
    rate_ = rate;
    nanos_per_token_ =
        rate == 0 ? 0 : (static_cast<std::uint64_t>(kNanosPerSecond) << kShift) / rate;
    empty_ = now - kNanosPerSecond;
  }

  [[nodiscard]] bool admits(Nanos now) const { return rate_ == 0 || now > empty_; }

  // REQUIRES: tokens / rate below 4,000,000 seconds (the product stays within 64 bits).
  void debit(std::uint64_t tokens, Nanos now) {
    if (rate_ == 0) return;
    empty_ = std::max(empty_, now - kNanosPerSecond) +
             static_cast<std::int64_t>((tokens * nanos_per_token_) >> kShift);
  }

  // How long until something is admitted again; 0 when it is now.
  [[nodiscard]] std::int64_t wait(Nanos now) const { return admits(now) ? 0 : empty_ - now + 1; }
  [[nodiscard]] std::uint64_t rate() const { return rate_; }

 private:
  static constexpr int kShift = 12;  // fraction bits: 0.03 % of the rate at 1 GB/s

  std::uint64_t rate_ = 0;
  std::uint64_t nanos_per_token_ = 0;
  Nanos empty_;
};

}  // namespace penstock::quota
