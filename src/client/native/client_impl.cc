#include "client/native/client_impl.h"

#include "base/assert.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <future>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <utility>

namespace penstock::client::native {
namespace {

std::int64_t nanos_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return time.tv_sec * kNanosPerSecond + time.tv_nsec;
}

}  // namespace

Nanos SystemClock::now() { return Nanos(nanos_of(CLOCK_BOOTTIME)); }
WallMillis SystemClock::wall() { return WallMillis(nanos_of(CLOCK_REALTIME) / kNanosPerMilli); }

void SystemEntropy::fill(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got > 0) out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace penstock::client::native

namespace penstock {

using client::native::Agent;

Client::Impl::Impl(client::native::LinkOptions options)
    : link(std::move(options), clock, entropy),
      maps(link),
      admin(link),
      event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Client::Impl::~Impl() {
  if (event_ >= 0) ::close(event_);
}

void Client::Impl::start() {
  thread_ = std::thread([self = shared_from_this()] { self->loop(); });
}

bool Client::Impl::wait_until_connected(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] {
    return status_.connected || status_.closed || status_.code == ErrorCode::kDenied;
  });
  return status_.connected;
}

Client::Impl::Status Client::Impl::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void Client::Impl::close() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
  }
  wake();
  // The last owner may let go in a callback: then the thread ends by itself.
  on_thread() ? thread_.detach() : thread_.join();
}

void Client::Impl::wake() {
  const std::uint64_t one = 1;
  static_cast<void>(::write(event_, &one, sizeof one));
}

bool Client::Impl::post(Posted task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    posted_.push_back(std::move(task));
  }
  wake();
  return true;
}

void Client::Impl::release(const std::shared_ptr<Agent>& agent) {
  const auto let_go = [this, agent](Nanos) {
    agent->stop();
    std::erase(agents, agent);
  };
  // In a callback it is the agent itself, perhaps, whose turn it is.
  on_thread() ? static_cast<void>(post(let_go)) : run(let_go);
}

void Client::Impl::run(Posted task) {
  PENSTOCK_ASSERT(!on_thread());
  std::promise<void> done;
  std::future<void> waited = done.get_future();
  const bool taken = post([&task, &done](Nanos now) {
    task(now);
    done.set_value();
  });
  if (taken) waited.wait();
}

// --- The loop -------------------------------------------------------------------------------------

void Client::Impl::loop() {
  thread_id_ = std::this_thread::get_id();
  bool stopped = false;
  while (!link.closed() || socket_.descriptor() >= 0) {
    const Nanos now = clock.now();
    take_posted(now);
    if (!stopped) {
      const std::lock_guard lock(mutex_);
      stopped = stopping_;
    }
    if (stopped && !link.closed() && !agents.empty()) {
      for (const auto& agent : std::exchange(agents, {})) agent->stop();
    }
    if (stopped) link.close(now);
    turn(now);
    note_status();
    sleep(now);
  }
  take_posted(clock.now());  // nobody waits for ever
  for (const auto& agent : std::exchange(agents, {})) agent->stop();
  admin.stop();
  note_status();
}

void Client::Impl::take_posted(Nanos now) {
  std::vector<Posted> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (Posted& task : tasks) task(now);
}

// Before the socket is written: what has come in has made work, and that has made messages.
void Client::Impl::turn(Nanos now) {
  link.tick(now);
  maps.tick(now);
  admin.tick(now);
  for (const auto& agent : agents) agent->tick(now);
  socket_.serve(link, now);
}

void Client::Impl::sleep(Nanos now) {
  Nanos next = std::min({link.next_deadline(), maps.next_deadline(), admin.next_deadline()});
  for (const auto& agent : agents) next = std::min(next, agent->next_deadline());
  const std::int64_t nanos = std::clamp<std::int64_t>(
      next.raw() == INT64_MAX ? kNanosPerSecond : next - now, 0, kNanosPerSecond);
  if (link.closed() && socket_.descriptor() < 0) return;
  std::array<pollfd, 2> polled{{{event_, POLLIN, 0}, {socket_.descriptor(), 0, 0}}};
  if (polled[1].fd >= 0) polled[1].events = socket_.wanted(link);
  const timespec timeout{nanos / kNanosPerSecond, nanos % kNanosPerSecond};
  if (ppoll(polled.data(), polled.size(), &timeout, nullptr) <= 0) return;
  if (polled[0].revents != 0) {
    std::uint64_t count = 0;
    static_cast<void>(::read(event_, &count, sizeof count));
  }
  socket_.on_ready(link, polled[1].revents, clock.now());
}

void Client::Impl::note_status() {
  const std::lock_guard lock(mutex_);
  if (status_.connected == link.open() && status_.closed == link.closed() &&
      status_.problem == link.problem()) {
    return;
  }
  status_ = {link.open(), link.closed(), link.problem_code(), link.problem()};
  changed_.notify_all();
}

}  // namespace penstock
