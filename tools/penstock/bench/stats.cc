#include "bench/stats.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace penstock::tools::bench {
namespace {

constexpr std::size_t kResamples = 2'000;
// 2.5 % of the resamples lie below the one, and above the other.
constexpr std::size_t kLow = 50;
constexpr std::size_t kHigh = 1'949;

// REQUIRES: not empty. Reorders.
double median_of(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// std::uniform_int_distribution is another one in every standard library; this is the same in all.
std::size_t below(std::size_t bound, std::mt19937_64& source) {
  return static_cast<std::size_t>((source() >> 32) * bound >> 32);
}

void resample(std::span<const double> values, std::vector<double>& out, std::mt19937_64& source) {
  out.resize(values.size());
  for (double& value : out) value = values[below(values.size(), source)];
}

// Never NaN, so that ratios can be sorted.
double over(double a, double b) {
  if (b != 0) return a / b;
  return a == 0 ? 1 : std::numeric_limits<double>::infinity();
}

Summary of(double median, std::vector<double>& resampled, std::size_t rounds) {
  std::sort(resampled.begin(), resampled.end());
  return {median, resampled[kLow], resampled[kHigh], static_cast<std::uint32_t>(rounds)};
}

}  // namespace

Summary summarize(std::span<const double> values) {
  if (values.empty()) return {};
  std::mt19937_64 source(1);
  std::vector<double> drawn(values.begin(), values.end());
  const double median = median_of(drawn);
  std::vector<double> medians(kResamples);
  for (double& one : medians) {
    resample(values, drawn, source);
    one = median_of(drawn);
  }
  return of(median, medians, values.size());
}

Summary ratio_of(std::span<const double> a, std::span<const double> b) {
  if (a.empty() || b.empty()) return {};
  std::mt19937_64 source(1);
  std::vector<double> above(a.begin(), a.end());
  std::vector<double> beneath(b.begin(), b.end());
  const double beneath_median = median_of(beneath);
  if (beneath_median == 0) return {};
  const double ratio = median_of(above) / beneath_median;
  std::vector<double> ratios(kResamples);
  for (double& one : ratios) {
    resample(a, above, source);
    resample(b, beneath, source);
    one = over(median_of(above), median_of(beneath));
  }
  return of(ratio, ratios, std::min(a.size(), b.size()));
}

bool conclusive(const Summary& summary) {
  return summary.quiet && summary.rounds >= kRoundsMin &&
         (summary.high - summary.low) / 2 <= kIntervalMax * std::abs(summary.median);
}

Verdict verdict(const Summary& summary, double target, bool at_least) {
  if (!conclusive(summary)) return Verdict::kInconclusive;
  const bool met = at_least ? summary.median >= target : summary.median <= target;
  return met ? Verdict::kMet : Verdict::kMissed;
}

std::string_view word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kMet:
      return "met";
    case Verdict::kMissed:
      return "missed";
    case Verdict::kInconclusive:
      return "inconclusive";
  }
  return "";
}

}  // namespace penstock::tools::bench
