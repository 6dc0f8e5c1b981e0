// A connection's life, and its bytes on the way in. What they mean is in connection_request.cc, what
// goes out in connection_answer.cc.
#include "http/connection.h"

#include "base/assert.h"

#include <utility>

namespace penstock::http {

Connection::Connection(ConnectionShared& shared) : shared_(shared), response_(shared.answers) {
  deadline_.owner = receive_entry_.owner = memory_entry_.owner = retired_entry_.owner = this;
}

Connection::~Connection() {
  leave_queues();
  release_memory();
}

void Connection::open(env::ConnectionId id, std::uint64_t serial, std::uint32_t listener_tag,
                      std::shared_ptr<const transport::TlsContext> tls, Nanos now) {
  PENSTOCK_ASSERT(state_ == State::kClosed);
  id_ = id;
  connection_serial = serial;
  listener = listener_tag;
  secure = tls != nullptr;
  receiving_ = sending_ = closing_ = refused_ = peer_gone_ = interim_ = false;
  decrypting_ = shaken_ = false;
  filled_ = surplus_ = 0;
  answer_rest_ = {};
  parser_.reset();
  if (tls != nullptr) {
    tls_ = std::make_unique<transport::TlsSession>(std::move(tls));
    if (cipher_ == nullptr) cipher_ = std::make_unique<std::byte[]>(kCipherBytes);
  }
  state_ = State::kHead;
  shared_.deadlines.arm(deadline_, DeadlineKind::kFirstByte, now);
  want_input(now);
}

std::span<char> Connection::destination() {
  switch (state_) {
    case State::kHead:
      return std::span(head_data(), head_room()).subspan(filled_);
    case State::kBody:
      if (parser_.head().chunked) return std::span(head_data(), head_capacity()).subspan(filled_);
      return std::span(body_data_, body_room()).subspan(body_bytes_);
    case State::kLingering:
      return {small_head_, kSmallBytes};
    default:
      return {};
  }
}

bool Connection::wants_input() const {
  return state_ == State::kHead || state_ == State::kBody || state_ == State::kLingering;
}

void Connection::want_input(Nanos now) {
  if (tls_ != nullptr) {
    if (decrypting_) return;  // its loop goes on
    if (state_ != State::kLingering) {
      if (tls_->input_pending()) return decrypt(now);
      if (tls_->state() == transport::TlsState::kEnded) return peer_ended(now);
    }
  }
  if (!receiving_ && !ConnectionQueue::contains(receive_entry_)) {
    shared_.receive_wanted.push_back(receive_entry_);
  }
}

void Connection::post_receive() {
  if (receiving_ || !wants_input()) return;
  receiving_ = true;
  if (tls_ != nullptr) {
    shared_.socket.receive(id_, {cipher_.get(), kCipherBytes});
  } else {
    shared_.socket.receive(id_, std::as_writable_bytes(destination()));
  }
}

void Connection::on_received(std::uint32_t bytes, Nanos now) {
  receiving_ = false;
  shared_.counters.bytes_in += bytes;
  if (state_ == State::kClosing || state_ == State::kClosed) return;
  if (bytes == 0) return peer_ended(now);
  if (refused_) give_body();  // nothing is received into it any more
  if (state_ == State::kLingering) return want_input(now);
  if (!wants_input()) return;  // refused meanwhile: nobody wants to know
  if (tls_ == nullptr) return arrived(bytes, now);
  tls_->feed({cipher_.get(), bytes});
  decrypt(now);
}

void Connection::decrypt(Nanos now) {
  decrypting_ = true;
  std::size_t bytes = 0;
  do {
    bytes = tls_->read(std::as_writable_bytes(destination()));
    if (!shaken_ && tls_->state() == transport::TlsState::kOpen) {
      shaken_ = true;
      ++shared_.counters.tls_handshakes;
    }
    if (bytes > 0) arrived(bytes, now);
  } while (bytes > 0 && wants_input());
  decrypting_ = false;
  send_more(now);  // handshake messages, tickets, alerts
  if (bytes > 0 || !wants_input()) return;
  switch (tls_->state()) {
    case transport::TlsState::kFailed:
      ++shared_.counters.tls_failures;
      if (!sending_) close();  // else when the alert has left
      return;
    case transport::TlsState::kEnded:
      return peer_ended(now);
    default:
      return want_input(now);
  }
}

void Connection::arrived(std::size_t bytes, Nanos now) {
  if (state_ == State::kHead) {
    if (filled_ == 0) shared_.deadlines.arm(deadline_, DeadlineKind::kHead, now);
    filled_ += bytes;
    read_head(now);
  } else if (state_ == State::kBody) {
    // A byte now and then is no progress.
    if (bytes >= body_due_) {
      restart_body_time(now);
    } else {
      body_due_ -= bytes;
    }
    read_body(bytes, now);
  }
}

void Connection::peer_ended(Nanos) {
  if (state_ == State::kAnswering) {
    // It may still read what it is owed.
    closing_ = true;
    refused_ = false;
    return;
  }
  if (state_ == State::kBody || (state_ == State::kHead && filled_ > 0)) ++shared_.counters.aborted;
  close();
}

void Connection::on_deadline(DeadlineKind kind, Nanos now) {
  switch (kind) {
    case DeadlineKind::kFirstByte:
    case DeadlineKind::kIdle:
      ++shared_.counters.idle_closed;
      return close();
    case DeadlineKind::kHead:
    case DeadlineKind::kBody:
      return refuse(Rejection::kTimeout, now);
    case DeadlineKind::kMemory:
      return refuse(Rejection::kOverloaded, now);
    case DeadlineKind::kWrite:
    case DeadlineKind::kWriteHeld: {
      const bool evicted = kind == DeadlineKind::kWriteHeld && shared_.deadlines.contended();
      ++(evicted ? shared_.counters.write_evicted : shared_.counters.write_stalled);
      return close();
    }
    case DeadlineKind::kLinger:
      return close();
  }
}

void Connection::drain() {
  if (state_ == State::kHead && filled_ == 0) close();
}

void Connection::end_drain(Nanos now) {
  if (state_ == State::kHead && filled_ == 0) return close();
  if (state_ == State::kHead || state_ == State::kMemory || state_ == State::kBody) {
    refuse(Rejection::kStopping, now);
  }
}

void Connection::close() {
  if (state_ == State::kClosing) return;
  leave_queues();
  shared_.answer_bytes_closing += response_.held_bytes();
  state_ = State::kClosing;
  shared_.socket.close(id_);
}

void Connection::on_closed() {
  receiving_ = sending_ = false;
  if (state_ == State::kServing) {
    peer_gone_ = true;  // the service has the exchange until it responds
    return;
  }
  if (state_ == State::kBody || state_ == State::kMemory || state_ == State::kRoom ||
      state_ == State::kAnswering) {
    ++shared_.counters.aborted;
  }
  retire();
}

void Connection::retire() {
  leave_queues();
  if (state_ == State::kClosing) shared_.answer_bytes_closing -= response_.held_bytes();
  release_memory();
  tls_.reset();
  state_ = State::kClosed;
  shared_.retired.push_back(retired_entry_);
}

void Connection::leave_queues() {
  shared_.deadlines.disarm(deadline_);
  if (ConnectionQueue::contains(receive_entry_)) shared_.receive_wanted.remove(receive_entry_);
  if (ConnectionQueue::contains(memory_entry_)) {
    if (state_ == State::kRoom) {
      leave_room_queue();
    } else {
      shared_.memory_wanted.remove(memory_entry_);
    }
  }
  if (ConnectionQueue::contains(retired_entry_)) shared_.retired.remove(retired_entry_);
}

void Connection::release_memory() {
  give_body();
  shared_.pool.give(large_head_);
  response_.release();
}

}  // namespace penstock::http
