// A lazy coroutine for control work: catalogue, retention, connections. Nothing runs before it is
// awaited or given to a TaskLoop; the value goes to whoever awaits it.
//
// Shape      one awaiter; a task stays on its core, crossing is a message
// Owner      the Task owns the coroutine's frame: destroying it destroys what the coroutine holds.
//            Parameters of a coroutine are taken by value, or outlive the task
// Allocates  one frame by `new` per call: for control work, never on the path of a record
// Errors     values, as everywhere; an exception that leaves a coroutine ends the process
// States     Lazy ─► Running ⇄ Suspended ─► Done
#pragma once

#include "base/assert.h"

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace penstock::runtime {

template <class T = void>
class Task;

namespace detail {

class PromiseBase {
 public:
  // Done: the awaiter goes on in this very stack frame's place, so that chains do not grow the
  // stack.
  struct Final {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) const noexcept {
      const std::coroutine_handle<> awaiter = done.promise().awaiter_;
      return awaiter ? awaiter : std::coroutine_handle<>(std::noop_coroutine());
    }
    void await_resume() const noexcept {}
  };

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] Final final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  void set_awaiter(std::coroutine_handle<> awaiter) { awaiter_ = awaiter; }

 private:
  std::coroutine_handle<> awaiter_;
};

template <class T>
class Promise : public PromiseBase {
 public:
  [[nodiscard]] Task<T> get_return_object();
  template <class Value>
  void return_value(Value&& value) {
    value_.emplace(std::forward<Value>(value));
  }
  [[nodiscard]] T take() {
    PENSTOCK_ASSERT(value_.has_value());
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class Promise<void> : public PromiseBase {
 public:
  [[nodiscard]] Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { reset(); }

  [[nodiscard]] bool done() const { return !handle_ || handle_.done(); }
  // For whoever drives a task by hand.
  [[nodiscard]] std::coroutine_handle<> handle() const { return handle_; }

  struct Awaiter {
    Handle handle;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
      handle.promise().set_awaiter(awaiter);
      return handle;
    }
    T await_resume() { return handle.promise().take(); }
  };
  // REQUIRES: not awaited before.
  [[nodiscard]] Awaiter operator co_await() && noexcept {
    PENSTOCK_ASSERT(handle_);
    return Awaiter{handle_};
  }

 private:
  void reset() {
    if (handle_) std::exchange(handle_, {}).destroy();
  }
  Handle handle_;
};

namespace detail {

template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace detail
}  // namespace penstock::runtime
