// A result as JSON, both ways. What follows from the rounds is written for readers, and not read.
#include "bench/result.h"
#include "client/json_writer.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>

namespace penstock::tools::bench {
namespace {

using client::JsonWriter;
using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::uint64_t kFormat = 1;

void write(JsonWriter& writer, std::string_view name, const Facts& facts) {
  writer.key(name).begin_object();
  for (const auto& [fact, value] : facts) writer.field(fact, value);
  writer.end_object();
}

void write(JsonWriter& writer, std::string_view name, const Summary& summary) {
  writer.key(name).begin_object().field("median", summary.median);
  writer.key("interval_95").begin_array().value(summary.low).value(summary.high).end_array();
  writer.field("rounds", summary.rounds).field("conclusive", conclusive(summary)).end_object();
}

void write_summaries(JsonWriter& writer, const Result& result) {
  writer.key("summary").begin_object();
  for (const std::string& arm : result.arms) {
    writer.key(arm).begin_object();
    for (const std::string& figure : result.figures(arm)) {
      write(writer, figure, result.summary(arm, figure));
    }
    writer.end_object();
  }
  writer.end_object().key("ratios").begin_object();
  for (std::size_t i = 1; i < result.arms.size(); ++i) {
    writer.key(result.arms[i]).begin_object();
    for (const std::string& figure : result.figures(result.arms[i])) {
      const Summary ratio = result.ratio(result.arms[i], figure);
      if (ratio.rounds > 0) write(writer, figure, ratio);
    }
    writer.end_object();
  }
  writer.end_object();
}

void write_rounds(JsonWriter& writer, const Result& result) {
  writer.key("rounds").begin_array();
  for (const Round& round : result.rounds) {
    writer.begin_object().field("others", round.others).field("noisy", round.noisy);
    writer.key("arms").begin_object();
    for (const auto& [arm, figures] : round.arms) {
      writer.key(arm).begin_object();
      for (const auto& [figure, value] : figures) {
        if (std::isfinite(value)) writer.field(figure, value);
      }
      writer.end_object();
    }
    writer.end_object().end_object();
  }
  writer.end_array();
}

// What is wrong with the text that is to be a result, in words.
struct Wrong {
  std::string found;
  std::string needed;
};
template <class T>
using Read = std::expected<T, Wrong>;

std::unexpected<Wrong> lacks(std::string_view name, std::string_view kind) {
  return std::unexpected(Wrong{fmt::format("no \"{}\", or not {}", name, kind),
                               fmt::format("\"{}\": {}", name, kind)});
}

template <class T>
Read<T> member(const object& holder, std::string_view name, std::string_view kind) {
  T value{};
  if (holder[name].get(value) != simdjson::SUCCESS) return lacks(name, kind);
  return value;
}

Read<std::string> text_member(const object& holder, std::string_view name) {
  const auto text = member<std::string_view>(holder, name, "a text");
  if (!text) return std::unexpected(text.error());
  return std::string(*text);
}

Read<Facts> facts_member(const object& holder, std::string_view name) {
  const auto held = member<object>(holder, name, "an object of texts");
  if (!held) return std::unexpected(held.error());
  Facts facts;
  for (const auto [key, value] : *held) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return lacks(name, "an object of texts");
    facts.emplace_back(key, text);
  }
  return facts;
}

Read<std::vector<std::string>> texts_member(const object& holder, std::string_view name) {
  const auto held = member<array>(holder, name, "an array of texts");
  if (!held) return std::unexpected(held.error());
  std::vector<std::string> texts;
  for (const element value : *held) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return lacks(name, "an array of texts");
    texts.emplace_back(text);
  }
  return texts;
}

Read<Figures> figures_of(std::string_view arm, const element& value) {
  object held;
  if (value.get(held) != simdjson::SUCCESS) return lacks(arm, "an object of numbers");
  Figures figures;
  for (const auto [figure, number] : held) {
    double read = 0;
    if (number.get(read) != simdjson::SUCCESS) return lacks(figure, "a number");
    figures.emplace(figure, read);
  }
  return figures;
}

