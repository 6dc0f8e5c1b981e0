// From pieces to messages.
#include "transport/session_impl.h"

#include <algorithm>
#include <cstring>

namespace penstock::transport {

bool Session::Impl::over_control_bytes(std::uint32_t bytes) const {
  return control_bytes + padded(bytes) > options.control_bytes_max;
}

// What crossed a RESET: it takes nothing, so it counts as taken at once.
bool Session::Impl::late(const FrameHeader& h) {
  if (!options.server || h.offset > 0) return true;
  if (!staging.begin(account, padded(h.message_bytes), now)) {
    fail(CloseCode::kCredit, "a message beyond the session's credit");
    return false;
  }
  staging.release(account, padded(h.message_bytes), now);
  return true;
}

// Finds or opens its lane; null where the piece is passed over. False: a rule is broken.
bool Session::Impl::open_for(const FrameHeader& h, Lane*& lane) {
  lane = lanes.find(h.lane);
  if (lane != nullptr && lane->announced) return true;
  lane = nullptr;
  if (h.lane <= highest_in) return late(h);
  if (!options.server) {
    fail(CloseCode::kProtocol, "a lane that no client has opened");
    return false;
  }
  if (lanes.size() - 1 + resets_due >= options.lanes_max) {
    fail(CloseCode::kTooLarge, "more lanes than allowed");
    return false;
  }
  if (h.offset != 0 || h.message_number != 0) {
    fail(CloseCode::kProtocol, "a lane begins within a message");
    return false;
  }
  lane = &lanes.open(h.lane);
  highest_in = h.lane;
  return true;
}

// Room and credit for a message whose first piece this is. False: a rule is broken.
bool Session::Impl::begin_message(const FrameHeader& h, Lane& lane) {
  const std::uint64_t bytes = padded(h.message_bytes);
  if (h.offset != 0 || h.message_number != lane.next_in) {
    fail(CloseCode::kProtocol, "a message out of order");
    return false;
  }
  if (lane.number == 0) {
    if (control_waiting >= options.control_waiting_max) {
      fail(CloseCode::kProtocol, "more open requests than allowed on lane 0");
      return false;
    }
    ++control_waiting;
    control_bytes += bytes;
  } else if (options.server) {
    if (!staging.begin(account, bytes, now)) {
      fail(CloseCode::kCredit, "a message beyond the session's credit");
      return false;
    }
  } else if (lane.own_account) {
    if (bytes > lane.granted_in - lane.begun_in) {
      fail(CloseCode::kCredit, "a message beyond the lane's credit");
      return false;
    }
    lane.begun_in += bytes;
  }
  lane.buffer = staging.memory().take(bytes);
  lane.message_bytes = h.message_bytes;
  lane.received = lane.marked = 0;
  lane.mark = now;
  lane.half = true;
  stalling.push_back(lane);
  staged += bytes;
  return true;
}

Session::Impl::Step Session::Impl::take_data(const FrameHeader& h) {
  if (h.lane == 0 && h.message_bytes > options.control_message_max) {
    fail(CloseCode::kProtocol, "a message too large for lane 0");
    return Step::kStop;
  }
  if (h.message_bytes > options.message_max) {
    fail(CloseCode::kTooLarge, "a message above the limit");
    return Step::kStop;
  }
  if (h.lane == 0 && h.offset == 0 && over_control_bytes(h.message_bytes)) {
    paused = true;  // until a release: the header stays where it is
    return Step::kStop;
  }
  Lane* lane = nullptr;
  if (!open_for(h, lane)) return Step::kStop;
  consume(kFrameHeaderBytes);
  if (lane == nullptr) {
    skip_left = h.payload_padded();
    phase = Phase::kSkip;
    return Step::kMore;
  }
  if (!lane->half) {
    if (!begin_message(h, *lane)) return Step::kStop;
  } else if (h.offset != lane->received || h.message_number != lane->next_in ||
             h.message_bytes != lane->message_bytes) {
    fail(CloseCode::kProtocol, "a piece that does not follow the one before");
    return Step::kStop;
  }
  lane->in_piece = true;
  piece_lane = lane;
  piece_left = h.length;
  skip_left = h.payload_padded() - h.length;
  phase = Phase::kPiece;
  return Step::kMore;
}

void Session::Impl::grew(Lane& lane, std::size_t bytes) {
  lane.received += static_cast<std::uint32_t>(bytes);
  if (lane.received - lane.marked < kStallBytes) return;
  lane.marked = lane.received;
  lane.mark = now;
  stalling.remove(lane);
  stalling.push_back(lane);
}

Session::Impl::Step Session::Impl::take_piece(SessionEvent& event) {
  Lane& lane = *piece_lane;
  const std::size_t bytes = std::min(available(), piece_left);
  if (bytes > 0) {
    std::memcpy(lane.buffer.data + lane.received, in.get() + in_begin, bytes);
    consume(bytes);
    piece_left -= bytes;
    grew(lane, bytes);
  }
  if (piece_left > 0) return Step::kStop;
  phase = Phase::kSkip;
  piece_lane = nullptr;
  lane.in_piece = false;
  if (lane.ended) {
    drop_half(lane);
    maybe_recycle(lane);
    return Step::kMore;
  }
  if (lane.received < lane.message_bytes) return Step::kMore;
  stalling.remove(lane);
  lane.half = false;
  if (lane.number == 0) greeted = true;
  whole += padded(lane.message_bytes);
  event.kind = SessionEventKind::kMessage;
  event.lane = lane.number;
  event.opened = options.server && lane.number != 0 && lane.next_in == 0;
  event.message = {lane.number, lane.next_in++, lane.message_bytes, lane.buffer};
  lane.buffer = {};
  return Step::kEvent;
}

}  // namespace penstock::transport
