#include "bench/result.h"

#include "table.h"
#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace penstock::tools::bench {
namespace {

std::string rounds_line(const Result& result) {
  const std::size_t count = result.rounds.size();
  std::string text = fmt::format("{} round{}", count, count == 1 ? "" : "s");
  if (result.dropped > 0) text += fmt::format(", {} noisy dropped", result.dropped);
  if (!result.quiet()) text += ", kept though noisy: others took more than 10 % of the CPUs";
  return text;
}

std::string line(std::string_view label, std::string_view text) {
  return text.empty() ? "" : fmt::format("{:<12}{}\n", label, printable(text));
}

}  // namespace

void Result::drop_noisy() {
  const auto noisy = [](const Round& round) { return round.noisy; };
  if (std::ranges::all_of(rounds, noisy)) return;
  dropped += static_cast<std::uint32_t>(std::erase_if(rounds, noisy));
}

std::vector<std::string> Result::figures(const std::string& arm) const {
  std::set<std::string> names;
  for (const Round& round : rounds) {
    const auto held = round.arms.find(arm);
    if (held == round.arms.end()) continue;
    for (const auto& [name, value] : held->second) names.insert(name);
  }
  return {names.begin(), names.end()};
}

std::vector<double> Result::values(const std::string& arm, const std::string& figure) const {
  std::vector<double> found;
  for (const Round& round : rounds) {
    const auto held = round.arms.find(arm);
    if (held == round.arms.end()) continue;
    const auto value = held->second.find(figure);
    if (value == held->second.end() || !std::isfinite(value->second)) continue;
    found.push_back(value->second);
  }
  return found;
}

Summary Result::summary(const std::string& arm, const std::string& figure) const {
  Summary summary = summarize(values(arm, figure));
  summary.quiet = quiet();
  return summary;
}

Summary Result::ratio(const std::string& arm, const std::string& figure) const {
  std::vector<double> ratios;
  for (const Round& round : rounds) {
    const auto ours = round.arms.find(arm);
    const auto first = round.arms.find(arms.empty() ? "" : arms.front());
    if (ours == round.arms.end() || first == round.arms.end()) continue;
    const auto above = ours->second.find(figure);
    const auto below = first->second.find(figure);
    if (above == ours->second.end() || below == first->second.end() || below->second == 0) continue;
    const double ratio = above->second / below->second;
    if (std::isfinite(ratio)) ratios.push_back(ratio);
  }
  Summary summary = summarize(ratios);
  summary.quiet = quiet();
  return summary;
}

bool Result::quiet() const {
  return std::ranges::none_of(rounds, [](const Round& round) { return round.noisy; });
}

std::string Result::as_text() const {
  std::string text;
  text += line("bench", scenario + ", " + rounds_line(*this));
  text += line("durability", manifest.durability);
  text += line("load", tools::bench::as_text(load));
  text += line("machine", tools::bench::as_text(manifest.facts));
  text += line("verified", verification);
  for (const std::string& problem : problems) text += line("problem", problem);
  std::vector<std::string> headings{"ARM", "FIGURE", "MEDIAN", "INTERVAL 95 %", ""};
  if (arms.size() > 1) headings.push_back("TO " + printable(arms.front()));
  Table table(headings);
  for (const std::string& arm : arms) {
    for (const std::string& figure : figures(arm)) {
      const Summary found = summary(arm, figure);
      std::vector<std::string> row{
          printable(arm), printable(figure), format_figure(found.median),
          fmt::format("{} … {}", format_figure(found.low), format_figure(found.high)),
          conclusive(found) ? "" : "inconclusive"};
      if (arms.size() > 1) {
        row.push_back(arm == arms.front() ? "" : format_ratio(ratio(arm, figure)));
      }
      table.add(std::move(row));
    }
  }
  return text + "\n" + table.text();
}

std::string format_figure(double value) {
  if (std::abs(value) >= 10'000 && std::abs(value) < 1e18) {
    const std::string digits = format_count(static_cast<std::uint64_t>(std::abs(value) + 0.5));
    return value < 0 ? "-" + digits : digits;
  }
  return fmt::format("{:.4g}", value);
}

std::string format_ratio(const Summary& ratio) {
  if (ratio.rounds == 0) return "-";
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]{}", ratio.median, ratio.low, ratio.high,
                     conclusive(ratio) ? "" : ", inconclusive");
}

}  // namespace penstock::tools::bench
