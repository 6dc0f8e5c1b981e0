#include "transport/session_impl.h"

#include <algorithm>

namespace penstock::transport {
namespace {

constexpr Nanos kNever{INT64_MAX};

}  // namespace

Session::Impl::Impl(Session& session, const SessionOptions& opts, Staging& memory, Nanos at)
    : self(session),
      options(opts),
      staging(memory),
      now(at),
      started(at),
      last_in(at),
      last_out(at),
      last_ping(at) {
  PENSTOCK_ASSERT(options.control_bytes_max >= options.control_message_max);
  PENSTOCK_ASSERT(options.frame_payload_max % 8 == 0);
  PENSTOCK_ASSERT(options.message_max <= kPieceBytesMax * 1024);  // what MessageMemory has
  static_cast<void>(lanes.open(0));
  preface_due = !options.server;
  limits.message_max = options.message_max;
  limits.lanes_max = options.lanes_max;
  // Who is refused hears so behind the prefaces.
  if (!options.server || options.turned_away) return;
  if (staging.open(account, session, options.first_credit)) granted_told = account.granted;
}

Session::Impl::~Impl() {
  PENSTOCK_ASSERT(whole == 0);  // all that was taken has been released
  state = State::kClosing;
  staging.close(account, now);
  Lane::Queue dropped;
  for (const auto& lane : lanes.all()) {
    if (lane->half) drop_half(*lane);
    while (OutgoingMessage* message = lane->queue.pop_front()) dropped.push_back(*message);
  }
  drop(dropped);
}

void Session::Impl::drop(Lane::Queue& dropped) {
  while (OutgoingMessage* message = dropped.pop_front()) {
    if (message->done != nullptr) message->done(*message, false);
  }
}

// Half a message is forgotten, its memory and its credit come back.
void Session::Impl::drop_half(Lane& lane) {
  stalling.remove(lane);
  lane.half = false;
  staging.memory().give(lane.buffer);
  staged -= padded(lane.message_bytes);
  release(lane.number, padded(lane.message_bytes));
}

void Session::Impl::release(std::uint32_t lane, std::uint64_t bytes) {
  if (lane == 0) {
    control_bytes -= bytes;
    --control_waiting;
    if (paused) resume();
  } else if (options.server) {
    staging.release(account, bytes, now);
  }
}

// Reads again; the time that nothing was read is nobody's silence.
void Session::Impl::resume() {
  paused = false;
  last_in = now;
  for (Lane* lane = stalling.front(); lane != nullptr; lane = lane->stalling.next) lane->mark = now;
}

// Of a lane that has left the table; its messages that are not on the way go to `dropped`.
void Session::Impl::end_lane(Lane& lane, Lane::Queue& dropped) {
  lanes.remove(lane);
  lane.ended = true;
  leave_lists(lane);
  if (lane.half && !lane.in_piece) drop_half(lane);
  Lane::Queue kept;
  while (OutgoingMessage* message = lane.queue.pop_front()) {
    const auto on_the_way = std::span(pieces).first(piece_count);
    const bool keep = std::any_of(on_the_way.begin(), on_the_way.end(),
                                  [&](const Piece& p) { return p.message == message; });
    (keep ? kept : dropped).push_back(*message);
  }
  lane.queue = kept;
}

void Session::Impl::maybe_recycle(Lane& lane) {
  if (!lane.ended || lane.in_piece || lane.in_gather > 0 || lane.reset_due) return;
  lanes.recycle(lane);
}

void Session::Impl::fail(CloseCode why, std::string_view words) { stop(why, words, false); }

void Session::Impl::stop(CloseCode why, std::string_view words, bool peers) {
  if (state == State::kClosing) return;
  // Before the prefaces nobody would understand it.
  close_due = !peers && (state == State::kOpen || !options.server);
  state = State::kClosing;
  code = why;
  reason.assign(words.substr(0, kReasonBytesMax));
  by_peer = peers;
  staging.close(account, now);
  for (const auto& lane : lanes.all()) {
    const bool awaited = given && direct && lane.get() == piece_lane;
    if (lane->half && !awaited) drop_half(*lane);
  }
}

Nanos Session::Impl::idle_deadline() const {
  // A client asks with PING: that it has asked is no sign of life.
  if (paused) return kNever;
  const Nanos last = options.server ? std::max(last_in, last_out) : last_in;
  return last + options.idle_nanos;
}

Nanos Session::Impl::ping_deadline() const {
  if (options.server || state != State::kOpen) return kNever;
  return std::max(last_in, last_ping) + options.ping_nanos;
}

Session::Session(const SessionOptions& options, Staging& staging, Nanos now)
    : impl_(std::make_unique<Impl>(*this, options, staging, now)) {}

Session::~Session() = default;

SessionEvent Session::next_event() {
  Impl& s = *impl_;
  SessionEvent event;
  if (s.account.overdue) s.fail(CloseCode::kOverloaded, "credit was not used while others waited");
  while (s.state != Impl::State::kClosing) {
    const Impl::Step step = s.step(event);
    if (step == Impl::Step::kEvent) return event;
    if (step == Impl::Step::kStop) break;
  }
  if (s.state != Impl::State::kClosing) {
    if (Lane* lane = s.writable.pop_front()) {
      event.kind = SessionEventKind::kWritable;
      event.lane = lane->number;
    }
    return event;
  }
  if (s.closed_told) return event;
  s.closed_told = true;
  event.kind = SessionEventKind::kClosed;
  event.code = s.code;
  event.reason = s.reason;
  event.by_peer = s.by_peer;
  return event;
}

void Session::release(IncomingMessage& message) {
  Impl& s = *impl_;
  const std::uint64_t bytes = Impl::padded(message.size);
  PENSTOCK_ASSERT(s.whole >= bytes);
  s.staging.memory().give(message.buffer);
  s.whole -= bytes;
  s.staged -= bytes;
  s.release(message.lane, bytes);
}

void Session::close(CloseCode code, std::string_view reason) { impl_->fail(code, reason); }

void Session::tick(Nanos now) {
  Impl& s = *impl_;
  s.now = now;
  if (s.account.overdue) s.fail(CloseCode::kOverloaded, "credit was not used while others waited");
  if (s.state == Impl::State::kClosing) return;
  const bool greeting = s.state == Impl::State::kPreface || !s.greeted;
  if (greeting && now >= s.started + s.options.preface_nanos) {
    s.fail(CloseCode::kIdle, s.state == Impl::State::kPreface ? "no preface" : "no greeting");
  } else if (Lane* lane = s.stalling.front();
             lane != nullptr && !s.paused && now >= lane->mark + s.options.stall_nanos) {
    s.fail(CloseCode::kStalled, "half a message did not grow");
  } else if (now >= s.idle_deadline()) {
    s.fail(CloseCode::kIdle, "silence");
  } else if (now >= s.ping_deadline()) {
    s.ping_due = true;
    s.last_ping = now;
  }
}

Nanos Session::next_deadline() const {
  const Impl& s = *impl_;
  if (s.state == Impl::State::kClosing) return kNever;
  Nanos next = std::min(s.idle_deadline(), s.ping_deadline());
  if (s.state == Impl::State::kPreface || !s.greeted) {
    next = std::min(next, s.started + s.options.preface_nanos);
  }
  if (const Lane* lane = s.stalling.front(); lane != nullptr && !s.paused) {
    next = std::min(next, lane->mark + s.options.stall_nanos);
  }
  return next;
}

bool Session::open() const { return impl_->state == Impl::State::kOpen; }
bool Session::closed() const {
  return impl_->state == Impl::State::kClosing && !impl_->close_due && !impl_->in_flight;
}
std::uint64_t Session::staged_bytes() const { return impl_->staged; }
std::size_t Session::lanes() const { return impl_->lanes.size() - 1; }
bool Session::has_lane(std::uint32_t lane) const { return impl_->lanes.find(lane) != nullptr; }

}  // namespace penstock::transport
