#include "http/json_scan.h"

#include "base/ascii.h"

#include <immintrin.h>

#include <array>

namespace penstock::http {

namespace {

// Bits of the lower and of the upper half of a byte that rule it out of the base64 alphabet, after
// W. Muła and D. Lemire: a byte is in the alphabet where the two masks have no bit in common.
alignas(32) constexpr std::array<std::uint8_t, 32> kLowNibble = {
    0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1A, 0x1B, 0x1B, 0x1B, 0x1A,
    0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1A, 0x1B, 0x1B, 0x1B, 0x1A};
alignas(32) constexpr std::array<std::uint8_t, 32> kHighNibble = {
    0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
    0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10};

using SkipRun = const char* (*)(const char* at, const char* end);

__attribute__((target("avx2"))) const char* skip_base64_avx2(const char* at, const char* end) {
  const __m256i low_table = _mm256_load_si256(reinterpret_cast<const __m256i*>(kLowNibble.data()));
  const __m256i high_table =
      _mm256_load_si256(reinterpret_cast<const __m256i*>(kHighNibble.data()));
  const __m256i nibble = _mm256_set1_epi8(0x0F);
  for (; at < end; at += 32) {
    const __m256i text = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __m256i low = _mm256_shuffle_epi8(low_table, _mm256_and_si256(text, nibble));
    const __m256i high =
        _mm256_shuffle_epi8(high_table, _mm256_and_si256(_mm256_srli_epi32(text, 4), nibble));
    const __m256i fine = _mm256_cmpeq_epi8(_mm256_and_si256(low, high), _mm256_setzero_si256());
    const auto other = ~static_cast<unsigned>(_mm256_movemask_epi8(fine));
    if (other != 0) return at + __builtin_ctz(other);
  }
  return at;
}

const SkipRun chosen_skip =
    __builtin_cpu_supports("avx2") ? &skip_base64_avx2 : &skip_base64_narrow;

char* write_utf8(std::uint32_t code_point, char* out) {
  if (code_point < 0x80) {
    *out++ = static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    *out++ = static_cast<char>(0xC0 | (code_point >> 6));
    *out++ = static_cast<char>(0x80 | (code_point & 0x3F));
  } else {
    *out++ = static_cast<char>(0xE0 | (code_point >> 12));
    *out++ = static_cast<char>(0x80 | ((code_point >> 6) & 0x3F));
    *out++ = static_cast<char>(0x80 | (code_point & 0x3F));
  }
  return out;
}

}  // namespace

const char* skip_base64_narrow(const char* at, const char* end) {
  const __m128i low_table = _mm_load_si128(reinterpret_cast<const __m128i*>(kLowNibble.data()));
  const __m128i high_table = _mm_load_si128(reinterpret_cast<const __m128i*>(kHighNibble.data()));
  const __m128i nibble = _mm_set1_epi8(0x0F);
  for (; at < end; at += 16) {
    const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i low = _mm_shuffle_epi8(low_table, _mm_and_si128(text, nibble));
    const __m128i high =
        _mm_shuffle_epi8(high_table, _mm_and_si128(_mm_srli_epi32(text, 4), nibble));
    const __m128i fine = _mm_cmpeq_epi8(_mm_and_si128(low, high), _mm_setzero_si128());
    const auto other = static_cast<unsigned>(~_mm_movemask_epi8(fine)) & 0xFFFFU;
    if (other != 0) return at + __builtin_ctz(other);
  }
  return at;
}

const char* skip_base64(const char* at, const char* end) { return chosen_skip(at, end); }

unsigned base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<unsigned>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<unsigned>(c - 'a') + 26;
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0') + 52;
  return c == '+' ? 62 : 63;
}

const char* skip_plain(const char* at, const char* end, bool& ascii) {
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i control_last = _mm_set1_epi8(0x1F);
  for (; at < end; at += 16) {
    const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i special =
        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(text, quote), _mm_cmpeq_epi8(text, backslash)),
                     _mm_cmpeq_epi8(_mm_min_epu8(text, control_last), text));
    const auto stops = static_cast<unsigned>(_mm_movemask_epi8(special));
    const auto beyond = static_cast<unsigned>(_mm_movemask_epi8(text));
    if (stops == 0) {
      if (beyond != 0) ascii = false;
      continue;
    }
    const unsigned before = (1U << __builtin_ctz(stops)) - 1;
    if ((beyond & before) != 0) ascii = false;
    return at + __builtin_ctz(stops);
  }
  return at;
}

Escape read_escape(const char* at) {
  switch (at[1]) {
    case '"':
    case '\\':
    case '/':
      return {static_cast<unsigned char>(at[1]), 2};
    case 'b':
      return {'\b', 2};
    case 'f':
      return {'\f', 2};
    case 'n':
      return {'\n', 2};
    case 'r':
      return {'\r', 2};
    case 't':
      return {'\t', 2};
    case 'u':
      break;
    default:
      return {};
  }
  std::uint32_t code_point = 0;
  for (int i = 2; i < 6; ++i) {
    const int digit = base::hex_value(at[i]);
    if (digit < 0) return {};
    code_point = code_point * 16 + static_cast<std::uint32_t>(digit);
  }
  if (code_point >= 0xD800 && code_point <= 0xDFFF) return {};
  return {code_point, 6};
}

std::size_t unescape(char* text, std::size_t characters) {
  const char* const end = text + characters;
  char* out = text;
  for (const char* at = text; at < end;) {
    if (*at != '\\') {
      *out++ = *at++;
      continue;
    }
    const Escape escape = read_escape(at);
    at += escape.characters;
    out = write_utf8(escape.code_point, out);
  }
  return static_cast<std::size_t>(out - text);
}

}  // namespace penstock::http
