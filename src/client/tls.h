// TLS as a client wants it: one context per endpoint, shared by its connections, that trusts one CA
// bundle and nothing else where one is named, and always checks the host's name.
//
// Owner      immutable after `make`; any thread
// Errors     kLocal: the bundle cannot be read or holds no certificate
#pragma once

#include "client/failure.h"

#include <memory>
#include <string>

struct ssl_ctx_st;
struct ssl_st;

namespace penstock::client {

class TlsContext {
 public:
  // An empty `ca_file` trusts the system's store.
  [[nodiscard]] static Outcome<std::shared_ptr<TlsContext>> make(const std::string& ca_file);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  // A session for one connection to `host`, certificate to be checked against that name or address.
  [[nodiscard]] ssl_st* open(const std::string& host) const;

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

// The oldest entry of OpenSSL's error queue in words; empties the queue.
[[nodiscard]] std::string tls_error();

}  // namespace penstock::client
