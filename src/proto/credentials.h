// Who may call: access keys and their secrets, and the proof by which the native protocol shows that a
// client has one.
//
// Owner      a CredentialSet is constant and shared
// Allocates  once for a proof, which a connection needs once
// Source     src/proto/PROTOCOL.md §7
#pragma once

#include "proto/sha256.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::proto {

struct Credential {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token = {};  // empty: a permanent key
  std::int64_t expires_ms = 0;     // temporary keys: milliseconds since 1970
};

class CredentialSet {
 public:
  CredentialSet() = default;
  explicit CredentialSet(std::vector<Credential> credentials);
  // Null for a key that is not there.
  [[nodiscard]] const Credential* find(std::string_view access_key_id) const;
  [[nodiscard]] bool empty() const { return credentials_.empty(); }

 private:
  std::vector<Credential> credentials_;  // sorted by id
};

// What binds a proof to one connection: the TLS exporter's bytes under kHelloLabel, zeros on plain TCP.
inline constexpr std::string_view kHelloLabel = "EXPORTER-penstock-pwp1";
inline constexpr std::size_t kHelloNonceMin = 16;
inline constexpr std::size_t kHelloNonceMax = 64;
using HelloChannel = Sha256Digest;

// REQUIRES: a nonce of at most kHelloNonceMax bytes.
[[nodiscard]] Sha256Digest hello_proof(Sha256& hash, std::string_view secret_access_key,
                                       const HelloChannel& channel, std::int64_t client_time_ms,
                                       std::span<const std::byte> nonce);

}  // namespace penstock::proto
