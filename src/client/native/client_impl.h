// The thread of a client: it drives the link over a socket, and lets everyone who uses the link take turns.
//
// Others speak to it by posting functions, which it runs between turns. What is declared under "the thread's own" is
// touched by nobody else.
//
// Owner      shared by the client and what it has made; the thread holds it, too, while it runs
// Source     poll(2), eventfd(2): a library has to work where io_uring is forbidden
#pragma once

#include "client/native/admin_calls.h"
#include "client/native/link.h"
#include "client/native/maps.h"
#include "client/native/socket.h"
#include "penstock/client.h"
#include "penstock/units.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace penstock::client::native {

// A producer, a consumer: something that takes turns on the client's thread.
class Agent {
 public:
  virtual ~Agent() = default;
  virtual void tick(Nanos now) = 0;
  [[nodiscard]] virtual Nanos next_deadline() const = 0;
  // Everything has its result now; it is not ticked any more.
  virtual void stop() = 0;
};

class SystemClock final : public env::Clock {
 public:
  Nanos now() override;
  WallMillis wall() override;
  bool wall_synchronised() override { return true; }  // nobody here depends on it
};

class SystemEntropy final : public env::Entropy {
 public:
  void fill(std::span<std::byte> out) override;
};

}  // namespace penstock::client::native

namespace penstock {

struct Client::Impl : std::enable_shared_from_this<Client::Impl> {
  using Posted = std::move_only_function<void(Nanos)>;

  explicit Impl(client::native::LinkOptions options);
  ~Impl();

  void start();
  // True when the link has opened, false when it was denied or the time is over.
  [[nodiscard]] bool wait_until_connected(std::chrono::milliseconds patience);
  void close();
  // From any thread. False: the thread has ended, or is about to, and `task` is not run.
  [[nodiscard]] bool post(Posted task);
  // As `post`, and waits until it has run. REQUIRES: not on the thread.
  void run(Posted task);
  // Stops an agent and lets go of it; in a callback later, else before it returns.
  void release(const std::shared_ptr<client::native::Agent>& agent);
  void wake();
  [[nodiscard]] bool on_thread() const { return std::this_thread::get_id() == thread_id_.load(); }

  // --- The thread's own ----------------------------------------------------------------------------
  client::native::SystemClock clock;
  client::native::SystemEntropy entropy;
  client::native::Link link;
  client::native::Maps maps;
  client::native::AdminCalls admin;
  std::vector<std::shared_ptr<client::native::Agent>> agents;

  struct Status {
    bool connected = false;
    bool closed = false;
    ErrorCode code = ErrorCode::kSystem;
    std::string problem = "not connected yet";
  };
  [[nodiscard]] Status status() const;

 private:
  void loop();
  void take_posted(Nanos now);
  void turn(Nanos now);
  void sleep(Nanos now);
  void note_status();

  client::native::Socket socket_;
  int event_ = -1;
  std::thread thread_;
  std::atomic<std::thread::id> thread_id_;

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::vector<Posted> posted_;
  Status status_;
  bool stopping_ = false;
};

}  // namespace penstock
