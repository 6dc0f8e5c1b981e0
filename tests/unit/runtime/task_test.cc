// Goal: tasks run when they are told to, in order, give their values to who awaits them, and release
// what they hold when they are dropped half way.
// Method: small coroutines over a loop in virtual time, with a guard that counts what is alive.
#include "runtime/task_loop.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace penstock::runtime {
namespace {

using Log = std::vector<std::string>;

// A completion that the test delivers by hand.
struct Signal {
  TaskLoop& loop;
  std::coroutine_handle<> waiter{};
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) { waiter = handle; }
  void await_resume() const noexcept {}
  void complete() { loop.ready(waiter); }
};

Task<int> twice(int value) { co_return 2 * value; }

Task<std::unique_ptr<int>> boxed(int value) {
  const int doubled = co_await twice(value);
  co_return std::make_unique<int>(doubled);
}

Task<> note_value(Log* log) {
  const std::unique_ptr<int> value = co_await boxed(21);
  log->push_back(std::to_string(*value));
}

TEST(Task, IsLazyAndGivesItsValue) {
  Log log;
  TaskLoop loop;
  loop.spawn(note_value(&log));
  EXPECT_TRUE(log.empty());
  EXPECT_GT(loop.run(Nanos(0)), 0U);
  EXPECT_EQ(log, Log{"42"});
  EXPECT_EQ(loop.tasks(), 0U);
  EXPECT_EQ(loop.next_deadline(), kNever);
}

Task<> chain(int depth) {
  if (depth > 0) co_await chain(depth - 1);
}

TEST(Task, MayBeNestedDeep) {
  TaskLoop loop;
  loop.spawn(chain(1'000));
  EXPECT_EQ(loop.run(Nanos(0)), 1U);
  EXPECT_EQ(loop.tasks(), 0U);
}

Task<> wait_for(Signal* signal, Log* log, std::string name) {
  co_await *signal;
  log->push_back(name);
}

TEST(TaskLoop, ACompletionRunsNothingByItself) {
  Log log;
  TaskLoop loop;
  Signal signal{loop};
  loop.spawn(wait_for(&signal, &log, "a"));
  static_cast<void>(loop.run(Nanos(0)));
  EXPECT_EQ(loop.next_deadline(), kNever);
  signal.complete();
  EXPECT_TRUE(log.empty()) << "the stack of whoever completes stays flat";
  EXPECT_EQ(loop.next_deadline(), Nanos(0)) << "and a turn is asked for";
  static_cast<void>(loop.run(Nanos(1)));
  EXPECT_EQ(log, Log{"a"});
}

Task<> sleep(TaskLoop* loop, std::int64_t until, Log* log) {
  co_await loop->sleep_until(Nanos(until));
  log->push_back(std::to_string(until));
}

TEST(TaskLoop, SleepersWakeInOrderOfTime) {
  Log log;
  TaskLoop loop;
  for (const std::int64_t until : {30, 10, 20, 0}) loop.spawn(sleep(&loop, until, &log));
  static_cast<void>(loop.run(Nanos(5)));
  EXPECT_EQ(log, Log{"0"});
  EXPECT_EQ(loop.next_deadline(), Nanos(10));
  static_cast<void>(loop.run(Nanos(9)));
  EXPECT_EQ(log.size(), 1U);
  static_cast<void>(loop.run(Nanos(30)));
  EXPECT_EQ(log, (Log{"0", "10", "20", "30"}));
}

Task<> pass_gate(Gate* gate, Signal* signal, Log* log, std::string name) {
  const Gate::Pass pass = co_await gate->enter();
  log->push_back(name + " in");
  co_await *signal;
  log->push_back(name + " out");
}

TEST(Gate, LetsOneInAtATimeInOrder) {
  Log log;
  TaskLoop loop;
  Gate gate(loop);
  Signal first{loop};
  Signal second{loop};
  loop.spawn(pass_gate(&gate, &first, &log, "a"));
  loop.spawn(pass_gate(&gate, &second, &log, "b"));
  static_cast<void>(loop.run(Nanos(0)));
  EXPECT_EQ(log, Log{"a in"});
  EXPECT_FALSE(gate.try_enter());
  first.complete();
  static_cast<void>(loop.run(Nanos(0)));
  EXPECT_EQ(log, (Log{"a in", "a out", "b in"}));
  EXPECT_FALSE(gate.try_enter());
  second.complete();
  static_cast<void>(loop.run(Nanos(0)));
  EXPECT_TRUE(gate.try_enter());
  gate.leave();
}

struct Guard {
  explicit Guard(int* count) : alive(count) { ++*alive; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { --*alive; }
  int* alive;
};

Task<> hold(Gate* gate, Signal* signal, int* alive) {
  const Guard outer(alive);
  const Gate::Pass pass = co_await gate->enter();
  const Guard inner(alive);
  co_await *signal;
}
Task<> hold_through(Gate* gate, Signal* signal, int* alive) {
  const Guard guard(alive);
  co_await hold(gate, signal, alive);
}

TEST(TaskLoop, DroppedTasksReleaseWhatTheyHold) {
  int alive = 0;
  {
    Gate* made = nullptr;
    struct Parts {
      Gate gate{loop};
      TaskLoop loop;
    } parts;
    made = &parts.gate;
    Signal signal{parts.loop};
    parts.loop.spawn(hold_through(made, &signal, &alive));
    parts.loop.spawn(hold_through(made, &signal, &alive));
    static_cast<void>(parts.loop.run(Nanos(0)));
    EXPECT_EQ(alive, 5) << "the second one waits at the gate";
  }
  EXPECT_EQ(alive, 0);
}

TEST(Task, NeverStartedIsDestroyedAsWell) {
  Log log;
  {
    const Task<> task = note_value(&log);
  }
  EXPECT_TRUE(log.empty());
}

}  // namespace
}  // namespace penstock::runtime
