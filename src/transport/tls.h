// TLS without I/O: ciphertext is fed in and taken out by whoever has the connection.
//
// Shape      ALPN "http/1.1": TLS 1.3, and 1.2 for old clients; "pwp/1": TLS 1.3. Session tickets
// Owner      a TlsContext is constant once made and may be shared by cores; a TlsSession belongs to
//            one core
// Allocates  OpenSSL when a session begins; output buffers until they have grown to the size used, or
//            again for each answer beyond kOutputKept
// Errors     create: kMalformed (certificate, key or trust cannot be read), kConfig (the key is not
//            the certificate's). A session that fails is kFailed and says why
// States     Handshake ─► Open ─► Ended (the peer said so);  any ─► Failed
// Source     ssl(7), BIO_meth_new(3); RFC 8446
#pragma once

#include "penstock/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;

namespace penstock::transport {

// What is spoken inside; ALPN says so to the other side.
enum class TlsProtocol : std::uint8_t { kHttp11, kNative };

class TlsContext {
 public:
  // A server's: the certificate, then its chain, and the private key, as PEM text.
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> server(
      std::string_view chain_pem, std::string_view key_pem,
      TlsProtocol protocol = TlsProtocol::kHttp11);
  // A client's: the certificates it trusts, as PEM text; empty means the system's.
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> client(
      std::string_view trust_pem, TlsProtocol protocol = TlsProtocol::kHttp11);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 private:
  friend class TlsSession;
  TlsContext(ssl_ctx_st* context, bool is_server) : context_(context), is_server_(is_server) {}
  ssl_ctx_st* context_;
  bool is_server_;
};

enum class TlsState : std::uint8_t { kHandshake, kOpen, kEnded, kFailed };

class TlsSession {
 public:
  // `host`: client sessions send it as server name and check the certificate against it.
  explicit TlsSession(std::shared_ptr<const TlsContext> context, std::string_view host = {});
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Ciphertext to read next. It stays valid until `read` returns 0 in state kOpen or kHandshake:
  // then all of it has been consumed. REQUIRES: the last was consumed.
  void feed(std::span<const std::byte> ciphertext);
  // True while fed ciphertext, or plaintext already decrypted, waits for `read`.
  [[nodiscard]] bool input_pending() const;

  // Plaintext into `out`; 0 when more ciphertext is needed or the state is kEnded or kFailed.
  // Drives the handshake: look at `output_bytes` afterwards.
  [[nodiscard]] std::size_t read(std::span<std::byte> out);
  // Encrypts all of `plaintext` into the output. REQUIRES: writable.
  void write(std::span<const std::byte> plaintext);
  // Starts a client's handshake; ends either side's output with a close notification.
  void start();
  void end();

  // Bytes that only the two ends of this connection know (RFC 8446 §7.5). REQUIRES: the handshake is done.
  void export_keying(std::string_view label, std::span<std::byte> out) const;

  // Frees output buffers that a large answer has grown. REQUIRES: what was taken has been sent.
  void trim();
  // What the output buffers take.
  [[nodiscard]] std::size_t output_memory() const {
    return filling_.capacity() + in_flight_.capacity();
  }
  // Ciphertext to send. What `take_output` returns stays valid and unchanged until the next
  // `take_output`; at most one piece is in flight at a time.
  [[nodiscard]] std::size_t output_bytes() const { return filling_.size(); }
  [[nodiscard]] std::span<const std::byte> take_output();
  // The same, in a buffer that becomes the caller's, for an empty one.
  void exchange_output(std::vector<std::byte>& buffer);

  [[nodiscard]] TlsState state() const { return state_; }
  // Also after the peer's end: that says only that it will send no more.
  [[nodiscard]] bool writable() const {
    return state_ == TlsState::kOpen || state_ == TlsState::kEnded;
  }
  // The failure in OpenSSL's words; empty if there was none.
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  static constexpr std::size_t kOutputKept =
      std::size_t{32} * 1024;  // a full record and its neighbours
  friend struct TlsBio;
  void advance_handshake();
  void note_failure(int result);

  std::shared_ptr<const TlsContext> context_;
  ssl_st* ssl_;
  std::span<const std::byte> input_;
  std::vector<std::byte> filling_;
  std::vector<std::byte> in_flight_;
  TlsState state_ = TlsState::kHandshake;
  std::string failure_;
};

}  // namespace penstock::transport
