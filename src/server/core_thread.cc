#include "server/core_thread.h"

#include "server/log.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstring>

namespace penstock::server {

namespace {
// The longest rest, so that a watchdog sees turns and a missed wake costs little.
constexpr std::int64_t kRestMax = 500 * kNanosPerMilli;
}  // namespace

CoreThread::CoreThread(const Parts& parts) : parts_(parts), thread_([this] { run(); }) {}

CoreThread::~CoreThread() { stop(); }

void CoreThread::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  parts_.waiter.wake();
  thread_.join();
}

void CoreThread::run() {
  pthread_setname_np(pthread_self(), parts_.name.c_str());
  if (parts_.pin) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(parts_.cpu, &set);
    const int error = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    if (error != 0) {
      log(LogLevel::kWarning, "pin_failed", "a core thread runs unpinned",
          {{"thread", parts_.name},
           {"cpu", fmt::format("{}", parts_.cpu)},
           {"reason", std::strerror(error)}});
    }
  }
  while (!stopping_.load(std::memory_order_acquire)) {
    const Nanos now = parts_.clock.now();
    const runtime::WorkCount work = parts_.agent.poll(now, parts_.clock.wall());
    last_turn_.store(now.raw(), std::memory_order_relaxed);
    if (work != 0) continue;
    if (parts_.idle == Idle::kWait) {
      parts_.waiter.wait(std::min(parts_.agent.next_deadline(), now + kRestMax));
    } else {
      // Where a drive's flush is a command of its own, a worker thread of the kernel's on this very CPU
      // completes the write: a thread that only spins keeps it waiting until the next tick.
      sched_yield();
    }
  }
}

}  // namespace penstock::server
