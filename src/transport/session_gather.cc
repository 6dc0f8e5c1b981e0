// From what waits to spans of bytes: control frames, then pieces by priority.
#include "transport/session_impl.h"

#include <algorithm>
#include <cstring>

namespace penstock::transport {
namespace {

constexpr std::byte kZeros[8]{};

}  // namespace

// Into the session's own storage; what lies behind what was put there before joins its span.
void Session::Impl::put_own(Out& out, const void* data, std::size_t bytes) {
  PENSTOCK_ASSERT(own_room(bytes));
  if (bytes == 0) return;
  std::byte* const to = own.get() + own_used;
  std::memcpy(to, data, bytes);
  own_used += bytes;
  out.bytes_left -= std::min(bytes, out.bytes_left);
  if (out.count > 0) {
    std::span<const std::byte>& last = out.spans[out.count - 1];
    if (last.data() + last.size() == to) {
      last = {last.data(), last.size() + bytes};
      return;
    }
  }
  out.spans[out.count++] = {to, bytes};
}

void Session::Impl::put_frame(Out& out, const FrameHeader& h, std::string_view words) {
  FrameHeader whole_header = h;
  whole_header.length = static_cast<std::uint32_t>(words.size());
  const FrameBytes bytes = encode(whole_header);
  put_own(out, bytes.data(), bytes.size());
  put_own(out, words.data(), words.size());
  put_own(out, kZeros, whole_header.payload_padded() - words.size());
}

// All but those of lanes are a few, so that there is always room for them.
void Session::Impl::put_control(Out& out) {
  if (preface_due) {
    const auto bytes = encode_preface(options.frame_payload_max);
    put_own(out, bytes.data(), bytes.size());
    preface_due = false;
  }
  if (state == State::kClosing) {
    if (!close_due || close_in_flight) return;
    FrameHeader h{.type = FrameType::kClose};
    h.code = code;
    put_frame(out, h, reason);
    close_in_flight = true;
    return;
  }
  if (options.server && state == State::kPreface) return;
  if (pong_due) put_frame(out, {.type = FrameType::kPong, .value = pong_value});
  pong_due = false;
  if (account.granted > granted_told) {
    granted_told = account.granted;
    put_frame(out, {.type = FrameType::kCredit, .lane = kSessionLane, .value = granted_told});
  }
  if (blocked_due && asked > credit) {
    put_frame(out, {.type = FrameType::kBlocked, .lane = kSessionLane, .value = asked});
  }
  blocked_due = false;
  put_lanes_control(out);
  if (ping_due) put_frame(out, {.type = FrameType::kPing, .value = ++ping_value});
  ping_due = false;
}

void Session::Impl::put_lanes_control(Out& out) {
  // Behind them a PING, and the header of one piece at least.
  constexpr std::size_t kRoom = 2 * kFrameHeaderBytes + 4 * kFrameHeaderBytes;
  while (Lane* lane = due.front()) {
    const std::size_t needed = kRoom + lane->reset_reason.size();
    if (!own_room(needed) || out.bytes_left < needed) return;
    due.remove(*lane);
    if (lane->reset_due) {
      FrameHeader h{.type = FrameType::kReset, .lane = lane->number};
      h.code = lane->reset_code;
      put_frame(out, h, lane->reset_reason);
      lane->reset_due = false;
      --resets_due;
      maybe_recycle(*lane);
      continue;
    }
    if (lane->credit_due) {
      put_frame(out, {.type = FrameType::kCredit, .lane = lane->number, .value = lane->granted_in});
    }
    if (lane->blocked_due && lane->asked > lane->credit) {
      put_frame(out, {.type = FrameType::kBlocked, .lane = lane->number, .value = lane->asked});
    }
    lane->credit_due = lane->blocked_due = false;
  }
}

// The most urgent that has a piece, unless one has waited for nearly as long as it may.
Lane* Session::Impl::pick() {
  std::size_t chosen = kPriorities;
  for (std::size_t p = kPriorities; p-- > 0;) {
    if (!ready[p].empty()) chosen = p;
  }
  if (chosen == kPriorities) return nullptr;
  for (std::size_t p = 0; p < kPriorities; ++p) {
    // As many as there are priorities may be due at once, and one goes at a time.
    if (!ready[p].empty() && passed[p] + kPriorities >= kPieceShare) chosen = p;
  }
  for (std::size_t p = 0; p < kPriorities; ++p) {
    passed[p] = p == chosen || ready[p].empty() ? 0 : passed[p] + 1;
  }
  return ready[chosen].front();
}

// Spans over the message's parts, from where it is.
void Session::Impl::put_payload(Out& out, Lane& lane, std::uint32_t bytes) {
  lane.offset += bytes;
  out.bytes_left -= std::min<std::size_t>(bytes, out.bytes_left);
  while (bytes > 0) {
    const std::span<const std::byte> rest =
        lane.current->parts[lane.part].subspan(lane.part_offset);
    const std::size_t take = std::min<std::size_t>(bytes, rest.size());
    if (take > 0) out.spans[out.count++] = rest.first(take);
    bytes -= static_cast<std::uint32_t>(take);
    lane.part_offset += take;
    if (take < rest.size()) break;
    ++lane.part;
    lane.part_offset = 0;
  }
}

// False: there is none, or no room for it.
bool Session::Impl::put_piece(Out& out) {
  if (piece_count == kGatherPieces || out.spans.size() - out.count < kGatherSpansMin) return false;
  if (!own_room(kFrameHeaderBytes + 8)) return false;
  // The first piece of a gather is cut to fit, so that there is one; those behind it go whole or not.
  const bool may_cut = piece_count == 0;
  const std::size_t room = out.bytes_left - std::min(out.bytes_left, kFrameHeaderBytes + 8);
  if (room < (may_cut ? 8 : std::min<std::size_t>(kPieceBytesMax, peer_payload_max))) return false;
  Lane* const lane = pick();
  if (lane == nullptr) return false;

  const std::uint32_t left = lane->current_bytes - lane->offset;
  std::size_t bytes = std::min<std::size_t>({left, kPieceBytesMax, peer_payload_max});
  if (bytes > room) bytes = round_down(room, std::size_t{8});
  FrameHeader h{.type = FrameType::kData, .last = bytes == left, .priority = lane->priority};
  h.length = static_cast<std::uint32_t>(bytes);
  h.lane = lane->number;
  h.offset = lane->offset;
  h.message_bytes = lane->current_bytes;
  h.message_number = lane->next_out;
  const FrameBytes header_bytes = encode(h);
  put_own(out, header_bytes.data(), header_bytes.size());
  OutgoingMessage* const message = lane->current;
  put_payload(out, *lane, h.length);
  put_own(out, kZeros, h.payload_padded() - h.length);

  pieces[piece_count++] = {lane, message, h.last};
  ++lane->in_gather;
  ready_list(*lane).remove(*lane);
  if (!lane->announced) {
    lane->announced = true;
    highest_in = lane->number;
    opening.remove(*lane);
    if (lane->credit_due) make_due(*lane);
    admit_opening();
  }
  if (h.last) {
    ++lane->next_out;
    make_current(*lane, message->link.next);
  } else {
    make_ready(*lane);
  }
  return true;
}

std::size_t Session::gather(std::span<std::span<const std::byte>> spans, std::size_t bytes_max) {
  Impl& s = *impl_;
  if (s.in_flight) return 0;
  PENSTOCK_ASSERT(spans.size() >= kGatherSpansMin);
  PENSTOCK_ASSERT(bytes_max >= kGatherBytesMin);
  s.own_used = 0;
  Impl::Out out{.spans = spans, .bytes_left = bytes_max};
  s.put_control(out);
  if (s.state == Impl::State::kOpen || (s.state == Impl::State::kPreface && !s.options.server)) {
    while (s.put_piece(out)) {
    }
  }
  s.in_flight = out.count > 0;
  return out.count;
}

void Session::sent(Nanos now) {
  Impl& s = *impl_;
  PENSTOCK_ASSERT(s.in_flight);
  s.in_flight = false;
  s.now = now;
  s.last_out = now;
  if (s.close_in_flight) s.close_due = false;
  Lane::Queue done;
  Lane::Queue dropped;
  const std::size_t count = s.piece_count;
  s.piece_count = 0;
  for (const Impl::Piece& piece : std::span(s.pieces).first(count)) {
    Lane& lane = *piece.lane;
    --lane.in_gather;
    if (piece.completes) {
      lane.queue.remove(*piece.message);
      done.push_back(*piece.message);
    }
    if (lane.in_gather > 0) continue;
    if (lane.ended) {
      while (OutgoingMessage* message = lane.queue.pop_front()) dropped.push_back(*message);
      s.maybe_recycle(lane);
    } else if (lane.queue.empty() && !s.writable.contains(lane)) {
      s.writable.push_back(lane);
    }
  }
  while (OutgoingMessage* message = done.pop_front()) {
    if (message->done != nullptr) message->done(*message, true);
  }
  Impl::drop(dropped);
}

bool Session::output_pending() const {
  const Impl& s = *impl_;
  if (s.in_flight) return false;
  if (s.state == Impl::State::kClosing) return s.preface_due || (s.close_due && !s.close_in_flight);
  if (s.preface_due) return true;
  if (s.options.server && s.state == Impl::State::kPreface) return false;
  const bool control = s.pong_due || s.ping_due || s.blocked_due || !s.due.empty() ||
                       s.account.granted > s.granted_told;
  return control || std::any_of(std::begin(s.ready), std::end(s.ready),
                                [](const auto& list) { return !list.empty(); });
}

}  // namespace penstock::transport
