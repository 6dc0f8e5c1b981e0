// Runs the whole server in simulation, seed after seed.
//
//   sim_seeds [--from S] [--seeds N]     N seeds from S on (PENSTOCK_SIM_SEEDS, default 20)
//   sim_seeds --seed S                   one seed, twice: the same history both times
//   sim_seeds --tell S [--bug NAME]      one seed, with what happens life by life
//   sim_seeds --bug NAME [--seeds N]     a planted bug that must be found within N seeds (default 500)
//   sim_seeds --bugs                     every planted bug of the whole-server simulation
//   sim_seeds --native …                 in which clients of the native protocol always are; --kinesis: never
//   sim_seeds --churn …                  in a world of few slots, used over and over (see below)
//
// A failure prints its seed; the same seed replays it.
#include "storage/sabotage.h"
#include "tests/sim/world.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/wait.h>

namespace {

using penstock::sim::run_world;
using penstock::sim::WorldOptions;
using penstock::sim::WorldResult;

// The world that a bug shows in.
enum class Setting : std::uint8_t {
  kUsual,
  kKinesis,  // never with clients of the native protocol: what the speed is measured in
  kAges,     // segments expire: machines that are off for long
  kNative,   // always with clients of the native protocol
  kChurns,   // all of them do, between any two lives, and their few slots are soon in use again
};

// `passed_over`: `--bugs` does not ask for it. Behind the chain stand epoch, LSN, segment number and recovered
// LSN, and nothing that this simulation does gets past all of these: unit_storage switches it on.
struct Bug {
  std::string_view name;
  penstock::storage::Sabotage which;
  bool passed_over = false;
  Setting setting = Setting::kUsual;
};
constexpr Bug kBugs[] = {
    {"ack-before-completion", penstock::storage::Sabotage::kAckBeforeCompletion},
    {"drop-dsync", penstock::storage::Sabotage::kDropDsync},
    {"skip-epoch", penstock::storage::Sabotage::kSkipEpoch},
    {"skip-chain", penstock::storage::Sabotage::kSkipChain, true},
    {"rewrite-tail", penstock::storage::Sabotage::kRewriteTail},
    {"ignore-write-error", penstock::storage::Sabotage::kIgnoreWriteError},
    {"resurrect-after-truncate", penstock::storage::Sabotage::kResurrectAfterTruncate},
    {"ack-past-hole", penstock::storage::Sabotage::kAckPastHole},
    {"trim-off-by-one", penstock::storage::Sabotage::kTrimOffByOne, false, Setting::kAges},
    {"no-idle-block", penstock::storage::Sabotage::kNoIdleBlock},
    {"recycle-without-snapshot", penstock::storage::Sabotage::kRecycleWithoutSnapshot, false,
     Setting::kChurns},
    {"open-children-early", penstock::storage::Sabotage::kOpenChildrenEarly},
    {"visible-before-durable", penstock::storage::Sabotage::kVisibleBeforeDurable},
    {"forget-producers", penstock::storage::Sabotage::kForgetProducers, false, Setting::kNative},
};

WorldOptions world(std::uint64_t seed, Setting setting) {
  WorldOptions options;
  options.seed = seed;
  if (setting == Setting::kUsual) return options;
  if (setting == Setting::kNative || setting == Setting::kKinesis) {
    options.native_chance = setting == Setting::kNative ? 1 : 0;
    return options;
  }
  options.off_chance = 0.7;
  options.off_hours_max = 80;
  options.lives = 6;
  if (setting == Setting::kAges) return options;
  // Off for longer than any retention, by a clock that is right: every life can have all slots.
  options.off_chance = 1;
  options.off_hours_min = 27;
  options.clock_faults = false;
  options.slots_max = 16;  // with 8, one long life in 200 filled them all
  options.data_cores = 1;
  options.native_chance = 0;    // with three more producers one long life fills them, too
  options.disk_faults = false;  // recovery has nothing to complain of
  return options;
}

void print_findings(std::uint64_t seed, Setting setting, const WorldResult& result) {
  const std::string_view flag = setting == Setting::kChurns    ? " --churn"
                                : setting == Setting::kNative  ? " --native"
                                : setting == Setting::kKinesis ? " --kinesis"
                                                               : "";
  fmt::print("seed {}: {} findings; replay: sim_seeds{} --seed {}\n", seed, result.findings.size(),
             flag, seed);
  for (const std::string& finding : result.findings) fmt::print("  {}\n", finding);
}

int run_seeds(std::uint64_t from, std::uint64_t count, Setting setting) {
  std::map<std::string, std::uint64_t> faults;
  std::uint64_t failed = 0;
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  double simulated = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t seed = from; seed < from + count; ++seed) {
    const WorldResult result = run_world(world(seed, setting));
    for (const auto& [kind, fired] : result.faults) faults[kind] += fired;
    sent += result.sent;
    acknowledged += result.acknowledged;
    simulated += static_cast<double>(result.simulated_nanos) / 1e9;
    if (!result.findings.empty()) {
      print_findings(seed, setting, result);
      if (++failed == 5) break;
    }
  }
  const std::chrono::duration<double> real = std::chrono::steady_clock::now() - begin;
  fmt::print(
      "{} seeds from {}: {} failed; {} records sent, {} acknowledged; {:.0f} simulated "
      "seconds in {:.1f}, {:.0f} a second\n",
      count, from, failed, sent, acknowledged, simulated, real.count(), simulated / real.count());
  for (const auto& [kind, fired] : faults) {
    fmt::print("  {:24} {}\n", kind, fired);
    // Few seeds may miss a kind by chance; many may not. Nothing is written that is not durable, so
    // nothing volatile can be lost.
    const bool never = kind == "disk_volatile_lost";
    if (setting == Setting::kUsual && count >= 200 && fired == 0 && !never) {
      fmt::print("  {} never fired: the simulation no longer tests it\n", kind);
      ++failed;
    }
  }
  return failed == 0 ? 0 : 1;
}

