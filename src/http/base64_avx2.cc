#include "http/base64_avx2.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define PENSTOCK_AVX2 __attribute__((target("avx2")))

namespace penstock::http {
namespace {

// The same sixteen bytes in both halves of a vector.
PENSTOCK_AVX2 inline __m256i both(__m128i half) { return _mm256_broadcastsi128_si256(half); }

// Six-bit values of 32 characters, or false where one is outside the alphabet.
PENSTOCK_AVX2 inline bool translate(__m256i& characters) {
  // A character is valid when its entries by low and by high nibble share no bit.
  const __m256i by_low = both(_mm_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                            0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a));
  const __m256i by_high = both(_mm_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10,
                                             0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10));
  // What to add to a character of each range; '/' shares its nibble with '+' and takes entry 1.
  const __m256i offsets =
      both(_mm_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0));
  const __m256i mask = _mm256_set1_epi8(0x2f);

  const __m256i high = _mm256_and_si256(_mm256_srli_epi32(characters, 4), mask);
  const __m256i low = _mm256_and_si256(characters, mask);
  const __m256i wrong_low = _mm256_shuffle_epi8(by_low, low);
  const __m256i wrong_high = _mm256_shuffle_epi8(by_high, high);
  if (_mm256_testz_si256(wrong_low, wrong_high) == 0) return false;
  const __m256i is_slash = _mm256_cmpeq_epi8(characters, mask);
  const __m256i offset = _mm256_shuffle_epi8(offsets, _mm256_add_epi8(is_slash, high));
  characters = _mm256_add_epi8(characters, offset);
  return true;
}

// 32 six-bit values to 24 bytes in the low part.
PENSTOCK_AVX2 inline __m256i pack(__m256i values) {
  const __m256i pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140));
  const __m256i triples = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));
  const __m256i ordered = _mm256_shuffle_epi8(
      triples, both(_mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1)));
  return _mm256_permutevar8x32_epi32(ordered, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
}

}  // namespace

PENSTOCK_AVX2 std::size_t base64_decode_avx2(std::string_view text, std::byte* out) {
  // 32 bytes are stored for 24 that count, so 8 bytes of what follows must belong to the output as
  // well: 12 more characters, of which the last four may be padding.
  std::size_t at = 0;
  while (text.size() - at >= 48) {
    __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + at));
    if (!translate(v)) break;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + at / 4 * 3), pack(v));
    at += 32;
  }
  return at;
}

PENSTOCK_AVX2 std::size_t base64_encode_avx2(std::span<const std::byte> bytes, char* out) {
  const __m256i spread = both(_mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10));
  const __m256i offsets =
      both(_mm_setr_epi8(65, 71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 0, 0));
  std::size_t at = 0;
  std::size_t written = 0;
  // Two loads of 16 bytes, 12 apart: 28 bytes are read for 24 that count.
  for (; bytes.size() - at >= 28; at += 24, written += 32) {
    const auto* from = reinterpret_cast<const __m128i*>(bytes.data() + at);
    const auto* upper = reinterpret_cast<const __m128i*>(bytes.data() + at + 12);
    __m256i v = _mm256_set_m128i(_mm_loadu_si128(upper), _mm_loadu_si128(from));
    v = _mm256_shuffle_epi8(v, spread);
    const __m256i outer = _mm256_mulhi_epu16(_mm256_and_si256(v, _mm256_set1_epi32(0x0fc0fc00)),
                                             _mm256_set1_epi32(0x04000040));
    const __m256i inner = _mm256_mullo_epi16(_mm256_and_si256(v, _mm256_set1_epi32(0x003f03f0)),
                                             _mm256_set1_epi32(0x01000010));
    const __m256i values = _mm256_or_si256(outer, inner);
    // Entry 0 for A–Z, 1 for a–z, 2–11 for digits, 12 for '+', 13 for '/'.
    __m256i range = _mm256_subs_epu8(values, _mm256_set1_epi8(51));
    range = _mm256_sub_epi8(range, _mm256_cmpgt_epi8(values, _mm256_set1_epi8(25)));
    const __m256i text = _mm256_add_epi8(values, _mm256_shuffle_epi8(offsets, range));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + written), text);
  }
  return at;
}

}  // namespace penstock::http

#else

namespace penstock::http {

std::size_t base64_decode_avx2(std::string_view, std::byte*) { return 0; }
std::size_t base64_encode_avx2(std::span<const std::byte>, char*) { return 0; }

}  // namespace penstock::http

#endif
