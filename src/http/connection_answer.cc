// The way out: answers, refusals, and the end of a connection.
#include "base/assert.h"
#include "http/connection.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace penstock::http {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

void Connection::respond(int status, std::string_view content_type, std::string_view extra_headers,
                         Nanos now) {
  PENSTOCK_ASSERT(state_ == State::kServing);
  if (peer_gone_) {
    ++shared_.counters.aborted;
    return retire();
  }
  if (shared_.draining) closing_ = true;
  answer({.status = status,
          .content_type = content_type,
          .extra_headers = extra_headers,
          .date_line = shared_.date.at(shared_.wall),
          .keep_alive = !closing_,
          .head_only = method == "HEAD"},
         now);
  give_body();
}

void Connection::refuse(Rejection rejection, Nanos now) {
  ++shared_.counters.rejected[static_cast<std::size_t>(rejection)];
  leave_queues();
  closing_ = refused_ = true;
  // Not while the socket may still write into it.
  if (!receiving_ || tls_ != nullptr) give_body();
  const RejectionText refusal = describe(rejection);
  response_.clear();
  response_.append(refusal.text);
  if (rejection == Rejection::kBodyTooLarge) {
    std::array<char, 64> limit{};
    const int size = std::snprintf(limit.data(), limit.size(), "The limit is %llu bytes.\n",
                                   static_cast<unsigned long long>(shared_.options.body_bytes_max));
    response_.append({limit.data(), static_cast<std::size_t>(size)});
  }
  answer({.status = refusal.status,
          .content_type = "text/plain",
          .extra_headers = {},
          .date_line = shared_.date.at(shared_.wall),
          .keep_alive = false},
         now);
}

void Connection::answer(const ResponseHead& head, Nanos now) {
  answer_rest_ = response_.finish(head);
  state_ = State::kAnswering;
  arm_write(now);
  send_more(now);
}

void Connection::arm_write(Nanos now) {
  const bool held = response_.held_bytes() > 0;
  shared_.deadlines.arm(deadline_, held ? DeadlineKind::kWriteHeld : DeadlineKind::kWrite, now);
}

// The rest of a body is wanted; a client that waits to be asked is asked once.
void Connection::want_body(Nanos now) {
  if (interim_) {
    interim_ = false;
    if (tls_ != nullptr) {
      if (tls_->writable()) tls_->write(bytes_of(kContinue));
      send_more(now);
    } else if (!sending_) {
      send(bytes_of(kContinue), now);
    }
  }
  want_input(now);
}

// One piece at a time, so that every piece that leaves is progress.
void Connection::send_more(Nanos now) {
  if (sending_ || state_ == State::kClosing || state_ == State::kClosed) return;
  const std::string_view piece = answer_rest_.substr(0, kPieceBytes);
  answer_rest_.remove_prefix(piece.size());
  if (tls_ == nullptr) {
    if (!piece.empty()) send(bytes_of(piece), now);
    return;
  }
  if (!piece.empty()) {
    if (!tls_->writable()) return close();
    tls_->write(bytes_of(piece));
    if (answer_rest_.empty() && closing_) tls_->end();
  }
  if (tls_->output_bytes() > 0) send(tls_->take_output(), now);
}

void Connection::send(std::span<const std::byte> bytes, Nanos now) {
  sending_ = true;
  if (state_ == State::kAnswering) arm_write(now);
  shared_.socket.send(id_, bytes);
}

void Connection::on_sent(std::uint32_t bytes, Nanos now) {
  sending_ = false;
  shared_.counters.bytes_out += bytes;
  if (state_ == State::kClosing || state_ == State::kClosed) return;
  send_more(now);
  if (sending_ || state_ == State::kClosing) return;
  if (state_ == State::kAnswering) return answered(now);
  if (tls_ != nullptr && tls_->state() == transport::TlsState::kFailed) close();
}

void Connection::answered(Nanos now) {
  response_.release();
  if (tls_ != nullptr) tls_->trim();
  if (refused_) return linger(now);
  if (closing_ || shared_.drain_over || (shared_.draining && filled_ == surplus_)) return close();
  next_request(now);
}

// Closing with unread bytes resets the connection, and the peer may never see its answer: so what it
// still sends is read and dropped for a moment.
void Connection::linger(Nanos now) {
  state_ = State::kLingering;
  shared_.deadlines.arm(deadline_, DeadlineKind::kLinger, now);
  want_input(now);
}

}  // namespace penstock::http
