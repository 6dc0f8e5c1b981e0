// The 128-bit hash key space: MD5 of a partition key, or an explicit hash key.
//
// Shape      0 … 2^128 − 1, big-endian halves; decimal text as the Kinesis API writes it
// Errors     parse gives nothing for text that is not `0|[1-9]\d{0,38}` or exceeds 2^128 − 1
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::base {

struct HashKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend constexpr auto operator<=>(const HashKey&, const HashKey&) = default;

  [[nodiscard]] static std::optional<HashKey> parse(std::string_view decimal);
  [[nodiscard]] std::string decimal() const;
};

inline constexpr HashKey kHashKeyMax{~0ULL, ~0ULL};

// REQUIRES: below kHashKeyMax (next), above 0 (previous).
[[nodiscard]] constexpr HashKey next(HashKey k) {
  return {k.high + (k.low == ~0ULL ? 1 : 0), k.low + 1};
}
[[nodiscard]] constexpr HashKey previous(HashKey k) {
  return {k.high - (k.low == 0 ? 1 : 0), k.low - 1};
}

}  // namespace penstock::base
