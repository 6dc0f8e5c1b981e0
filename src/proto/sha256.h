// SHA-256 and HMAC-SHA-256 with a context that is kept: the algorithm is fetched once for the
// process, and a digest costs no allocation.
//
// Owner      one core per object; the one-shot functions are for control code
// Allocates  in the constructor only
// Source     FIPS 180-4, RFC 2104; EVP_DigestInit_ex(3)
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

struct evp_md_ctx_st;

namespace penstock::proto {

using Sha256Digest = std::array<std::byte, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void reset();
  void update(const void* data, std::size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  // REQUIRES: `reset` before the next `update`.
  [[nodiscard]] Sha256Digest finish();

  // HMAC of `text`, through this same context.
  [[nodiscard]] Sha256Digest hmac(std::span<const std::byte> key, std::string_view text);

 private:
  evp_md_ctx_st* context_;
};

[[nodiscard]] Sha256Digest sha256(std::string_view text);

// 64 lower-case digits and no terminator; returns the end.
char* write_hex(std::span<const std::byte> bytes, char* out);

}  // namespace penstock::proto
