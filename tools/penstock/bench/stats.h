// Medians with intervals, and what they show. A benchmark's figure is the median of its rounds; how far that
// can be believed is its bootstrap interval of 95 %.
//
// Shape      the same input gives the same output: the bootstrap draws from a fixed seed
// Source     the same rules and words as bench/support/measure.py
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace penstock::tools::bench {

inline constexpr std::uint32_t kRoundsMin = 7;
inline constexpr double kIntervalMax = 0.10;  // half the interval's width, as a share of the median

struct Summary {
  double median = 0;
  double low = 0;  // of the interval
  double high = 0;
  std::uint32_t rounds = 0;
  bool quiet = true;  // false: its rounds were noisy, and kept because all of them were
};

// `rounds` is 0 where there is no value. REQUIRES: every value is finite.
[[nodiscard]] Summary summarize(std::span<const double> values);
// Median of `a` over median of `b`, whose rounds have nothing to do with each other. `rounds` is the smaller
// number of the two, 0 where there is no ratio.
[[nodiscard]] Summary ratio_of(std::span<const double> a, std::span<const double> b);

// Whether it shows anything: enough rounds, a quiet machine, a narrow interval.
[[nodiscard]] bool conclusive(const Summary& summary);

enum class Verdict : std::uint8_t { kMet, kMissed, kInconclusive };
[[nodiscard]] Verdict verdict(const Summary& summary, double target, bool at_least = true);
[[nodiscard]] std::string_view word(Verdict verdict);  // "met", "missed", "inconclusive"

}  // namespace penstock::tools::bench
