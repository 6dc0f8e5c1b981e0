#include "transport/tls.h"

#include "base/assert.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace penstock::transport {

// How OpenSSL reaches a session's buffers: it reads the fed ciphertext where it lies and appends to
// the output, so that nothing is copied into a memory BIO in between.
struct TlsBio {
  static int write(BIO* bio, const char* data, std::size_t bytes, std::size_t* written) {
    auto& session = *static_cast<TlsSession*>(BIO_get_data(bio));
    const auto* from = reinterpret_cast<const std::byte*>(data);
    session.filling_.insert(session.filling_.end(), from, from + bytes);
    *written = bytes;
    return 1;
  }

  static int read(BIO* bio, char* data, std::size_t bytes, std::size_t* taken) {
    auto& session = *static_cast<TlsSession*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *taken = std::min(bytes, session.input_.size());
    if (*taken == 0) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(data, session.input_.data(), *taken);
    session.input_ = session.input_.subspan(*taken);
    return 1;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }

  static const BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "penstock");
      BIO_meth_set_write_ex(m, write);
      BIO_meth_set_read_ex(m, read);
      BIO_meth_set_ctrl(m, control);
      BIO_meth_set_create(m, create);
      return m;
    }();
    return made;
  }
};

namespace {

// As ALPN has it: the length, then the name.
std::string_view wire_name(TlsProtocol protocol) {
  return protocol == TlsProtocol::kHttp11 ? "\x08http/1.1" : "\x05pwp/1";
}

// A client that offers protocols of which none is ours is told so, rather than answered in one that
// it does not expect.
template <TlsProtocol kProtocol>
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_bytes,
                    const unsigned char* offered, unsigned int offered_bytes, void*) {
  const std::string_view ours = wire_name(kProtocol);
  unsigned char* chosen = nullptr;
  const int outcome =
      SSL_select_next_proto(&chosen, out_bytes, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned int>(ours.size()), offered, offered_bytes);
  *out = chosen;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using BioPointer = std::unique_ptr<BIO, FreeBio>;
using Certificate = std::unique_ptr<X509, FreeCertificate>;
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
using ContextPointer = std::unique_ptr<SSL_CTX, FreeContext>;

BioPointer reader(std::string_view text) {
  return BioPointer(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate next_certificate(BIO* pem) {
  return Certificate(PEM_read_bio_X509(pem, nullptr, nullptr, nullptr));
}

ContextPointer make_context(const SSL_METHOD* method, TlsProtocol protocol) {
  ContextPointer context(SSL_CTX_new(method));
  PENSTOCK_ASSERT(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(),
                                protocol == TlsProtocol::kHttp11 ? TLS1_2_VERSION : TLS1_3_VERSION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  return context;
}

std::string error_text() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "the connection ended";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown TLS error";
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::server(std::string_view chain_pem,
                                                       std::string_view key_pem,
                                                       TlsProtocol protocol) {
  ContextPointer context = make_context(TLS_server_method(), protocol);
  const BioPointer chain = reader(chain_pem);
  const Certificate own = next_certificate(chain.get());
  if (!own || SSL_CTX_use_certificate(context.get(), own.get()) != 1) {
    ERR_clear_error();
    return fail(ErrorCode::kMalformed);
  }
  while (const Certificate issuer = next_certificate(chain.get())) {
    SSL_CTX_add1_chain_cert(context.get(), issuer.get());
  }
  ERR_clear_error();  // the end of the file is an error to the PEM reader

  const BioPointer key_text = reader(key_pem);
  const Key key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  if (!key) {
    ERR_clear_error();
    return fail(ErrorCode::kMalformed, 0, 1);
  }
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    ERR_clear_error();
    return fail(ErrorCode::kConfig);
  }
  SSL_CTX_set_alpn_select_cb(context.get(),
                             protocol == TlsProtocol::kHttp11
                                 ? select_protocol<TlsProtocol::kHttp11>
                                 : select_protocol<TlsProtocol::kNative>,
                             nullptr);
  // Tickets carry the session, so nothing is kept here and cores share nothing.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 2);
  static constexpr unsigned char kSessionContext[] = "penstock";
  SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof kSessionContext - 1);
  return std::shared_ptr<TlsContext>(new TlsContext(context.release(), true));
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(std::string_view trust_pem,
                                                       TlsProtocol protocol) {
  ContextPointer context = make_context(TLS_client_method(), protocol);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (trust_pem.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else {
    const BioPointer pem = reader(trust_pem);
    std::size_t count = 0;
    while (const Certificate trusted = next_certificate(pem.get())) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), trusted.get());
      ++count;
    }
    ERR_clear_error();
    if (count == 0) return fail(ErrorCode::kMalformed);
  }
  const std::string_view name = wire_name(protocol);
  SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(name.data()),
                          static_cast<unsigned int>(name.size()));
  return std::shared_ptr<TlsContext>(new TlsContext(context.release(), false));
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context, std::string_view host)
    : context_(std::move(context)), ssl_(SSL_new(context_->context_)) {
  PENSTOCK_ASSERT(ssl_ != nullptr);
  BIO* bio = BIO_new(TlsBio::method());
  PENSTOCK_ASSERT(bio != nullptr);
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_, bio, bio);
  if (context_->is_server_) {
    SSL_set_accept_state(ssl_);
    return;
  }
  SSL_set_connect_state(ssl_);
  if (host.empty()) return;
  const std::string name(host);
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), name.c_str()) != 1) {
    ERR_clear_error();
    SSL_set1_host(ssl_, name.c_str());
    SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(name.c_str()));  // copied, not changed
  }
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

