#include "net/native_door.h"

#include <algorithm>
#include <utility>

namespace penstock::net {
namespace {

// For what is under way at a stop; clients ask again elsewhere for the rest.
constexpr std::int64_t kDrainNanos = 5 * kNanosPerSecond;

}  // namespace

NativeDoor::NativeDoor(env::Socket& socket, shard::DataPlane& data, proto::ControlPlane& control,
                       const NativeOptions& options, std::vector<NativeListener> listeners)
    : socket_(socket),
      staging_(options.staging_bytes, options.session.message_max),
      shared_(options, data, control),
      listeners_(std::move(listeners)) {
  conversations_.reserve(options.sessions_max + kTurnedAwayMax);
}

// The server ends as a whole: from what is under way nobody comes back. Sessions and pools get back what it holds.
NativeDoor::~NativeDoor() {
  Operations& operations = shared_.operations;
  const auto release = [](auto& operation) {
    operation.conversation->peer().session().release(operation.message);
  };
  operations.puts.each_taken(release);
  operations.producers.each_taken(release);
  operations.controls.each_taken(release);
  conversations_.clear();
  ending_.clear();
  while (!operations.memory_wanted.empty()) operations.memory_wanted.pop_front();
  operations.reads.each_taken(
      [this](ReadOperation& reader) { shared_.deliveries.give(reader.buffer); });
}

runtime::WorkCount NativeDoor::poll(Nanos now, WallMillis wall) {
  shared_.wall = wall;
  const std::size_t count = paused_ ? 0 : socket_.reap(events_);
  for (std::size_t i = 0; i < count; ++i) take(events_[i], now);
  const std::uint64_t epoch = shared_.data.routes()->epoch;
  if (std::exchange(map_epoch_, epoch) != epoch) {
    for (const auto& [id, conversation] : conversations_) {
      conversation->on_new_map(now);
      conversation->serve(now);
    }
  }
  if (!conversations_.empty() && now >= next_tick_) tick(now);
  wake(now);
  feed(now);
  reclaim();
  socket_.submit();
  return static_cast<runtime::WorkCount>(count);
}

Nanos NativeDoor::next_deadline() const {
  if (conversations_.empty() && ending_.empty()) return runtime::kNever;
  if (memory_for_reader()) return Nanos{0};
  if (map_epoch_ != shared_.data.routes()->epoch) return Nanos{0};
  return next_tick_;
}

void NativeDoor::take(const env::SocketEvent& event, Nanos now) {
  if (event.kind == env::SocketEventKind::kAccepted) return accept(event, now);
  const auto at = conversations_.find(static_cast<std::uint64_t>(event.connection));
  if (at == conversations_.end()) return;  // refused when it was accepted
  Conversation& conversation = *at->second;
  switch (event.kind) {
    case env::SocketEventKind::kReceived:
      conversation.peer().on_received(event.bytes, now);
      return conversation.serve(now);
    case env::SocketEventKind::kSent:
      conversation.peer().on_sent(now);
      return conversation.serve(now);
    case env::SocketEventKind::kReleased:
      return conversation.peer().on_released(event);  // nobody has waited for it
    case env::SocketEventKind::kClosed:
      conversation.on_closed();
      if (conversation.turned_away()) {
        --turned_away_;  // it has asked for nothing that could come back
      } else {
        --shared_.counters.sessions_open;
        ending_.push_back(std::move(at->second));
      }
      conversations_.erase(at);
      return;
    case env::SocketEventKind::kAccepted:
      return;
  }
}

void NativeDoor::accept(const env::SocketEvent& event, Nanos now) {
  const auto listener = std::ranges::find(listeners_, event.listener, &NativeListener::tag);
  const bool room = has_room();
  const bool unheard = shared_.stopping || listener == listeners_.end() || !(room || may_tell());
  if (!room || unheard) ++shared_.counters.sessions_refused;
  if (unheard) return socket_.close(event.connection);
  if (conversations_.empty()) next_tick_ = now + kTickNanos;
  Peer::Parts parts{socket_,
                    staging_,
                    peers_,
                    listener->tls,
                    listener->plain,
                    shared_.options.session,
                    shared_.options.hold_sends ? &held_ : nullptr};
  if (room) {
    ++shared_.counters.sessions;
    ++shared_.counters.sessions_open;
  } else {
    ++turned_away_;
    ++told_;
    parts.session.turned_away = true;
    parts.session.preface_nanos = kTurnedAwayNanos;
  }
  conversations_.emplace(static_cast<std::uint64_t>(event.connection),
                         std::make_unique<Conversation>(shared_, parts, event.connection, now));
}

// Those whom others have made room for.
void NativeDoor::wake(Nanos now) {
  while (transport::Session* const session = staging_.next_woken()) {
    static_cast<Conversation*>(session->context)->serve(now);
  }
}

// Readers that wait for memory, as far as there is some again.
void NativeDoor::feed(Nanos now) {
  while (memory_for_reader()) {
    ReadOperation& reader = *shared_.operations.memory_wanted.pop_front();
    reader.conversation->on_memory(reader, now);
  }
}

bool NativeDoor::memory_for_reader() const {
  const ReadOperation* const first = shared_.operations.memory_wanted.front();
  return first != nullptr && shared_.deliveries.has_room(first->bytes);
}

void NativeDoor::tick(Nanos now) {
  next_tick_ = now + kTickNanos;
  told_ = 0;
  staging_.tick(now);
  if (shared_.stopping && drain_end_ == runtime::kNever) drain_end_ = now + kDrainNanos;
  const bool late = now >= drain_end_;
  for (const auto& [id, conversation] : conversations_) {
    if (late) {
      conversation->cut();
    } else if (shared_.stopping && conversation->idle()) {
      conversation->stop();
    }
    conversation->tick(now);
  }
}

void NativeDoor::reclaim() {
  std::erase_if(ending_, [](const auto& conversation) { return conversation->over(); });
}

void NativeDoor::begin_drain() {
  if (shared_.stopping) return;
  shared_.stopping = true;
  socket_.stop_listening();
  next_tick_ = Nanos{0};
}

std::size_t NativeDoor::answers_owed() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      conversations_, [](const auto& entry) { return !entry.second->idle(); }));
}

}  // namespace penstock::net
