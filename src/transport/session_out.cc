// What waits to be sent, and under which credit.
#include "transport/session_impl.h"

#include <algorithm>

namespace penstock::transport {

std::size_t OutgoingMessage::size() const {
  std::size_t bytes = 0;
  for (const auto& part : std::span(parts).first(part_count)) bytes += part.size();
  return bytes;
}

void Session::welcome(const SessionLimits& limits) {
  Impl& s = *impl_;
  PENSTOCK_ASSERT(!s.options.server);
  s.limits = limits;
  s.credit = std::max(s.credit, limits.credit);
  s.welcomed = true;
  s.admit_opening();
  s.admit_waiting();
}

void Session::set_lane(std::uint32_t number, const LaneOptions& options) {
  Impl& s = *impl_;
  Lane* lane = s.lanes.find(number);
  PENSTOCK_ASSERT(lane != nullptr);
  PENSTOCK_ASSERT(lane->current == nullptr);
  lane->priority = options.priority;
  lane->own_account = options.own_account;
}

void Session::set_priority(std::uint32_t number, Priority priority) {
  Impl& s = *impl_;
  Lane* lane = s.lanes.find(number);
  if (lane == nullptr || lane->priority == priority) return;
  // Where it waits for its turn is by its priority.
  const bool ready = s.ready_list(*lane).contains(*lane);
  if (ready) s.ready_list(*lane).remove(*lane);
  lane->priority = priority;
  if (ready) s.make_ready(*lane);
}

std::uint32_t Session::open_lane(const LaneOptions& options) {
  Impl& s = *impl_;
  PENSTOCK_ASSERT(!s.options.server);
  // Until the peer has been told of its end, a lane counts.
  if (lanes() + s.resets_due >= s.limits.lanes_max || s.next_lane == kSessionLane) return 0;
  Lane& lane = s.lanes.open(s.next_lane++);
  lane.announced = false;
  lane.priority = options.priority;
  lane.own_account = options.own_account;
  s.opening.push_back(lane);
  return lane.number;
}

void Session::send(std::uint32_t number, OutgoingMessage& message) {
  Impl& s = *impl_;
  Lane* lane = s.lanes.find(number);
  PENSTOCK_ASSERT(lane != nullptr);
  PENSTOCK_ASSERT(message.part_count <= OutgoingMessage::kParts);
  const std::size_t bytes = message.size();
  PENSTOCK_ASSERT(bytes > 0);
  PENSTOCK_ASSERT(bytes <= s.limits.message_max);
  lane->queue.push_back(message);
  if (lane->current == nullptr) s.make_current(*lane, &message);
}

void Session::Impl::make_current(Lane& lane, OutgoingMessage* message) {
  lane.current = message;
  lane.offset = 0;
  lane.part = lane.part_offset = 0;
  lane.debited = false;
  if (message == nullptr) return;
  lane.current_bytes = static_cast<std::uint32_t>(message->size());
  admit(lane);
}

// A message that has become its lane's next goes to those ready, or waits for credit. It is debited here, not
// with its first piece, so that nobody behind it takes what it waited for.
void Session::Impl::admit(Lane& lane) {
  const std::uint64_t bytes = padded(lane.current_bytes);
  if (options.server && lane.own_account) {
    if (bytes > lane.credit - lane.begun) {
      if (lane.asked == lane.begun + bytes) return;
      lane.asked = lane.begun + bytes;
      lane.blocked_due = true;
      make_due(lane);
      return;
    }
    lane.begun += bytes;
    lane.debited = true;
  } else if (!options.server && lane.number > 0) {
    if (!lane.announced && opening.front() != &lane) return;
    waiting.push_back(lane);
    admit_waiting();
    return;
  }
  make_ready(lane);
}

// In the order of asking, whatever their priority: else small urgent messages would take each grant before a large
// one has enough.
void Session::Impl::admit_waiting() {
  if (!welcomed) return;
  while (Lane* lane = waiting.front()) {
    const std::uint64_t bytes = padded(lane->current_bytes);
    if (bytes > credit - begun) break;
    begun += bytes;
    lane->debited = true;
    waiting.remove(*lane);
    make_ready(*lane);
  }
  if (waiting.empty()) return;
  // For the first, and for those behind it as far as that is little.
  std::uint64_t wanted = 0;
  for (Lane* lane = waiting.front(); lane != nullptr; lane = lane->waiting.next) {
    const std::uint64_t more = wanted + padded(lane->current_bytes);
    if (wanted > 0 && more > kAskBytes) break;
    wanted = more;
  }
  if (begun + wanted <= asked) return;
  asked = begun + wanted;
  blocked_due = true;
}

// The first of those that the peer does not know may go, once it has a message.
void Session::Impl::admit_opening() {
  Lane* lane = opening.front();
  if (lane == nullptr || lane->current == nullptr) return;
  if (lane->debited || waiting.contains(*lane)) return;
  admit(*lane);
}

void Session::Impl::make_ready(Lane& lane) { ready_list(lane).push_back(lane); }

void Session::Impl::make_due(Lane& lane) {
  if (!due.contains(lane)) due.push_back(lane);
}

// A lane that ends: what it has not begun to send is not debited any more.
void Session::Impl::leave_lists(Lane& lane) {
  if (ready_list(lane).contains(lane)) ready_list(lane).remove(lane);
  if (writable.contains(lane)) writable.remove(lane);
  if (due.contains(lane)) due.remove(lane);
  lane.credit_due = lane.blocked_due = false;
  const bool first_waiting = waiting.front() == &lane;
  if (waiting.contains(lane)) waiting.remove(lane);
  const bool first_opening = opening.front() == &lane;
  if (opening.contains(lane)) opening.remove(lane);
  if (!options.server && lane.debited && lane.offset == 0) {
    begun -= padded(lane.current_bytes);
    lane.debited = false;
    admit_waiting();
  }
  lane.current = nullptr;
  if (first_waiting) admit_waiting();
  if (first_opening) admit_opening();
}

std::uint64_t Session::credit(std::uint32_t number) const {
  const Impl& s = *impl_;
  const Lane* lane = s.lanes.find(number);
  if (number == 0 || lane == nullptr) return UINT64_MAX;
  if (!s.options.server) return s.credit - s.begun;
  return lane->own_account ? lane->credit - lane->begun : UINT64_MAX;
}

void Session::reset(std::uint32_t number, CloseCode code, std::string_view reason) {
  Impl& s = *impl_;
  PENSTOCK_ASSERT(number != 0);
  Lane* lane = s.lanes.find(number);
  if (lane == nullptr) return;
  Lane::Queue dropped;
  s.end_lane(*lane, dropped);
  if (lane->announced && s.state != Impl::State::kClosing) {
    lane->reset_due = true;
    lane->reset_code = code;
    lane->reset_reason.assign(reason.substr(0, kReasonBytesMax));
    ++s.resets_due;
    s.make_due(*lane);
  }
  s.maybe_recycle(*lane);
  Impl::drop(dropped);
}

void Session::grant(std::uint32_t number, std::uint64_t bytes) {
  Impl& s = *impl_;
  Lane* lane = s.lanes.find(number);
  if (lane == nullptr || bytes <= lane->granted_in) return;
  PENSTOCK_ASSERT(lane->own_account);
  lane->granted_in = bytes;
  lane->credit_due = true;
  if (lane->announced) s.make_due(*lane);
}

}  // namespace penstock::transport
