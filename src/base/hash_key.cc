#include "base/hash_key.h"

namespace penstock::base {
namespace {
__extension__ using Uint128 = unsigned __int128;
}

std::optional<HashKey> HashKey::parse(std::string_view decimal) {
  if (decimal.empty() || decimal.size() > 39) return std::nullopt;
  if (decimal[0] == '0' && decimal.size() > 1) return std::nullopt;
  Uint128 value = 0;
  constexpr Uint128 kMax = ~Uint128{0};
  for (const char c : decimal) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<unsigned>(c - '0');
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return HashKey{static_cast<std::uint64_t>(value >> 64), static_cast<std::uint64_t>(value)};
}

std::string HashKey::decimal() const {
  Uint128 value = (Uint128{high} << 64) | low;
  char digits[40];
  char* p = digits + sizeof digits;
  do {
    *--p = static_cast<char>('0' + static_cast<int>(value % 10));
    value /= 10;
  } while (value != 0);
  return {p, static_cast<std::size_t>(digits + sizeof digits - p)};
}

}  // namespace penstock::base
