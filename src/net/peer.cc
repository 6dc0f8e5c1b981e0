#include "net/peer.h"

#include "base/assert.h"

#include <algorithm>
#include <utility>

namespace penstock::net {
namespace {

constexpr std::byte kTlsHandshake{0x16};
constexpr std::byte kPrefaceBegin{'P'};

}  // namespace

Peer::Peer(const Parts& parts, env::ConnectionId id, Nanos now)
    : parts_(parts),
      id_(id),
      since_(now),
      hold_(parts.held != nullptr),
      session_(parts.session, parts.staging, now) {
  receiving_ = true;
  parts_.socket.receive(id_, {&first_, 1});
}

Peer::~Peer() = default;

proto::HelloChannel Peer::channel() const {
  proto::HelloChannel channel{};
  if (tls_ != nullptr) tls_->export_keying(proto::kHelloLabel, channel);
  return channel;
}

void Peer::abort() {
  if (state_ == State::kClosing || state_ == State::kClosed) return;
  state_ = State::kClosing;
  parts_.socket.close(id_);
}

// The first byte says what is spoken.
void Peer::sniff() {
  state_ = State::kSpeaking;
  if (first_ == kTlsHandshake && parts_.tls != nullptr) {
    tls_ = std::make_unique<transport::TlsSession>(parts_.tls);
    cipher_ = std::make_unique<std::byte[]>(kCipherBytes);
    return tls_->feed({&first_, 1});
  }
  if (first_ != kPrefaceBegin || !parts_.plain) {
    ++parts_.counters.refused;
    abort();
  }
}

void Peer::on_received(std::uint32_t bytes, Nanos now) {
  receiving_ = false;
  parts_.counters.bytes_in += bytes;
  if (state_ == State::kClosing || state_ == State::kClosed) return;
  if (bytes == 0) return abort();  // nothing that this side says has anybody to act on it
  if (state_ == State::kLingering) return;
  if (state_ == State::kSpeaking) return accept(bytes, now);
  sniff();
  if (state_ != State::kSpeaking || tls_ != nullptr) return;
  session_.destination().front() = first_;
  session_.arrived(1, now);
}

void Peer::accept(std::uint32_t bytes, Nanos now) {
  tls_ == nullptr ? session_.arrived(bytes, now) : tls_->feed({cipher_.get(), bytes});
}

bool Peer::more(Nanos now) {
  if (state_ != State::kSpeaking || tls_ == nullptr || !tls_->input_pending()) return false;
  const std::span<std::byte> into = session_.destination();
  if (into.empty()) return false;
  const std::size_t bytes = tls_->read(into);
  if (!shaken_ && tls_->state() == transport::TlsState::kOpen) {
    shaken_ = true;
    ++parts_.counters.tls_handshakes;
  }
  if (bytes > 0) session_.arrived(bytes, now);
  return bytes > 0;
}

void Peer::want_input() {
  if (receiving_ || (state_ != State::kSpeaking && state_ != State::kLingering)) return;
  std::span<std::byte> into = {&first_, 1};
  if (tls_ != nullptr) {
    if (state_ == State::kSpeaking && tls_->input_pending())
      return;  // the session takes no more at present
    into = {cipher_.get(), kCipherBytes};
  } else if (state_ == State::kSpeaking) {
    into = session_.destination();
  } else {
    into = dropped_;
  }
  if (into.empty()) return;
  receiving_ = true;
  parts_.socket.receive(id_, into);
}

bool Peer::send_plain() {
  std::array<std::span<const std::byte>, env::kSendPiecesMax> pieces;
  const std::size_t count = session_.gather(pieces, kSendBytes);
  if (count == 0) return false;
  for (std::size_t i = 0; i < count; ++i) parts_.counters.bytes_out += pieces[i].size();
  plain_in_flight_ = true;
  parts_.socket.send(id_, std::span(pieces).first(count));
  return true;
}

bool Peer::send_sealed(Nanos now) {
  std::array<std::span<const std::byte>, env::kSendPiecesMax> pieces;
  while (tls_->writable() && tls_->output_bytes() < kSendBytes) {
    const std::size_t count = session_.gather(pieces, kSendBytes);
    if (count == 0) break;
    for (std::size_t i = 0; i < count; ++i) tls_->write(pieces[i]);
    session_.sent(now);
  }
  if (session_.closed() && tls_->writable()) tls_->end();
  const std::size_t bytes = tls_->output_bytes();
  if (bytes == 0) return false;
  parts_.counters.bytes_out += bytes;
  if (may_hold(bytes)) {
    std::vector<std::byte>& sealed = held_[(held_first_ + held_count_++) % held_.size()];
    sealed = parts_.held->take();
    tls_->exchange_output(sealed);
    parts_.socket.send_held(id_, sealed);
  } else {
    parts_.socket.send(id_, tls_->take_output());
  }
  return true;
}

bool Peer::may_hold(std::size_t bytes) const {
  return hold_ && bytes >= env::kHeldBytesMin && held_count_ < held_.size() &&
         parts_.held->has_room();
}

void Peer::give_back_oldest() {
  PENSTOCK_ASSERT(held_count_ > 0);
  parts_.held->give(std::move(held_[held_first_]));
  held_first_ = (held_first_ + 1) % held_.size();
  --held_count_;
}

void Peer::on_released(const env::SocketEvent& event) {
  for (std::size_t i = 0; i < event.released; ++i) give_back_oldest();
  parts_.counters.uncopied += event.uncopied;
  parts_.counters.copied += event.copied;
  // Its driver has given it up: others have more use for the memory.
  if (event.released > event.uncopied - event.copied) hold_ = false;
}

void Peer::on_closed() {
  state_ = State::kClosed;
  while (held_count_ > 0) give_back_oldest();
}

void Peer::on_sent(Nanos now) {
  sending_ = false;
  if (plain_in_flight_) {
    plain_in_flight_ = false;
    session_.sent(now);
  }
}

bool Peer::broken() const {
  return tls_ != nullptr && tls_->state() != transport::TlsState::kHandshake &&
         tls_->state() != transport::TlsState::kOpen;
}

void Peer::linger(Nanos now) {
  if (state_ != State::kSpeaking) return;
  state_ = State::kLingering;
  since_ = now;
}

void Peer::pump(Nanos now, bool listen) {
  if (state_ != State::kSpeaking && state_ != State::kLingering) return;
  if (!sending_) {
    sending_ = tls_ != nullptr ? send_sealed(now) : send_plain();
    sending_from_ = now;
  }
  if (!sending_ && broken()) {
    if (tls_->state() == transport::TlsState::kFailed) ++parts_.counters.tls_failures;
    return abort();
  }
  if (listen) want_input();
}

void Peer::tick(Nanos now) {
  switch (state_) {
    case State::kSniffing:
      if (now - since_ < parts_.session.preface_nanos) return;
      ++parts_.counters.refused;
      return abort();
    case State::kSpeaking:
      if (sending_ && now - sending_from_ >= kSlowNanos) {
        return session_.close(transport::CloseCode::kSlow, "what it is owed is not taken");
      }
      return session_.tick(now);
    case State::kLingering:
      if (now - since_ >= kLingerNanos) abort();
      return;
    default:
      return;
  }
}

}  // namespace penstock::net
