// A small certificate authority: made, used once, its key forgotten.
//
// Source     OpenSSL X509; ECDSA P-256; valid 825 days (what clients accept at most)
#pragma once

#include "env/entropy.h"

#include <expected>
#include <string>

namespace penstock::server {

struct Certificates {
  std::string authority;  // PEM, for clients' CA bundles
  std::string
      server_chain;  // PEM: server certificate for localhost, 127.0.0.1, ::1 and the host's name
  std::string server_key;  // PEM
};

[[nodiscard]] std::expected<Certificates, std::string> make_certificates(env::Entropy& entropy);

}  // namespace penstock::server
