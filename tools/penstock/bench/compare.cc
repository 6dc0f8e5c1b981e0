#include "bench/compare.h"

#include "bench/scenarios.h"
#include "client/json_writer.h"
#include "table.h"
#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

namespace penstock::tools::bench {
namespace {

struct Options {
  std::string first;
  std::string second;
};

std::string fact_of(const Facts& facts, const std::string& name) {
  const auto fact = std::ranges::find(facts, name, &Facts::value_type::first);
  return fact == facts.end() ? "(not said)" : fact->second;
}

// "record bytes: 100 and 1024" for each that is not the same.
std::vector<std::string> differences(const Facts& first, const Facts& second) {
  std::vector<std::string> found;
  const auto add = [&](const std::string& name) {
    const std::string a = fact_of(first, name);
    const std::string b = fact_of(second, name);
    if (a != b) found.push_back(fmt::format("{}: {} and {}", name, a, b));
  };
  for (const auto& [name, value] : first) add(name);
  for (const auto& [name, value] : second) {
    if (std::ranges::find(first, name, &Facts::value_type::first) == first.end()) add(name);
  }
  return found;
}

std::optional<Problem> refusal(const Result& first, const Result& second) {
  if (first.manifest.durability != second.manifest.durability) {
    return durability_problem("the first result", first.manifest.durability, "the second",
                              second.manifest.durability);
  }
  Problem problem{Exit::kConflict, kNumberIncomparable, "these results cannot be compared", {}};
  if (first.scenario != second.scenario) {
    problem.found(fmt::format("scenario: {} and {}", first.scenario, second.scenario));
    return std::move(problem.needed("one scenario").mend("penstock bench " + first.scenario));
  }
  const auto loads = differences(first.load, second.load);
  if (loads.empty()) return std::nullopt;
  for (const std::string& difference : loads) problem.found(difference);
  return std::move(
      problem.needed("one load: a ratio of two loads tells them, not the servers, apart")
          .mend("repeat one of them with the options of the other"));
}

std::vector<std::pair<std::string, std::string>> paired_arms(const Result& a, const Result& b) {
  if (a.arms.size() == 1 && b.arms.size() == 1) return {{a.arms.front(), b.arms.front()}};
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& arm : a.arms) {
    if (std::ranges::find(b.arms, arm) != b.arms.end()) pairs.emplace_back(arm, arm);
  }
  return pairs;
}

// What people should know, though it forbids nothing.
std::vector<std::string> notes_of(const Result& first, const Result& second) {
  std::vector<std::string> notes;
  for (std::string& difference : differences(first.manifest.facts, second.manifest.facts)) {
    if (!difference.starts_with("date:") && !difference.starts_with("command:")) {
      notes.push_back(std::move(difference));
    }
  }
  if (first.manifest.durability == kDurableUnknown) {
    notes.emplace_back("durability is unknown on both sides: these may be two classes");
  }
  if (!first.quiet() || !second.quiet()) notes.emplace_back("a machine was noisy in every round");
  for (const Result* result : {&first, &second}) {
    for (const std::string& problem : result->problems) notes.push_back(problem);
  }
  return notes;
}

void write(client::JsonWriter& writer, std::string_view name, const Summary& summary) {
  writer.key(name).begin_object().field("median", summary.median);
  writer.key("interval_95").begin_array().value(summary.low).value(summary.high).end_array();
  writer.field("rounds", summary.rounds).field("conclusive", conclusive(summary)).end_object();
}

Attempt<Result> result_in(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || file.bad()) {
    Problem problem{Exit::kNotFound, kNumberLocalFile, "a result cannot be read", {}};
    problem.found(fmt::format("{}: {}", path, std::strerror(errno != 0 ? errno : EIO)));
    return std::unexpected(std::move(problem.needed("what penstock bench … -o json wrote")));
  }
  auto result = Result::parse(text);
  if (!result) result.error().line("file", path);
  return result;
}