int run_twice(std::uint64_t seed, Setting setting) {
  const WorldResult first = run_world(world(seed, setting));
  const WorldResult second = run_world(world(seed, setting));
  if (!first.findings.empty()) print_findings(seed, setting, first);
  fmt::print("seed {}: trace {:016x}\n", seed, first.trace_hash);
  if (first.trace_hash != second.trace_hash) {
    fmt::print("seed {}: the second run differs: trace {:016x}\n", seed, second.trace_hash);
    return 1;
  }
  return first.findings.empty() ? 0 : 1;
}

int tell(std::uint64_t seed, Setting setting, [[maybe_unused]] std::string_view bug_name) {
#ifdef PENSTOCK_SABOTAGE
  for (const Bug& bug : kBugs) {
    if (bug.name != bug_name) continue;
    penstock::storage::g_sabotage = bug.which;
    setting = bug.setting;
  }
#endif
  WorldOptions options = world(seed, setting);
  options.tell = true;
  const WorldResult result = run_world(options);
  if (!result.findings.empty()) print_findings(seed, setting, result);
  return result.findings.empty() ? 0 : 1;
}

#ifdef PENSTOCK_SABOTAGE
// In a process of its own: an assertion that stops the server is a way of finding the bug, too.
int find_bug(const Bug& bug, std::uint64_t seeds) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    penstock::storage::g_sabotage = bug.which;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      const WorldResult result = run_world(world(seed, bug.setting));
      if (!result.findings.empty()) {
        fmt::print("{}: found by seed {}: {}\n", bug.name, seed, result.findings.front());
        std::fflush(stdout);
        _exit(0);
      }
    }
    fmt::print("{}: NOT found within {} seeds\n", bug.name, seeds);
    std::fflush(stdout);
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  // An assertion ends in abort; any other signal is no find.
  if (WIFSIGNALED(status)) {
    const bool itself = WTERMSIG(status) == SIGABRT;
    fmt::print(
        "{}: {}\n", bug.name,
        itself ? "found: the server stopped itself" : "ended by a signal that is not its own");
    return itself ? 0 : 1;
  }
  return WEXITSTATUS(status);
}
#else
int find_bug(const Bug&, std::uint64_t) {
  fmt::print("planted bugs are not compiled in: configure with -Dsabotage=true\n");
  return 77;  // meson: skipped
}
#endif

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::uint64_t from = 1;
  std::uint64_t seeds = 0;
  std::optional<std::uint64_t> replayed;
  std::uint64_t told = 0;
  Setting setting = Setting::kUsual;
  std::string_view bug_name;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&]() -> const char* { return i + 1 < argc ? argv[++i] : "0"; };
    if (argument == "--seed") replayed = std::strtoull(value(), nullptr, 10);
    if (argument == "--tell") told = std::strtoull(value(), nullptr, 10);
    if (argument == "--from") from = std::strtoull(value(), nullptr, 10);
    if (argument == "--seeds") seeds = std::strtoull(value(), nullptr, 10);
    if (argument == "--bug") bug_name = value();
    if (argument == "--bugs") bug_name = "all";
    if (argument == "--churn") setting = Setting::kChurns;
    if (argument == "--native") setting = Setting::kNative;
    if (argument == "--kinesis") setting = Setting::kKinesis;
  }
  if (replayed) return run_twice(*replayed, setting);
  if (told != 0) return tell(told, setting, bug_name);
  if (!bug_name.empty()) {
    int outcome = 0;
    for (const Bug& bug : kBugs) {
      if (bug_name == "all" ? bug.passed_over : bug_name != bug.name) continue;
      outcome = std::max(outcome, find_bug(bug, seeds == 0 ? 500 : seeds));
    }
    return outcome;
  }
  if (seeds == 0) {
    const char* asked = std::getenv("PENSTOCK_SIM_SEEDS");
    seeds = asked == nullptr ? 20 : std::strtoull(asked, nullptr, 10);
  }
  if (const int repeated = run_twice(from, setting); repeated != 0) return repeated;
  return run_seeds(from, seeds, setting);
}
