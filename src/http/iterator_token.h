// Shard iterators and page tokens: where a reader stands, authenticated, so that any core answers
// them, before and after a restart, and nobody makes one up.
//
//   0  8   00 00 00 00 00 00 00 01, as the service's own iterators begin
//   8  1   kind                     9  1  start (iterators), filter (shard pages)
//  10  1   length of the name      11  1  0
//  12  4   shard
//  16  8   stream uid
//  24  8   position: record index
//  32  8   timestamp, milliseconds
//  40  8   time of issue, milliseconds
//  48  n   stream name
//  48+n 16 HMAC-SHA-256 over all before it, cut to 16 bytes
//
// Units      little endian; milliseconds since 1970 UTC
// Shape      at most 192 bytes, 256 characters of base64
// Owner      one core per TokenBox
// Allocates  never
// Errors     `parse` gives nothing for what is no token of that kind made with this key
#pragma once

#include "penstock/ids.h"
#include "penstock/units.h"
#include "proto/sha256.h"
#include "shard/requests.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace penstock::http {

inline constexpr std::int64_t kTokenLifeMillis = 300'000;
inline constexpr std::size_t kTokenNameMax = 128;
inline constexpr std::size_t kTokenCharactersMax = 256;

enum class TokenKind : std::uint8_t { kIterator = 1, kShardPage = 2, kStreamPage = 3 };

struct Token {
  TokenKind kind = TokenKind::kIterator;
  std::uint8_t variant = 0;  // iterators: a shard::ReadStart; shard pages: the filter
  ShardNumber shard{};       // shard pages: the last one listed
  StreamUid stream{};
  std::uint64_t position = 0;
  std::int64_t timestamp = 0;
  WallMillis issued{};
  std::string_view name = {};  // stream pages: the last one listed
};

using TokenKey = std::array<std::byte, 32>;

class TokenBox {
 public:
  explicit TokenBox(const TokenKey& key) : key_(key) {}

  // At most kTokenCharactersMax characters; returns the end. REQUIRES: name ≤ kTokenNameMax.
  char* write(const Token& token, char* out);
  // The name points into this box and holds until its next call. Expiry is the caller's to judge.
  [[nodiscard]] std::optional<Token> parse(TokenKind kind, std::string_view text);

 private:
  TokenKey key_;
  proto::Sha256 hash_;
  std::array<std::byte, kTokenCharactersMax> bytes_;
};

// Issued more than its life ago. One from the future is as good as new: clocks are set back.
[[nodiscard]] constexpr bool expired(const Token& token, WallMillis now) {
  return now - token.issued > kTokenLifeMillis;
}

}  // namespace penstock::http