void TlsSession::feed(std::span<const std::byte> ciphertext) {
  PENSTOCK_ASSERT(input_.empty());
  input_ = ciphertext;
}

bool TlsSession::input_pending() const { return !input_.empty() || SSL_pending(ssl_) > 0; }

void TlsSession::start() {
  if (state_ == TlsState::kHandshake) advance_handshake();
}

void TlsSession::advance_handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    state_ = TlsState::kOpen;
  } else {
    note_failure(result);
  }
}

std::size_t TlsSession::read(std::span<std::byte> out) {
  if (state_ == TlsState::kHandshake) advance_handshake();
  if (state_ != TlsState::kOpen || out.empty()) return 0;
  ERR_clear_error();
  std::size_t total = 0;
  while (total < out.size()) {
    std::size_t bytes = 0;
    const int result = SSL_read_ex(ssl_, out.data() + total, out.size() - total, &bytes);
    if (result != 1) {
      note_failure(result);
      break;
    }
    total += bytes;
  }
  return total;
}

void TlsSession::write(std::span<const std::byte> plaintext) {
  PENSTOCK_ASSERT(writable());
  ERR_clear_error();
  while (!plaintext.empty()) {
    std::size_t bytes = 0;
    const int result = SSL_write_ex(ssl_, plaintext.data(), plaintext.size(), &bytes);
    if (result != 1) {
      note_failure(result);
      return;
    }
    plaintext = plaintext.subspan(bytes);
  }
}

void TlsSession::end() {
  if (state_ != TlsState::kOpen && state_ != TlsState::kEnded) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

void TlsSession::export_keying(std::string_view label, std::span<std::byte> out) const {
  PENSTOCK_ASSERT(writable());
  const int done =
      SSL_export_keying_material(ssl_, reinterpret_cast<unsigned char*>(out.data()), out.size(),
                                 label.data(), label.size(), nullptr, 0, 0);
  PENSTOCK_ASSERT(done == 1);
}

void TlsSession::note_failure(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return;
    case SSL_ERROR_ZERO_RETURN:
      state_ = TlsState::kEnded;
      return;
    default:
      state_ = TlsState::kFailed;
      failure_ = error_text();
  }
}

void TlsSession::trim() {
  if (in_flight_.capacity() > kOutputKept) std::vector<std::byte>().swap(in_flight_);
  if (filling_.empty() && filling_.capacity() > kOutputKept) {
    std::vector<std::byte>().swap(filling_);
  }
}

void TlsSession::exchange_output(std::vector<std::byte>& buffer) {
  PENSTOCK_ASSERT(buffer.empty());
  filling_.swap(buffer);
}

std::span<const std::byte> TlsSession::take_output() {
  in_flight_.clear();
  in_flight_.swap(filling_);
  return in_flight_;
}

}  // namespace penstock::transport
