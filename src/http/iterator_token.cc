#include "http/iterator_token.h"

#include "base/assert.h"
#include "http/base64.h"

#include <algorithm>
#include <cstring>

namespace penstock::http {

namespace {

constexpr std::size_t kHeadBytes = 48;
constexpr std::size_t kMacBytes = 16;
constexpr std::array<std::byte, 8> kPrefix = {std::byte{0}, std::byte{0}, std::byte{0},
                                              std::byte{0}, std::byte{0}, std::byte{0},
                                              std::byte{0}, std::byte{1}};
static_assert(base64_encoded_bytes(kHeadBytes + kTokenNameMax + kMacBytes) <= kTokenCharactersMax);

template <class Int>
void store(Int value, std::byte* out) {
  std::memcpy(out, &value, sizeof(value));
}

template <class Int>
Int load(const std::byte* in) {
  Int value{};
  std::memcpy(&value, in, sizeof(value));
  return value;
}

std::string_view as_text(const std::byte* bytes, std::size_t count) {
  return {reinterpret_cast<const char*>(bytes), count};
}

}  // namespace

char* TokenBox::write(const Token& token, char* out) {
  PENSTOCK_ASSERT(token.name.size() <= kTokenNameMax);
  std::byte* at = bytes_.data();
  std::copy(kPrefix.begin(), kPrefix.end(), at);
  at[8] = static_cast<std::byte>(token.kind);
  at[9] = static_cast<std::byte>(token.variant);
  at[10] = static_cast<std::byte>(token.name.size());
  at[11] = std::byte{0};
  store(token.shard.raw(), at + 12);
  store(token.stream.raw(), at + 16);
  store(token.position, at + 24);
  store(token.timestamp, at + 32);
  store(token.issued.raw(), at + 40);
  std::memmove(at + kHeadBytes, token.name.data(), token.name.size());
  const std::size_t signed_bytes = kHeadBytes + token.name.size();
  const proto::Sha256Digest mac = hash_.hmac(key_, as_text(at, signed_bytes));
  std::copy_n(mac.begin(), kMacBytes, at + signed_bytes);
  return base64_encode(std::span(at, signed_bytes + kMacBytes), out);
}

std::optional<Token> TokenBox::parse(TokenKind kind, std::string_view text) {
  if (text.size() > kTokenCharactersMax) return std::nullopt;
  const std::optional<std::size_t> bytes = base64_decode(text, bytes_.data());
  if (!bytes || *bytes < kHeadBytes + kMacBytes) return std::nullopt;
  const std::byte* at = bytes_.data();
  const std::size_t signed_bytes = *bytes - kMacBytes;
  const proto::Sha256Digest mac = hash_.hmac(key_, as_text(at, signed_bytes));
  unsigned difference = 0;
  for (std::size_t i = 0; i < kMacBytes; ++i) {
    difference |= std::to_integer<unsigned>(mac[i] ^ at[signed_bytes + i]);
  }
  if (difference != 0) return std::nullopt;
  const auto name_bytes = std::to_integer<std::size_t>(at[10]);
  const bool ours = std::equal(kPrefix.begin(), kPrefix.end(), at) &&
                    at[8] == static_cast<std::byte>(kind) &&
                    signed_bytes == kHeadBytes + name_bytes && name_bytes <= kTokenNameMax;
  if (!ours) return std::nullopt;
  return Token{.kind = kind,
               .variant = std::to_integer<std::uint8_t>(at[9]),
               .shard = ShardNumber(load<std::uint32_t>(at + 12)),
               .stream = StreamUid(load<std::uint64_t>(at + 16)),
               .position = load<std::uint64_t>(at + 24),
               .timestamp = load<std::int64_t>(at + 32),
               .issued = WallMillis(load<std::int64_t>(at + 40)),
               .name = as_text(at + kHeadBytes, name_bytes)};
}

}  // namespace penstock::http
