#include "http/base64.h"

#include "http/base64_avx2.h"

#include <array>
#include <cstdint>

namespace penstock::http {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kInvalid = 0xff;

constexpr auto kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kInvalid);
  for (std::uint8_t i = 0; i < 64; ++i) values[static_cast<unsigned char>(kAlphabet[i])] = i;
  return values;
}();

std::uint32_t value(char c) { return kValues[static_cast<unsigned char>(c)]; }

using Decode = std::optional<std::size_t> (*)(std::string_view, std::byte*);
using Encode = char* (*)(std::span<const std::byte>, char*);

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2");
#else
  return false;
#endif
}

// The vector part, then the rest by table.
std::optional<std::size_t> decode_fast(std::string_view text, std::byte* out) {
  const std::size_t taken = base64_decode_avx2(text, out);
  const std::size_t written = taken / 4 * 3;
  const auto rest = base64_decode_scalar(text.substr(taken), out + written);
  if (!rest) return std::nullopt;
  return written + *rest;
}

char* encode_fast(std::span<const std::byte> bytes, char* out) {
  const std::size_t taken = base64_encode_avx2(bytes, out);
  return base64_encode_scalar(bytes.subspan(taken), out + taken / 3 * 4);
}

const Decode kDecode = has_avx2() ? decode_fast : base64_decode_scalar;
const Encode kEncode = has_avx2() ? encode_fast : base64_encode_scalar;

}  // namespace

std::optional<std::size_t> base64_decode(std::string_view text, std::byte* out) {
  return kDecode(text, out);
}

char* base64_encode(std::span<const std::byte> bytes, char* out) { return kEncode(bytes, out); }

std::optional<std::size_t> base64_decode_scalar(std::string_view text, std::byte* out) {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.empty()) return 0;
  std::byte* const begin = out;
  std::size_t at = 0;
  const std::size_t whole = text.back() == '=' ? text.size() - 4 : text.size();
  for (; at < whole; at += 4) {
    const std::uint32_t a = value(text[at]), b = value(text[at + 1]);
    const std::uint32_t c = value(text[at + 2]), d = value(text[at + 3]);
    if (((a | b | c | d) & 0x80) != 0) return std::nullopt;
    const std::uint32_t bits = (a << 18) | (b << 12) | (c << 6) | d;
    *out++ = static_cast<std::byte>(bits >> 16);
    *out++ = static_cast<std::byte>(bits >> 8);
    *out++ = static_cast<std::byte>(bits);
  }
  if (whole == text.size()) return static_cast<std::size_t>(out - begin);

  // One or two bytes before the padding; the bits behind them must be 0.
  const bool two = text[at + 2] != '=';
  const std::uint32_t a = value(text[at]), b = value(text[at + 1]);
  const std::uint32_t c = two ? value(text[at + 2]) : 0;
  if (((a | b | c) & 0x80) != 0) return std::nullopt;
  const std::uint32_t bits = (a << 18) | (b << 12) | (c << 6);
  if ((bits & (two ? 0xffu : 0xffffu)) != 0) return std::nullopt;
  *out++ = static_cast<std::byte>(bits >> 16);
  if (two) *out++ = static_cast<std::byte>(bits >> 8);
  return static_cast<std::size_t>(out - begin);
}

char* base64_encode_scalar(std::span<const std::byte> bytes, char* out) {
  std::size_t at = 0;
  const auto byte = [&bytes](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  for (; bytes.size() - at >= 3; at += 3) {
    const std::uint32_t bits = (byte(at) << 16) | (byte(at + 1) << 8) | byte(at + 2);
    *out++ = kAlphabet[bits >> 18];
    *out++ = kAlphabet[(bits >> 12) & 63];
    *out++ = kAlphabet[(bits >> 6) & 63];
    *out++ = kAlphabet[bits & 63];
  }
  const std::size_t rest = bytes.size() - at;
  if (rest == 0) return out;
  const std::uint32_t bits = (byte(at) << 16) | (rest == 2 ? byte(at + 1) << 8 : 0);
  *out++ = kAlphabet[bits >> 18];
  *out++ = kAlphabet[(bits >> 12) & 63];
  *out++ = rest == 2 ? kAlphabet[(bits >> 6) & 63] : '=';
  *out++ = '=';
  return out;
}

}  // namespace penstock::http
