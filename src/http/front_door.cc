#include "http/front_door.h"

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <utility>

namespace penstock::http {

FrontDoor::FrontDoor(env::Socket& socket, Service& service, const FrontDoorOptions& options,
                     std::vector<TlsListener> tls)
    : shared_(socket, service, options), tls_(std::move(tls)) {
  PENSTOCK_ASSERT(base::BufferPool::class_bytes(options.body_bytes_max + 64) <=
                  options.body_bytes_budget);
  open_.reserve(options.connections_max);
}

FrontDoor::~FrontDoor() = default;

runtime::WorkCount FrontDoor::poll(Nanos now, WallMillis wall) {
  shared_.wall = wall;
  if (pause_wanted_ != paused_) {
    paused_ = pause_wanted_;
    paused_ ? shared_.deadlines.hold(now) : shared_.deadlines.release(now);
  }
  // Events first, then whoever they made room for: both keep deadlines from passing.
  std::array<env::SocketEvent, kEventsPerTurn> events;
  const std::size_t count = shared_.socket.reap(events);
  for (std::size_t i = 0; i < count; ++i) take(events[i], now);
  auto work = static_cast<runtime::WorkCount>(count);
  work += grant_memory(now);
  work += grant_room(shared_.service_wanted, now);
  work += grant_room(shared_.room_wanted, now);
  work += end_patience(now);
  if (shared_.draining && !shared_.drain_over) end_drain(now);
  if (!paused_) {
    while (QueueEntry* const entry = shared_.receive_wanted.pop_front()) {
      entry->owner->post_receive();
      ++work;
    }
  }
  reclaim();
  shared_.socket.submit();
  return work;
}

Nanos FrontDoor::next_deadline() const {
  // Answers given since the last turn may have made room for those who wait for memory, and may want
  // the next receive.
  if (!shared_.receive_wanted.empty() && !paused_) return Nanos{0};
  if (!shared_.memory_wanted.empty() && memory_seen_ != shared_.pool.gives()) return Nanos{0};
  if (may_go_on(shared_.service_wanted) || may_go_on(shared_.room_wanted)) return Nanos{0};
  return std::min(shared_.deadlines.next(), drain_end_);
}

// Small bodies do not wait behind a large one: it has its turn when it has room, or as `finisher`.
runtime::WorkCount FrontDoor::grant_memory(Nanos now) {
  runtime::WorkCount granted = 0;
  if (memory_seen_ == shared_.pool.gives()) return granted;
  memory_seen_ = shared_.pool.gives();
  QueueEntry* next = nullptr;
  for (QueueEntry* entry = shared_.memory_wanted.front(); entry != nullptr; entry = next) {
    next = entry->link.next;
    if (entry->owner->grant_memory(now)) ++granted;
  }
  return granted;
}

bool FrontDoor::may_go_on(const ConnectionQueue& waiting) {
  return !waiting.empty() && waiting.front()->owner->room_found();
}

runtime::WorkCount FrontDoor::grant_room(const ConnectionQueue& waiting, Nanos now) {
  runtime::WorkCount granted = 0;
  for (; may_go_on(waiting); ++granted) waiting.front()->owner->grant_room(now);
  return granted;
}

// As many late takers of answers are closed as those who wait have need of.
bool FrontDoor::room_is_short() const {
  const base::BufferPool& answers = shared_.answers;
  const std::uint64_t closing = shared_.answer_bytes_closing;
  const std::uint64_t used = answers.used() - closing;
  return (!shared_.service_wanted.empty() && !answers.has_room(1, closing)) ||
         (!shared_.room_wanted.empty() &&
          used + shared_.room_wanted_bytes + answers.budget() / 4 > answers.budget());
}

runtime::WorkCount FrontDoor::end_patience(Nanos now) {
  runtime::WorkCount ended = 0;
  while (true) {
    shared_.deadlines.contend(room_is_short());
    Deadline* const passed = shared_.deadlines.expired(now);
    if (passed == nullptr) return ended;
    passed->owner->on_deadline(passed->kind, now);
    ++ended;
  }
}

void FrontDoor::take(const env::SocketEvent& event, Nanos now) {
  if (event.kind == env::SocketEventKind::kAccepted) return accept(event, now);
  const auto at = open_.find(static_cast<std::uint64_t>(event.connection));
  if (at == open_.end()) return;  // refused when it was accepted
  Connection& connection = *at->second;
  switch (event.kind) {
    case env::SocketEventKind::kReceived:
      return connection.on_received(event.bytes, now);
    case env::SocketEventKind::kSent:
      return connection.on_sent(event.bytes, now);
    case env::SocketEventKind::kClosed:
      open_.erase(at);
      --shared_.counters.connections_open;
      return connection.on_closed();
    case env::SocketEventKind::kReleased:  // nothing is held
    case env::SocketEventKind::kAccepted:
      return;
  }
}

void FrontDoor::accept(const env::SocketEvent& event, Nanos now) {
  if (shared_.draining || in_use_ == shared_.options.connections_max) {
    ++shared_.counters.connections_refused;
    return shared_.socket.close(event.connection);
  }
  if (spare_.empty()) {
    connections_.push_back(std::make_unique<Connection>(shared_));
    spare_.reserve(connections_.size());
    spare_.push_back(connections_.back().get());
  }
  Connection* const connection = spare_.back();
  spare_.pop_back();
  ++in_use_;
  open_.emplace(static_cast<std::uint64_t>(event.connection), connection);
  ++shared_.counters.connections;
  ++shared_.counters.connections_open;
  const auto tls = std::find_if(tls_.begin(), tls_.end(), [&](const TlsListener& listener) {
    return listener.tag == event.listener;
  });
  connection->open(event.connection, next_serial_++, event.listener,
                   tls == tls_.end() ? nullptr : tls->context, now);
}

// Connections that the socket and the service are done with may serve other peers. Not at once:
// somebody further up the stack may still look at them.
void FrontDoor::reclaim() {
  while (QueueEntry* const entry = shared_.retired.pop_front()) {
    spare_.push_back(entry->owner);
    --in_use_;
  }
}

// Who sends a byte now and then must not hold up a stop: the time does not stand still for a pause.
void FrontDoor::end_drain(Nanos now) {
  if (drain_end_ == runtime::kNever) drain_end_ = now + shared_.options.drain_nanos;
  if (now < drain_end_) return;
  shared_.drain_over = true;
  drain_end_ = runtime::kNever;
  for (const auto& connection : connections_) connection->end_drain(now);
}

void FrontDoor::begin_drain() {
  if (shared_.draining) return;
  shared_.draining = true;
  shared_.socket.stop_listening();
  for (const auto& connection : connections_) connection->drain();
}

std::size_t FrontDoor::answers_owed() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      connections_, [](const auto& connection) { return connection->owes_answer(); }));
}

}  // namespace penstock::http
