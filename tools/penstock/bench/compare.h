// Two results side by side: figure by figure, as ratios with their intervals. What must not be compared is
// refused: durability costs most of the time that a write takes, so a ratio over two classes says nothing.
//
// Errors     kNumberDurability, kNumberIncomparable, both with Exit::kConflict
#pragma once

#include "bench/result.h"
#include "bench/stats.h"
#include "problem.h"

#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools::bench {

struct ComparedFigure {
  std::string arm;  // of the first result
  std::string other_arm;
  std::string figure;
  Summary first;
  Summary second;
  Summary ratio;  // second to first
};

struct Comparison {
  std::string scenario;
  std::string durability;
  std::vector<ComparedFigure> figures;
  std::vector<std::string>
      notes;  // differences that do not forbid it: another machine, another build

  [[nodiscard]] std::string as_text() const;
  [[nodiscard]] std::string as_json() const;
};

// Arms of one name are compared; where each result has but one arm, these.
[[nodiscard]] Attempt<Comparison> compare(const Result& first, const Result& second);

// The refusal of two durability classes, for whatever has them: results, or arms of one run.
[[nodiscard]] Problem durability_problem(std::string_view first, std::string_view first_class,
                                         std::string_view second, std::string_view second_class);

}  // namespace penstock::tools::bench
