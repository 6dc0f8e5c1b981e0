#include "bench/rounds.h"

#include "bench/others.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <utility>

namespace penstock::tools::bench {
namespace {

constexpr std::chrono::milliseconds kShowInterval{100};

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class Rounds {
 public:
  Rounds(const RoundsPlan& plan, const std::vector<Arm>& arms) : plan_(plan), arms_(arms) {
    ended_.result.scenario = plan.scenario;
    for (const Arm& arm : arms) ended_.result.arms.push_back(arm.name);
  }

  Attempt<RoundsEnded> run() {
    if (!plan_.hdr.empty()) {
      auto log = HdrLog::create(plan_.hdr, begin_);
      if (!log) return std::unexpected(std::move(log.error()));
      log_.emplace(std::move(*log));
    }
    for (std::uint32_t i = 0; i < plan_.rounds; ++i) {
      if (auto done = round(i); !done) return std::unexpected(std::move(done.error()));
    }
    line_.clear();
    ended_.result.drop_noisy();
    ended_.result.verification = verification();
    return std::move(ended_);
  }

 private:
  Ended round(std::uint32_t number);
  Ended keep(Round& round, const Arm& arm, double begin, Measured measured);
  // A terminal needs no more than this; from any thread.
  void show(const std::string& text) {
    const auto now = std::chrono::steady_clock::now();
    const std::unique_lock lock(showing_, std::try_to_lock);
    if (!lock || now < next_shown_) return;
    next_shown_ = now + kShowInterval;
    line_.show(text);
  }
  void doubt(std::string problem) {
    auto& problems = ended_.result.problems;
    if (std::ranges::find(problems, problem) == problems.end()) {
      problems.push_back(std::move(problem));
    }
  }
  [[nodiscard]] std::string verification() const;

  const RoundsPlan& plan_;
  const std::vector<Arm>& arms_;
  const double begin_ = wall_seconds();
  RoundsEnded ended_;
  std::map<std::string, Findings> findings_;
  std::optional<HdrLog> log_;
  ProgressLine line_;
  std::mutex showing_;
  std::chrono::steady_clock::time_point next_shown_;
};

Ended Rounds::round(std::uint32_t number) {
  Round round;
  for (std::size_t i = 0; i < arms_.size(); ++i) {
    const Arm& arm = arms_[number % 2 == 0 ? i : arms_.size() - 1 - i];
    const std::string where = fmt::format("round {} of {}, {}", number + 1, plan_.rounds, arm.name);
    const double begin = wall_seconds() - begin_;
    auto measured = arm.measure([&](const std::string& text) { show(where + ": " + text); });
    line_.clear();
    if (!measured) return std::unexpected(std::move(measured.error()));
    if (auto kept = keep(round, arm, begin, std::move(*measured)); !kept) return kept;
  }
  round.noisy = round.others > kOthersMax;
  ended_.result.rounds.push_back(std::move(round));
  return Exit::kDone;
}

Ended Rounds::keep(Round& round, const Arm& arm, double begin, Measured measured) {
  round.arms[arm.name] = std::move(measured.figures);
  round.others = std::max(round.others, measured.others);
  for (std::string& problem : measured.problems) {
    doubt(arms_.size() > 1 ? arm.name + ": " + problem : std::move(problem));
  }
  if (measured.findings) {
    ended_.clean = ended_.clean && measured.findings->clean();
    findings_[arm.name].add(*measured.findings);
  }
  if (log_ && measured.latencies.count() > 0) {
    const double length = wall_seconds() - begin_ - begin;
    if (auto logged = log_->append(arm.name, begin, length, measured.latencies); !logged) {
      return std::unexpected(std::move(logged.error()));
    }
  }
  return Exit::kDone;
}

std::string Rounds::verification() const {
  std::string text;
  for (const Arm& arm : arms_) {
    const auto found = findings_.find(arm.name);
    if (found == findings_.end()) continue;
    if (!text.empty()) text += "; ";
    if (findings_.size() > 1) text += arm.name + ": ";
    text += found->second.text();
  }
  return text;
}

}  // namespace

Attempt<RoundsEnded> run_rounds(const RoundsPlan& plan, const std::vector<Arm>& arms) {
  return Rounds(plan, arms).run();
}

}  // namespace penstock::tools::bench