Ended run_compare(const GlobalOptions& globals, const Options& options) {
  const auto first = result_in(options.first);
  if (!first) return std::unexpected(first.error());
  const auto second = result_in(options.second);
  if (!second) return std::unexpected(second.error());
  const auto comparison = compare(*first, *second);
  if (!comparison) return std::unexpected(comparison.error());
  fmt::print("{}", globals.json() ? comparison->as_json() : comparison->as_text());
  return Exit::kDone;
}

}  // namespace

Problem durability_problem(std::string_view first, std::string_view first_class,
                           std::string_view second, std::string_view second_class) {
  Problem problem{
      Exit::kConflict, kNumberDurability, "two durability classes are not compared", {}};
  problem.found(fmt::format("{}: {}; {}: {}", first, first_class, second, second_class))
      .needed("one class: what waits for stable media has more to do than what does not");
  return std::move(problem.mend(
      "run both on a disk's file system, with appendfsync always in Redis; where the class is "
      "unknown, say it: --durability"));
}

Attempt<Comparison> compare(const Result& first, const Result& second) {
  if (auto problem = refusal(first, second)) return std::unexpected(std::move(*problem));
  Comparison comparison{first.scenario, first.manifest.durability, {}, notes_of(first, second)};
  for (const auto& [arm, other_arm] : paired_arms(first, second)) {
    for (const std::string& figure : first.figures(arm)) {
      const auto ours = first.values(arm, figure);
      const auto theirs = second.values(other_arm, figure);
      if (ours.empty() || theirs.empty()) continue;
      Summary ratio = ratio_of(theirs, ours);
      ratio.quiet = first.quiet() && second.quiet();
      comparison.figures.push_back({arm, other_arm, figure, first.summary(arm, figure),
                                    second.summary(other_arm, figure), ratio});
    }
  }
  if (!comparison.figures.empty()) return comparison;
  Problem problem{Exit::kConflict, kNumberIncomparable, "these results cannot be compared", {}};
  problem.found(
      fmt::format("arms: {} and {}", fmt::join(first.arms, ", "), fmt::join(second.arms, ", ")));
  return std::unexpected(
      std::move(problem.needed("an arm and a figure that both have, or one arm in each")));
}

std::string Comparison::as_text() const {
  std::string text = fmt::format("{:<12}{}\n{:<12}{}\n", "bench", printable(scenario), "durability",
                                 printable(durability));
  for (const std::string& note : notes) text += fmt::format("{:<12}{}\n", "note", printable(note));
  Table table({"ARM", "FIGURE", "FIRST", "SECOND", "SECOND TO FIRST"});
  for (const ComparedFigure& row : figures) {
    const std::string arms = row.arm == row.other_arm ? row.arm : row.arm + ", " + row.other_arm;
    table.add({printable(arms), printable(row.figure), format_figure(row.first.median),
               format_figure(row.second.median), format_ratio(row.ratio)});
  }
  return text + "\n" + table.text();
}

std::string Comparison::as_json() const {
  client::JsonWriter writer;
  writer.begin_object().field("scenario", scenario).field("durability", durability);
  writer.key("figures").begin_array();
  for (const ComparedFigure& row : figures) {
    writer.begin_object().field("arm", row.arm).field("second_arm", row.other_arm);
    writer.field("figure", row.figure);
    write(writer, "first", row.first);
    write(writer, "second", row.second);
    write(writer, "ratio", row.ratio);
    writer.end_object();
  }
  writer.end_array().key("notes").begin_array();
  for (const std::string& note : notes) writer.value(note);
  return writer.end_array().end_object().text() + "\n";
}

void add_bench_compare(CLI::App& bench, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = bench.add_subcommand("compare", "two results, figure by figure");
  command->add_option("first", options->first, "a result: what ratios are to")->required();
  command->add_option("second", options->second, "another one")->required();
  command->footer(R"(
Refused (exit code 6) where the durability classes, the scenarios or the loads differ.

Example:
  penstock bench compare before.json after.json)");
  command->callback([&context, options] {
    context.action = [&context, options] { return run_compare(context.globals, *options); };
  });
}

}  // namespace penstock::tools::bench
