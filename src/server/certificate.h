// A small certificate authority, and the server certificates that it signs.
//
// Units      times in seconds since 1970, UTC
// Shape      an authority does not end (RFC 5280 §4.1.2.5), so that a ca.pem once given to clients stays
//            good; a server certificate is valid for 825 days (what clients accept at most) from now
// Errors     text of what failed
// Source     OpenSSL X509; ECDSA P-256
#pragma once

#include "env/entropy.h"

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace penstock::server {

struct Certificates {
  std::string authority;      // PEM, for clients' CA bundles
  std::string authority_key;  // PEM; signs the next server certificate
  std::string server_chain;   // PEM: for localhost, 127.0.0.1, ::1 and the host's name
  std::string server_key;     // PEM
};

// A clock before 2026 has not been set (a board without a battery starts in 1970). A certificate made
// by it is valid in 1970 and for good, and is replaced at the first start with a clock.
[[nodiscard]] bool clock_was_set(std::int64_t now);

[[nodiscard]] std::expected<Certificates, std::string> make_certificates(env::Entropy& entropy,
                                                                         std::int64_t now);

// Another certificate of the same authority for the same key, so that one file changes.
[[nodiscard]] std::expected<std::string, std::string> renew_certificate(
    std::string_view authority, std::string_view authority_key, std::string_view server_key,
    env::Entropy& entropy, std::int64_t now);

struct Validity {
  std::int64_t from = 0;
  std::int64_t until = 0;
};

// Of the first certificate in `chain`.
[[nodiscard]] std::expected<Validity, std::string> validity_of(std::string_view chain);

// Why a certificate should be replaced, in words for a log line; empty when it should not. A clock that
// was not set is no reason.
[[nodiscard]] std::string_view renewal_reason(const Validity& validity, std::int64_t now);

}  // namespace penstock::server
