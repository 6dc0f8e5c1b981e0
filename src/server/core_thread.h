// A pinned thread that turns one agent for as long as it may.
//
// Owner      made and joined by `main`'s thread; the agent is touched by its own thread alone
#pragma once

#include "env/clock.h"
#include "env/waiter.h"
#include "runtime/work.h"
#include "server/config.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace penstock::server {

class CoreThread {
 public:
  struct Parts {
    std::string name;  // at most 15 characters: the kernel's limit
    runtime::Agent& agent;
    env::Clock& clock;
    env::Waiter& waiter;
    std::uint32_t cpu = 0;
    bool pin = true;
    Idle idle = Idle::kWait;
  };
  explicit CoreThread(const Parts& parts);
  ~CoreThread();  // stops and joins

  CoreThread(const CoreThread&) = delete;
  CoreThread& operator=(const CoreThread&) = delete;

  void stop();
  // When the last turn ended, on the monotonic clock: a watchdog's evidence.
  [[nodiscard]] Nanos last_turn() const {
    return Nanos(last_turn_.load(std::memory_order_relaxed));
  }

 private:
  void run();

  Parts parts_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> last_turn_{0};
  std::thread thread_;
};

}  // namespace penstock::server
