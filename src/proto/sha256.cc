#include "proto/sha256.h"

#include "base/assert.h"

#include <openssl/evp.h>

#include <algorithm>

namespace penstock::proto {
namespace {

// Fetched once: an implicit fetch costs several times the digest of a short text.
const EVP_MD* algorithm() {
  static EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return fetched;
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  PENSTOCK_ASSERT(context_ != nullptr);
  reset();
}

Sha256::~Sha256() { EVP_MD_CTX_free(context_); }

void Sha256::reset() {
  const int done = EVP_DigestInit_ex(context_, algorithm(), nullptr);
  PENSTOCK_ASSERT(done == 1);
}

void Sha256::update(const void* data, std::size_t bytes) {
  const int done = EVP_DigestUpdate(context_, data, bytes);
  PENSTOCK_ASSERT(done == 1);
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest;
  const int done =
      EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  PENSTOCK_ASSERT(done == 1);
  return digest;
}

Sha256Digest Sha256::hmac(std::span<const std::byte> key, std::string_view text) {
  constexpr std::size_t kBlock = 64;
  std::array<std::byte, kBlock> inner{};
  if (key.size() > kBlock) {
    reset();
    update(key.data(), key.size());
    const Sha256Digest digest = finish();
    std::copy(digest.begin(), digest.end(), inner.begin());
  } else {
    std::copy(key.begin(), key.end(), inner.begin());
  }
  std::array<std::byte, kBlock> outer = inner;
  for (std::byte& b : inner) b ^= std::byte{0x36};
  for (std::byte& b : outer) b ^= std::byte{0x5c};

  reset();
  update(inner.data(), kBlock);
  update(text);
  const Sha256Digest digest = finish();
  reset();
  update(outer.data(), kBlock);
  update(digest.data(), digest.size());
  return finish();
}

Sha256Digest sha256(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.finish();
}

char* write_hex(std::span<const std::byte> bytes, char* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const std::byte b : bytes) {
    *out++ = kDigits[std::to_integer<unsigned>(b) >> 4];
    *out++ = kDigits[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

}  // namespace penstock::proto
