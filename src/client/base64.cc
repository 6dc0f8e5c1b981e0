#include "client/base64.h"

#include <array>
#include <cstdint>

#ifdef __SSSE3__
#include <tmmintrin.h>
#endif

namespace penstock::client {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNone = 0xff;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNone);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr std::array<std::uint8_t, 256> kValues = make_values();

std::uint32_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

#ifdef __SSSE3__
// Wojciech Muła's method (http://0x80.pl/notesen/2016-01-12-sse-base64-encoding.html): spread 12 bytes
// over 16 lanes of 6 bits with two multiplications, then add the lane's range offset by one shuffle.
__m128i encode_block(__m128i in) {
  in = _mm_shuffle_epi8(in, _mm_set_epi8(10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1));
  const __m128i high =
      _mm_mulhi_epu16(_mm_and_si128(in, _mm_set1_epi32(0x0fc0fc00)), _mm_set1_epi32(0x04000040));
  const __m128i low =
      _mm_mullo_epi16(_mm_and_si128(in, _mm_set1_epi32(0x003f03f0)), _mm_set1_epi32(0x01000010));
  const __m128i six = _mm_or_si128(high, low);
  __m128i range = _mm_subs_epu8(six, _mm_set1_epi8(51));
  range =
      _mm_or_si128(range, _mm_and_si128(_mm_cmpgt_epi8(_mm_set1_epi8(26), six), _mm_set1_epi8(13)));
  const __m128i offsets =
      _mm_setr_epi8('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                    '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0);
  return _mm_add_epi8(six, _mm_shuffle_epi8(offsets, range));
}

// The reverse: classify by both nibbles (a common bit means no base64 character), shift the range
// down, pack four lanes of 6 bits into three bytes. False: some character is not of the alphabet.
bool decode_block(__m128i in, __m128i& out) {
  const __m128i low_class = _mm_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                          0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
  const __m128i high_class = _mm_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10,
                                           0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
  const __m128i shift = _mm_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m128i nibble = _mm_set1_epi8(0x0f);
  const __m128i high = _mm_and_si128(_mm_srli_epi32(in, 4), nibble);
  const __m128i low = _mm_and_si128(in, nibble);
  const __m128i wrong =
      _mm_and_si128(_mm_shuffle_epi8(low_class, low), _mm_shuffle_epi8(high_class, high));
  if (_mm_movemask_epi8(_mm_cmpeq_epi8(wrong, _mm_setzero_si128())) != 0xffff) return false;
  const __m128i slash = _mm_cmpeq_epi8(in, _mm_set1_epi8('/'));
  const __m128i six = _mm_add_epi8(in, _mm_shuffle_epi8(shift, _mm_add_epi8(slash, high)));
  const __m128i pairs = _mm_maddubs_epi16(six, _mm_set1_epi32(0x01400140));
  const __m128i triples = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00011000));
  out = _mm_shuffle_epi8(triples,
                         _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
  return true;
}
#endif

}  // namespace

char* base64_encode(std::string_view data, char* out) {
  std::size_t i = 0;
#ifdef __SSSE3__
  // Reads 16 bytes to use 12 of them.
  for (; i + 16 <= data.size(); i += 12, out += 16) {
    const __m128i in = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data.data() + i));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), encode_block(in));
  }
#endif
  for (; i + 3 <= data.size(); i += 3) {
    const std::uint32_t v =
        byte_at(data, i) << 16 | byte_at(data, i + 1) << 8 | byte_at(data, i + 2);
    *out++ = kAlphabet[v >> 18];
    *out++ = kAlphabet[v >> 12 & 63];
    *out++ = kAlphabet[v >> 6 & 63];
    *out++ = kAlphabet[v & 63];
  }
  const std::size_t left = data.size() - i;
  if (left == 0) return out;
  const std::uint32_t v = byte_at(data, i) << 16 | (left == 2 ? byte_at(data, i + 1) << 8 : 0U);
  *out++ = kAlphabet[v >> 18];
  *out++ = kAlphabet[v >> 12 & 63];
  *out++ = left == 2 ? kAlphabet[v >> 6 & 63] : '=';
  *out++ = '=';
  return out;
}

void base64_append(std::string_view data, std::string& out) {
  const std::size_t before = out.size();
  out.resize(before + base64_size(data.size()));
  base64_encode(data, out.data() + before);
}

std::optional<std::string_view> base64_decode(std::string_view text, std::string& scratch) {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.empty()) return std::string_view();
  std::size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
  const std::size_t bytes = text.size() / 4 * 3 - padding;
  // A block writes 16 bytes where 12 count.
  if (scratch.size() < bytes + 16) scratch.resize(bytes + 16);
  char* out = scratch.data();
  std::size_t i = 0;
#ifdef __SSSE3__
  for (; i + 20 <= text.size(); i += 16, out += 12) {
    __m128i block;
    if (!decode_block(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i)), block)) {
      return std::nullopt;
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), block);
  }
#endif
  for (; i < text.size(); i += 4) {
    const std::size_t pad = i + 4 == text.size() ? padding : 0;
    std::uint32_t v = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::uint8_t six = j >= 4 - pad ? 0 : kValues[byte_at(text, i + j)];
      if (six == kNone) return std::nullopt;
      v = v << 6 | six;
    }
    *out++ = static_cast<char>(v >> 16);
    if (pad < 2) *out++ = static_cast<char>(v >> 8 & 0xff);
    if (pad < 1) *out++ = static_cast<char>(v & 0xff);
  }
  return std::string_view(scratch.data(), bytes);
}

}  // namespace penstock::client
