// Drives the tasks of one agent: tasks run from `run` alone, never from inside a completion, so
// stacks stay flat and a completion may arrive at any moment of the turn.
//
// Owner      one core
// Allocates  freely: control work
// Errors     none. Destroying the loop destroys its tasks where they stand: whatever still holds an
//            address inside one (a command in a mailbox) must be gone before
#pragma once

#include "runtime/task.h"
#include "runtime/work.h"

#include <coroutine>
#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <utility>

namespace penstock::runtime {

class TaskLoop {
 public:
  TaskLoop() = default;
  TaskLoop(const TaskLoop&) = delete;
  TaskLoop& operator=(const TaskLoop&) = delete;

  // The task runs from the next `run` on; the loop keeps it until it is done.
  void spawn(Task<> task) {
    ready_.push_back(task.handle());
    tasks_.push_back(std::move(task));
  }
  // What a completion calls: `suspended` goes on in the next `run`.
  void ready(std::coroutine_handle<> suspended) { ready_.push_back(suspended); }

  struct Sleep {
    TaskLoop& loop;
    Nanos until;
    [[nodiscard]] bool await_ready() const noexcept { return until <= loop.now_; }
    void await_suspend(std::coroutine_handle<> sleeper) const {
      loop.sleepers_.emplace(until, sleeper);
    }
    void await_resume() const noexcept {}
  };
  [[nodiscard]] Sleep sleep_until(Nanos until) { return Sleep{*this, until}; }

  // Runs everything that is ready, and what becomes ready by it.
  [[nodiscard]] WorkCount run(Nanos now) {
    now_ = now;
    while (!sleepers_.empty() && sleepers_.begin()->first <= now) {
      ready_.push_back(sleepers_.begin()->second);
      sleepers_.erase(sleepers_.begin());
    }
    WorkCount work = 0;
    while (!ready_.empty()) {
      const std::coroutine_handle<> next = ready_.front();
      ready_.pop_front();
      next.resume();
      ++work;
    }
    if (work > 0) tasks_.remove_if([](const Task<>& task) { return task.done(); });
    return work;
  }
  // The turn's time, for tasks.
  [[nodiscard]] Nanos now() const { return now_; }
  [[nodiscard]] Nanos next_deadline() const {
    if (!ready_.empty()) return now_;
    return sleepers_.empty() ? kNever : sleepers_.begin()->first;
  }
  [[nodiscard]] std::size_t tasks() const { return tasks_.size(); }

 private:
  Nanos now_;
  std::deque<std::coroutine_handle<>> ready_;
  std::multimap<Nanos, std::coroutine_handle<>> sleepers_;
  std::list<Task<>> tasks_;  // last: its frames may name what stands above
};

// Lets one task in at a time, in order of arrival.
class Gate {
 public:
  explicit Gate(TaskLoop& loop) : loop_(loop) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Held until destroyed.
  class [[nodiscard]] Pass {
   public:
    explicit Pass(Gate& gate) : gate_(&gate) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->leave();
    }

   private:
    Gate* gate_;
  };
  struct Entry {
    Gate& gate;
    [[nodiscard]] bool await_ready() const noexcept { return gate.try_enter(); }
    void await_suspend(std::coroutine_handle<> waiter) const { gate.waiting_.push_back(waiter); }
    [[nodiscard]] Pass await_resume() const noexcept { return Pass(gate); }
  };
  [[nodiscard]] Entry enter() { return Entry{*this}; }

  // Without waiting and without a Pass: who got in calls `leave`.
  [[nodiscard]] bool try_enter() {
    if (held_) return false;
    held_ = true;
    return true;
  }
  // Hands the gate to the next in line, which finds it held.
  void leave() {
    if (waiting_.empty()) {
      held_ = false;
      return;
    }
    const std::coroutine_handle<> next = waiting_.front();
    waiting_.pop_front();
    loop_.ready(next);
  }

 private:
  TaskLoop& loop_;
  bool held_ = false;
  std::deque<std::coroutine_handle<>> waiting_;
};

}  // namespace penstock::runtime
