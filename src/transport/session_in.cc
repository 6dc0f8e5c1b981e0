// From bytes to frames, and what those say that carry no message.
#include "transport/session_impl.h"

#include <algorithm>
#include <cstring>

namespace penstock::transport {

std::span<std::byte> Session::destination() {
  Impl& s = *impl_;
  s.direct = false;
  if (s.state == Impl::State::kClosing || s.paused) return {};
  s.given = true;
  if (s.phase == Impl::Phase::kPiece && s.available() == 0 &&
      s.piece_left >= Impl::kDirectBytesMin) {
    s.direct = true;
    Lane& lane = *s.piece_lane;
    return {reinterpret_cast<std::byte*>(lane.buffer.data) + lane.received, s.piece_left};
  }
  if (s.in_begin > 0) {
    std::memmove(s.in.get(), s.in.get() + s.in_begin, s.available());
    s.in_end -= s.in_begin;
    s.in_begin = 0;
  }
  PENSTOCK_ASSERT(s.in_end < Impl::kInputBytes);
  return {s.in.get() + s.in_end, Impl::kInputBytes - s.in_end};
}

void Session::arrived(std::size_t bytes, Nanos now) {
  Impl& s = *impl_;
  s.now = now;
  s.last_in = now;
  s.given = false;
  if (s.direct) {
    PENSTOCK_ASSERT(bytes <= s.piece_left);
    if (s.state == Impl::State::kClosing) {
      // It closed while this was awaited.
      if (s.piece_lane->half) s.drop_half(*s.piece_lane);
      return;
    }
    s.piece_left -= bytes;
    s.grew(*s.piece_lane, bytes);
    return;
  }
  PENSTOCK_ASSERT(bytes <= Impl::kInputBytes - s.in_end);
  s.in_end += bytes;
}

Session::Impl::Step Session::Impl::step(SessionEvent& event) {
  if (state == State::kPreface) return take_preface();
  switch (phase) {
    case Phase::kHeader:
      return take_header(event);
    case Phase::kPiece:
      return take_piece(event);
    case Phase::kReason:
      return take_reason(event);
    case Phase::kSkip:
      break;
  }
  const std::size_t skipped = std::min(available(), skip_left);
  consume(skipped);
  skip_left -= skipped;
  if (skip_left > 0) return Step::kStop;
  phase = Phase::kHeader;
  return Step::kMore;
}

Session::Impl::Step Session::Impl::take_preface() {
  if (available() < kPrefaceBytes) return Step::kStop;
  const std::uint32_t payload_max =
      decode_preface(std::span(in.get() + in_begin, kPrefaceBytes).first<kPrefaceBytes>());
  if (payload_max == 0) {
    fail(CloseCode::kProtocol, "no preface of this protocol");
    close_due = false;  // nor an answer
    return Step::kStop;
  }
  consume(kPrefaceBytes);
  peer_payload_max = payload_max;
  state = State::kOpen;
  started = now;
  if (!options.server) return Step::kMore;
  preface_due = true;
  if (account.open) return Step::kMore;
  fail(CloseCode::kOverloaded, "no room for another session");
  return Step::kStop;
}

Session::Impl::Step Session::Impl::take_header(SessionEvent& event) {
  if (available() < kFrameHeaderBytes) return Step::kStop;
  const DecodedFrame frame =
      decode(std::span(in.get() + in_begin, kFrameHeaderBytes).first<kFrameHeaderBytes>());
  const FrameHeader& h = frame.header;
  if (frame.status == FrameStatus::kMalformed) {
    fail(CloseCode::kProtocol, frame.why);
    return Step::kStop;
  }
  if (h.length > options.frame_payload_max) {
    fail(CloseCode::kTooLarge, "a frame above the limit");
    return Step::kStop;
  }
  if (frame.status == FrameStatus::kPassOver) {
    consume(kFrameHeaderBytes);
    skip_left = h.payload_padded();
    phase = Phase::kSkip;
    return Step::kMore;
  }
  if (h.type == FrameType::kData) return take_data(h);
  consume(kFrameHeaderBytes);
  return take_control(h, event);
}

Session::Impl::Step Session::Impl::take_control(const FrameHeader& h, SessionEvent& event) {
  switch (h.type) {
    case FrameType::kCredit:
      return take_credit(h, event);
    case FrameType::kBlocked:
      // Of a lane's own account: its owner grants as it takes.
      if (options.server && h.lane == kSessionLane) staging.want(account, h.value, now);
      return Step::kMore;
    case FrameType::kPing:
      pong_due = true;  // one answer for however many
      pong_value = h.value;
      return Step::kMore;
    case FrameType::kPong:
      return Step::kMore;
    default:
      header = h;
      phase = Phase::kReason;
      return Step::kMore;
  }
}

Session::Impl::Step Session::Impl::take_credit(const FrameHeader& h, SessionEvent& event) {
  if (h.lane == kSessionLane) {
    if (h.value <= credit || options.server) return Step::kMore;
    credit = h.value;
    admit_waiting();
  } else {
    Lane* lane = lanes.find(h.lane);
    if (lane == nullptr || !options.server || h.value <= lane->credit) return Step::kMore;
    lane->credit = h.value;
    const bool waits = lane->own_account && lane->current != nullptr && !lane->debited;
    if (waits) admit(*lane);
  }
  event.kind = SessionEventKind::kCredit;
  event.lane = h.lane;
  return Step::kEvent;
}

Session::Impl::Step Session::Impl::take_reason(SessionEvent& event) {
  const std::size_t length = header.payload_padded();
  if (available() < length) return Step::kStop;
  const std::string_view words(reinterpret_cast<const char*>(in.get() + in_begin), header.length);
  consume(length);
  phase = Phase::kHeader;
  if (header.type == FrameType::kClose) {
    stop(header.code, words, true);
    return Step::kStop;
  }
  if (header.lane == 0 || header.lane == kSessionLane) {
    fail(CloseCode::kProtocol, "RESET of a lane that always is");
    return Step::kStop;
  }
  Lane* lane = lanes.find(header.lane);
  if (lane == nullptr || !lane->announced) return Step::kMore;
  Lane::Queue dropped;
  const std::uint32_t number = lane->number;
  end_lane(*lane, dropped);
  maybe_recycle(*lane);
  drop(dropped);
  event.kind = SessionEventKind::kReset;
  event.lane = number;
  event.by_peer = true;
  event.code = header.code;
  event.reason = words;
  return Step::kEvent;
}

}  // namespace penstock::transport
