#include "proto/credentials.h"

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace penstock::proto {

CredentialSet::CredentialSet(std::vector<Credential> credentials)
    : credentials_(std::move(credentials)) {
  std::sort(credentials_.begin(), credentials_.end(), [](const Credential& a, const Credential& b) {
    return a.access_key_id < b.access_key_id;
  });
}

const Credential* CredentialSet::find(std::string_view access_key_id) const {
  const auto at = std::lower_bound(
      credentials_.begin(), credentials_.end(), access_key_id,
      [](const Credential& entry, std::string_view id) { return entry.access_key_id < id; });
  return at != credentials_.end() && at->access_key_id == access_key_id ? &*at : nullptr;
}

Sha256Digest hello_proof(Sha256& hash, std::string_view secret_access_key,
                         const HelloChannel& channel, std::int64_t client_time_ms,
                         std::span<const std::byte> nonce) {
  PENSTOCK_ASSERT(nonce.size() <= kHelloNonceMax);
  const std::string start = "PWP1" + std::string(secret_access_key);
  const Sha256Digest key = hash.hmac(std::as_bytes(std::span(start)), "hello");
  constexpr std::string_view kContext = "pwp/1";
  std::array<char, kContext.size() + sizeof(HelloChannel) + 8 + kHelloNonceMax> text{};
  char* at = std::ranges::copy(kContext, text.data()).out;
  std::memcpy(at, channel.data(), channel.size());
  at += channel.size();
  std::memcpy(at, &client_time_ms, sizeof(client_time_ms));
  at += sizeof(client_time_ms);
  if (!nonce.empty()) std::memcpy(at, nonce.data(), nonce.size());
  at += nonce.size();
  return hash.hmac(key, {text.data(), static_cast<std::size_t>(at - text.data())});
}

}  // namespace penstock::proto
