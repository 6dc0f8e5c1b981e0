#include "proto/kinesis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace penstock::proto {
namespace {

// From the lowest bit: version 4, shard number 32, record second 36, a byte 8, index 64, low nibble
// of the shard number 4, creation second 36, marker 2. 188 bits with the marker's leading zeros.
constexpr std::uint64_t kVersion = 2;
constexpr std::uint64_t kMarker = 2;
constexpr std::uint64_t kSecondMask = (1ULL << 36) - 1;
// The service knows no shard made after this second (the year 2477).
constexpr std::int64_t kCreatedSecondEnd = 16'025'175'000;

struct Words {
  std::uint64_t low = 0, middle = 0, high = 0;
};

__extension__ using Uint128 = unsigned __int128;

constexpr std::uint64_t kTen19 = 10'000'000'000'000'000'000ULL;
// floor((2^128 − 1) / 10^19) − 2^64: 10^19 has its top bit set, as the division below needs.
constexpr std::uint64_t kTen19Inverse =
    static_cast<std::uint64_t>(~Uint128{0} / kTen19 - (Uint128{1} << 64));
static_assert(kTen19 >> 63 == 1);

struct Division {
  std::uint64_t quotient = 0, remainder = 0;
};

// (high · 2^64 + low) / 10^19 by two multiplications (Möller and Granlund, "Improved division by
// invariant integers", algorithm 4). REQUIRES: high < 10^19.
inline Division divide_by_ten19(std::uint64_t high, std::uint64_t low) {
  const Uint128 product = Uint128{kTen19Inverse} * high + ((Uint128{high} << 64) | low);
  std::uint64_t quotient = static_cast<std::uint64_t>(product >> 64) + 1;
  std::uint64_t remainder = low - quotient * kTen19;
  if (remainder > static_cast<std::uint64_t>(product)) {
    --quotient;
    remainder += kTen19;
  }
  if (remainder >= kTen19) [[unlikely]] {
    ++quotient;
    remainder -= kTen19;
  }
  return {quotient, remainder};
}

constexpr auto kPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

inline void write_pair(std::uint32_t value, char* out) {
  std::memcpy(out, &kPairs[2 * std::size_t{value}], 2);
}

inline void write_eight(std::uint32_t value, char* out) {
  const std::uint32_t upper = value / 10'000;
  const std::uint32_t lower = value % 10'000;
  write_pair(upper / 100, out);
  write_pair(upper % 100, out + 2);
  write_pair(lower / 100, out + 4);
  write_pair(lower % 100, out + 6);
}

// Sixteen digits of a value below 10^16.
inline void write_sixteen(std::uint64_t value, char* out) {
  write_eight(static_cast<std::uint32_t>(value / 100'000'000), out);
  write_eight(static_cast<std::uint32_t>(value % 100'000'000), out + 8);
}

constexpr std::uint64_t kTen16 = 10'000'000'000'000'000ULL;

// Nineteen digits of a value below 10^19.
inline void write_nineteen(std::uint64_t value, char* out) {
  const auto top = static_cast<std::uint32_t>(value / kTen16);
  out[0] = static_cast<char>('0' + top / 100);
  write_pair(top % 100, out + 1);
  write_sixteen(value % kTen16, out + 3);
}

Words pack(const SequenceNumber& n) {
  const std::uint64_t second = static_cast<std::uint64_t>(n.second) & kSecondMask;
  const std::uint64_t created = static_cast<std::uint64_t>(n.shard_created_second) & kSecondMask;
  const std::uint64_t shard = n.shard.raw();
  return {.low = kVersion | (shard << 4) | (second << 36),
          .middle = (second >> 28) | (n.index << 16),
          .high = (n.index >> 48) | ((shard & 15) << 16) | (created << 20) | (kMarker << 56)};
}

// The value of up to 19 digits; nothing if one is none.
std::optional<std::uint64_t> digits(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

// words · 10^19 + addend; overflow is impossible for 56 digits.
Words scale(const Words& words, std::uint64_t addend) {
  const Uint128 low = Uint128{words.low} * kTen19 + addend;
  const Uint128 middle = Uint128{words.middle} * kTen19 + static_cast<std::uint64_t>(low >> 64);
  const Uint128 high = Uint128{words.high} * kTen19 + static_cast<std::uint64_t>(middle >> 64);
  return {static_cast<std::uint64_t>(low), static_cast<std::uint64_t>(middle),
          static_cast<std::uint64_t>(high)};
}

}  // namespace

std::string Identity::stream_arn(std::string_view name) const {
  return fmt::format("arn:aws:kinesis:{}:{}:stream/{}", region, account, name);
}

char* SequenceNumber::write(char* out) const {
  // 56 digits are 18 + 19 + 19. The highest word is below 2^60, so below 10^19 as well.
  const Words words = pack(*this);
  const Division upper = divide_by_ten19(words.high, words.middle);
  const Division lower = divide_by_ten19(upper.remainder, words.low);
  const Division rest = divide_by_ten19(upper.quotient, lower.quotient);
  const auto top = static_cast<std::uint32_t>(rest.quotient / kTen16);
  write_pair(top, out);
  write_sixteen(rest.quotient % kTen16, out + 2);
  write_nineteen(rest.remainder, out + 18);
  write_nineteen(lower.remainder, out + 37);
  return out + kSequenceDigits;
}

std::string SequenceNumber::decimal() const {
  std::string text(kSequenceDigits, '0');
  write(text.data());
  return text;
}

std::optional<SequenceNumber> SequenceNumber::parse(std::string_view decimal) {
  // Every number with the marker 2 has 56 digits: 2 · 16^46 is 4.9 · 10^55, 3 · 16^46 is 7.4 ·
  // 10^55.
  if (decimal.size() != kSequenceDigits) return std::nullopt;
  const auto a = digits(decimal.substr(0, 18));
  const auto b = digits(decimal.substr(18, 19));
  const auto c = digits(decimal.substr(37, 19));
  if (!a || !b || !c) return std::nullopt;
  const Words words = scale(scale(Words{.low = *a}, *b), *c);

  if ((words.low & 15) != kVersion || words.high >> 56 != kMarker) return std::nullopt;
  SequenceNumber n;
  n.shard = ShardNumber(static_cast<std::uint32_t>(words.low >> 4));
  n.second = static_cast<std::int64_t>((words.low >> 36) | ((words.middle & 255) << 28));
  n.index = (words.middle >> 16) | (words.high << 48);
  n.shard_created_second = static_cast<std::int64_t>((words.high >> 20) & kSecondMask);
  if (n.index >> 63 != 0) return std::nullopt;
  if (n.shard_created_second >= kCreatedSecondEnd) return std::nullopt;
  return n;
}

std::string shard_id(ShardNumber number) { return fmt::format("shardId-{:012}", number.raw()); }

std::optional<ShardNumber> parse_shard_id(std::string_view id) {
  const std::size_t dash = id.find('-');
  std::string_view text = dash == std::string_view::npos ? id : id.substr(dash + 1);
  if (text.empty()) return std::nullopt;
  const std::size_t leading = std::min(text.find_first_not_of('0'), text.size());
  text.remove_prefix(leading);
  if (text.size() > 10) return std::nullopt;
  const auto value = digits(text);
  if (!value || *value > 2'147'483'647) return std::nullopt;
  return ShardNumber(static_cast<std::uint32_t>(*value));
}

}  // namespace penstock::proto
