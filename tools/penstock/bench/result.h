// What a benchmark found: who was measured with what load on which machine, and the figures of every round.
// Medians, intervals and ratios are told with it, but follow from the rounds.
//
// Shape      the first arm is the one that ratios are to. Rounds are interleaved, so ratios within a result
//            are of the same round. Figures end in their unit: records_per_s, p99_us
// Errors     text that is no result: a problem that says what is wrong with it, never more
#pragma once

#include "bench/manifest.h"
#include "bench/stats.h"
#include "problem.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools::bench {

using Figures = std::map<std::string, double>;

struct Round {
  std::map<std::string, Figures> arms;
  double others = 0;  // share of the CPUs that others took
  bool noisy = false;
};

struct Result {
  std::string scenario;
  Manifest manifest;
  Facts
      load;  // record bytes, batch, in flight, shards, …: what must be the same where results are compared
  std::vector<std::string> arms;
  std::vector<Round> rounds;
  std::uint32_t dropped = 0;  // noisy rounds that are not among `rounds`
  std::string verification;   // what was read back and found; empty: nothing was
  std::vector<std::string>
      problems;  // what makes the figures doubtful: a generator that fell behind

  // Drops the noisy rounds and counts them; where all are noisy they stay, and nothing is conclusive.
  void drop_noisy();

  [[nodiscard]] std::vector<std::string> figures(const std::string& arm) const;
  // Of the rounds that have the figure.
  [[nodiscard]] std::vector<double> values(const std::string& arm, const std::string& figure) const;
  [[nodiscard]] Summary summary(const std::string& arm, const std::string& figure) const;
  // To the first arm, round by round.
  [[nodiscard]] Summary ratio(const std::string& arm, const std::string& figure) const;
  [[nodiscard]] bool quiet() const;  // none of the rounds is noisy

  [[nodiscard]] std::string as_json() const;
  [[nodiscard]] std::string as_text() const;
  [[nodiscard]] static Attempt<Result> parse(std::string_view json);
};

// "12,345" or "0.01234".
[[nodiscard]] std::string format_figure(double value);
// "0.52 [0.50, 0.55]", with ", inconclusive" behind where it is; "-" without a value.
[[nodiscard]] std::string format_ratio(const Summary& ratio);

}  // namespace penstock::tools::bench
