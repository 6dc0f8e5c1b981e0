// Bytes of the connection: plain, or through TLS.
#include "client/native/link.h"

#include <algorithm>
#include <array>

namespace penstock::client::native {

std::span<std::byte> Link::destination() {
  if (session_ == nullptr) return {};
  if (tls_ == nullptr) return session_->destination();
  if (tls_->input_pending()) return {};
  return {cipher_.get(), kCipherBytes};
}

void Link::arrived(std::size_t bytes, Nanos now) {
  if (session_ == nullptr) return;
  if (tls_ != nullptr) {
    tls_->feed({cipher_.get(), bytes});
    return take_cipher(now);
  }
  session_->arrived(bytes, now);
  take_events(now);
}

void Link::take_cipher(Nanos now) {
  while (tls_ != nullptr && tls_->input_pending()) {
    const std::span<std::byte> into = session_->destination();
    if (into.empty()) return;
    const std::size_t bytes = tls_->read(into);
    if (!greeted_ && tls_->state() == transport::TlsState::kOpen) hello();
    if (bytes > 0) session_->arrived(bytes, now);
    take_events(now);
    if (bytes == 0) break;
  }
  if (tls_ == nullptr) return;
  if (tls_->state() == transport::TlsState::kFailed) {
    on_disconnected("TLS: " + tls_->failure(), now);
  } else if (tls_->state() == transport::TlsState::kEnded) {
    on_disconnected("the server has ended the connection", now);
  }
}

// Moves what the session has to send into TLS.
void Link::seal(Nanos now) {
  std::array<std::span<const std::byte>, 64> pieces;
  while (tls_->writable() && tls_->output_bytes() < kSendBytes) {
    const std::size_t count = session_->gather(pieces, kSendBytes);
    if (count == 0) return;
    for (const auto& piece : std::span(pieces).first(count)) tls_->write(piece);
    session_->sent(now);
  }
}

std::size_t Link::gather(std::span<std::span<const std::byte>> out, Nanos now) {
  if (session_ == nullptr) return 0;
  if (tls_ == nullptr) return session_->gather(out, kSendBytes);
  if (sealed_) return 0;
  seal(now);
  if (tls_->output_bytes() == 0) return 0;
  sealed_ = true;
  out.front() = tls_->take_output();
  return 1;
}

void Link::sent(Nanos now) {
  if (session_ == nullptr) return;
  if (tls_ == nullptr) {
    session_->sent(now);
  } else {
    sealed_ = false;
  }
  if (state_ == State::kEnding && session_->closed()) tick(now);
}

}  // namespace penstock::client::native
