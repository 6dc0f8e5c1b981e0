#include "bench/interruption.h"

#include "progress_line.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <map>
#include <thread>
#include <utility>

namespace penstock::tools::bench {
namespace {

constexpr timespec kPatience{10, 0};

struct Made {
  std::string what;
  std::function<void()> undo;
};

struct State {
  std::mutex busy;  // making or undoing; an interrupted run does not give it back
  std::mutex list;  // of what follows
  std::map<std::uint64_t, Made> made;
  std::uint64_t next = 0;
};

// Never destroyed: its thread does not end before the process.
State& state() {
  static State& the_state = *new State;
  return the_state;
}

[[noreturn]] void leave(int signal_number) {
  std::fflush(stderr);
  std::_Exit(128 + signal_number);
}

[[noreturn]] void undo_all(int signal_number) {
  const std::lock_guard busy(state().busy);
  for (;;) {
    std::uint64_t number = 0;
    std::function<void()> undo;
    {
      const std::lock_guard lock(state().list);
      if (state().made.empty()) leave(signal_number);
      const auto last = std::prev(state().made.end());
      number = last->first;
      undo = last->second.undo;
    }
    undo();
    const std::lock_guard lock(state().list);
    state().made.erase(number);
  }
}

void wait_for(const sigset_t& signals) {
  int number = 0;
  while (sigwait(&signals, &number) != 0) {
  }
  ProgressLine().clear();
  fmt::print(stderr, "interrupted: what this run has made is removed; once more ends it at once\n");
  std::thread(undo_all, number).detach();
  sigtimedwait(&signals, nullptr, &kPatience);
  const std::lock_guard lock(state().list);
  for (const auto& [key, made] : state().made) {
    if (!made.what.empty()) fmt::print(stderr, "note: {} is left behind\n", made.what);
  }
  leave(number);
}

}  // namespace

void watch_for_interruption() {
  static bool watching = false;
  if (std::exchange(watching, true)) return;
  sigset_t signals;
  sigemptyset(&signals);
  bool any = false;
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction now{};
    sigaction(number, nullptr, &now);
    if (now.sa_handler == SIG_IGN) continue;  // nohup(1), a shell's background: so it stays
    sigaddset(&signals, number);
    any = true;
  }
  if (!any) return;
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread(wait_for, signals).detach();
}

Undoing::Undoing(std::string what, std::function<void()> undo) {
  const std::lock_guard busy(state().busy);
  const std::lock_guard lock(state().list);
  number_ = ++state().next;
  state().made[number_] = {std::move(what), std::move(undo)};
}

Undoing::~Undoing() {
  const std::lock_guard busy(state().busy);
  const std::lock_guard lock(state().list);
  state().made.erase(number_);
}

Uninterrupted::Uninterrupted() : lock_(state().busy) {}

}  // namespace penstock::tools::bench