Read<Round> round_of(const element& value, const Result& result) {
  object held;
  if (value.get(held) != simdjson::SUCCESS) return lacks("rounds", "an array of objects");
  Round round;
  const auto others = member<double>(held, "others", "a number");
  if (!others) return std::unexpected(others.error());
  round.others = *others;
  const auto noisy = member<bool>(held, "noisy", "true or false");
  if (!noisy) return std::unexpected(noisy.error());
  round.noisy = *noisy;
  const auto arms = member<object>(held, "arms", "an object");
  if (!arms) return std::unexpected(arms.error());
  for (const auto [arm, figures] : *arms) {
    if (std::ranges::find(result.arms, arm) == result.arms.end()) {
      return std::unexpected(
          Wrong{fmt::format("a round of the arm \"{}\"", arm), "an arm that \"arms\" names"});
    }
    auto read = figures_of(arm, figures);
    if (!read) return std::unexpected(read.error());
    round.arms.emplace(arm, std::move(*read));
  }
  return round;
}

// Moves what was read to where it belongs; what is wrong otherwise.
template <class T>
bool take(Read<T> read, T& into, Wrong& wrong) {
  if (!read) {
    wrong = std::move(read.error());
    return false;
  }
  into = std::move(*read);
  return true;
}

Read<Result> result_of(const object& text) {
  Result result;
  Wrong wrong;
  const auto format = member<std::uint64_t>(text, "penstock_bench", "a number");
  if (!format) return std::unexpected(format.error());
  if (*format != kFormat) {
    return std::unexpected(Wrong{fmt::format("\"penstock_bench\": {}", *format),
                                 fmt::format("\"penstock_bench\": {}", kFormat)});
  }
  std::uint64_t dropped = 0;
  array rounds;
  if (!take(text_member(text, "scenario"), result.scenario, wrong) ||
      !take(text_member(text, "durability"), result.manifest.durability, wrong) ||
      !take(facts_member(text, "manifest"), result.manifest.facts, wrong) ||
      !take(facts_member(text, "load"), result.load, wrong) ||
      !take(texts_member(text, "arms"), result.arms, wrong) ||
      !take(member<array>(text, "rounds", "an array of objects"), rounds, wrong) ||
      !take(member<std::uint64_t>(text, "dropped", "a number"), dropped, wrong) ||
      !take(text_member(text, "verification"), result.verification, wrong) ||
      !take(texts_member(text, "problems"), result.problems, wrong)) {
    return std::unexpected(std::move(wrong));
  }
  result.dropped = static_cast<std::uint32_t>(std::min<std::uint64_t>(dropped, ~std::uint32_t{0}));
  for (const element value : rounds) {
    auto round = round_of(value, result);
    if (!round) return std::unexpected(std::move(round.error()));
    result.rounds.push_back(std::move(*round));
  }
  return result;
}

Problem unreadable(Wrong wrong) {
  Problem problem{Exit::kUsage, kNumberResult, "this is no result of penstock bench", {}};
  problem.found(std::move(wrong.found)).needed(std::move(wrong.needed));
  return std::move(problem.mend("penstock bench … -o json >FILE writes one"));
}

}  // namespace

std::string Result::as_json() const {
  JsonWriter writer;
  writer.begin_object().field("penstock_bench", kFormat).field("scenario", scenario);
  writer.field("durability", manifest.durability);
  write(writer, "manifest", manifest.facts);
  write(writer, "load", load);
  writer.key("arms").begin_array();
  for (const std::string& arm : arms) writer.value(arm);
  writer.end_array();
  write_summaries(writer, *this);
  write_rounds(writer, *this);
  writer.field("dropped", dropped).field("verification", verification);
  writer.key("problems").begin_array();
  for (const std::string& problem : problems) writer.value(problem);
  return writer.end_array().end_object().text() + "\n";
}

Attempt<Result> Result::parse(std::string_view json) {
  simdjson::dom::parser parser;
  element whole;
  if (const auto error = parser.parse(json.data(), json.size()).get(whole)) {
    return std::unexpected(unreadable({simdjson::error_message(error), "JSON"}));
  }
  object text;
  if (whole.get(text) != simdjson::SUCCESS) {
    return std::unexpected(unreadable({"JSON that is no object", "a result's object"}));
  }
  auto result = result_of(text);
  if (!result) return std::unexpected(unreadable(std::move(result.error())));
  return std::move(*result);
}

}  // namespace penstock::tools::bench
