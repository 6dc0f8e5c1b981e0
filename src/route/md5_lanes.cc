#include "route/md5_lanes.h"

#if defined(__x86_64__)

#include "route/md5_tables.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#define PENSTOCK_AVX2 __attribute__((target("avx2")))
#define PENSTOCK_AVX512 __attribute__((target("avx2,avx512f,avx512vl")))

namespace penstock::route {
namespace {

constexpr std::size_t kLanes = 8;
// Fewer short keys than this are quicker one by one: eight lanes cost what three scalar keys do.
constexpr std::size_t kLanesWorthwhile = 3;

struct alignas(32) Blocks {
  std::byte lane[kLanes][64];
};

// A vector type of our own, so that a template may name it without losing its attributes.
struct Vectors {
  __m256i v[16];
};

// Rows of eight 32-bit words become columns.
PENSTOCK_AVX2 inline void transpose(const Blocks& blocks, std::size_t half, __m256i* out) {
  __m256i r[8];
  for (std::size_t i = 0; i < 8; ++i) {
    r[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(blocks.lane[i] + 32 * half));
  }
  __m256i t[8];
  for (std::size_t i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
  }
  __m256i u[8];
  for (std::size_t i = 0; i < 8; i += 4) {
    u[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    u[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    u[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    u[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    out[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
    out[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
  }
}

template <std::size_t kStep>
PENSTOCK_AVX2 [[gnu::always_inline]] inline void step(__m256i (&s)[4], const Vectors& words) {
  constexpr std::size_t kA = (64 - kStep) % 4, kB = (kA + 1) % 4, kC = (kA + 2) % 4,
                        kD = (kA + 3) % 4;
  const __m256i b = s[kB], c = s[kC], d = s[kD];
  __m256i f;
  if constexpr (kStep < 16) {
    f = _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)));
  } else if constexpr (kStep < 32) {
    f = _mm256_xor_si256(c, _mm256_and_si256(d, _mm256_xor_si256(b, c)));
  } else if constexpr (kStep < 48) {
    f = _mm256_xor_si256(b, _mm256_xor_si256(c, d));
  } else {
    f = _mm256_xor_si256(c, _mm256_or_si256(b, _mm256_xor_si256(d, _mm256_set1_epi32(-1))));
  }
  const __m256i constant = _mm256_set1_epi32(static_cast<int>(kMd5Sines[kStep]));
  const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(s[kA], f),
                                       _mm256_add_epi32(constant, words.v[md5_word(kStep)]));
  constexpr int kShift = kMd5Shifts[kStep / 16][kStep % 4];
  const __m256i turned =
      _mm256_or_si256(_mm256_slli_epi32(sum, kShift), _mm256_srli_epi32(sum, 32 - kShift));
  s[kA] = _mm256_add_epi32(b, turned);
}

template <std::size_t... kSteps>
PENSTOCK_AVX2 [[gnu::always_inline]] inline void steps(__m256i (&s)[4], const Vectors& words,
                                                       std::index_sequence<kSteps...>) {
  (step<kSteps>(s, words), ...);
}

[[gnu::always_inline]] PENSTOCK_AVX2 inline void rounds(__m256i (&s)[4], const Vectors& words) {
  steps(s, words, std::make_index_sequence<64>{});
}

// The same, where a function of three words is one instruction, and turning is one.
template <std::size_t kStep>
PENSTOCK_AVX512 [[gnu::always_inline]] inline void step_512(__m256i (&s)[4], const Vectors& words) {
  constexpr std::size_t kA = (64 - kStep) % 4, kB = (kA + 1) % 4, kC = (kA + 2) % 4,
                        kD = (kA + 3) % 4;
  // Bit 4b + 2c + d of the table is the function of b, c and d.
  constexpr int kTable = kStep < 16   ? 0xCA   // b ? c : d
                         : kStep < 32 ? 0xE4   // d ? b : c
                         : kStep < 48 ? 0x96   // b ^ c ^ d
                                      : 0x39;  // c ^ (b | ~d)
  const __m256i f = _mm256_ternarylogic_epi32(s[kB], s[kC], s[kD], kTable);
  const __m256i constant = _mm256_set1_epi32(static_cast<int>(kMd5Sines[kStep]));
  const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(s[kA], f),
                                       _mm256_add_epi32(constant, words.v[md5_word(kStep)]));
  s[kA] = _mm256_add_epi32(s[kB], _mm256_rol_epi32(sum, kMd5Shifts[kStep / 16][kStep % 4]));
}

template <std::size_t... kSteps>
PENSTOCK_AVX512 [[gnu::always_inline]] inline void steps_512(__m256i (&s)[4], const Vectors& words,
                                                             std::index_sequence<kSteps...>) {
  (step_512<kSteps>(s, words), ...);
}

[[gnu::noinline]] PENSTOCK_AVX512 void rounds_512(__m256i (&s)[4], const Vectors& words) {
  steps_512(s, words, std::make_index_sequence<64>{});
}

template <bool k512>
PENSTOCK_AVX2 void eight(const Blocks& blocks, base::HashKey (&out)[kLanes]) {
  Vectors words;
  transpose(blocks, 0, words.v);
  transpose(blocks, 1, words.v + 8);
  __m256i s[4];
  for (std::size_t i = 0; i < 4; ++i) s[i] = _mm256_set1_epi32(static_cast<int>(kMd5Start[i]));
  if constexpr (k512) {
    rounds_512(s, words);
  } else {
    rounds(s, words);
  }

  // A digest is its four words, the bytes of each turned round, as two numbers of 64 bits.
  const __m256i turn = _mm256_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203, 0x0c0d0e0f08090a0b,
                                         0x0405060700010203);
  for (std::size_t i = 0; i < 4; ++i) {
    s[i] = _mm256_add_epi32(s[i], _mm256_set1_epi32(static_cast<int>(kMd5Start[i])));
    s[i] = _mm256_shuffle_epi8(s[i], turn);
  }
  // Of the lanes 0, 1, 4, 5 and 2, 3, 6, 7.
  static_assert(sizeof(base::HashKey) == 16);
  static_assert(offsetof(base::HashKey, low) == 8);
  const __m256i high[2] = {_mm256_unpacklo_epi32(s[1], s[0]), _mm256_unpackhi_epi32(s[1], s[0])};
  const __m256i low[2] = {_mm256_unpacklo_epi32(s[3], s[2]), _mm256_unpackhi_epi32(s[3], s[2])};
  for (std::size_t i = 0; i < 2; ++i) {
    const __m256i even = _mm256_unpacklo_epi64(high[i], low[i]);
    const __m256i odd = _mm256_unpackhi_epi64(high[i], low[i]);
    const auto put = [&out](std::size_t lane, __m128i digest) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(&out[lane]), digest);
    };
    put(2 * i, _mm256_castsi256_si128(even));
    put(2 * i + 1, _mm256_castsi256_si128(odd));
    put(2 * i + 4, _mm256_extracti128_si256(even, 1));
    put(2 * i + 5, _mm256_extracti128_si256(odd, 1));
  }
}

// Two pieces of a fixed size that meet or overlap cost less than a call for any size.
template <std::size_t kPiece>
inline void copy_twice(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::byte last[kPiece];
  std::memcpy(last, from + bytes - kPiece, kPiece);
  std::memcpy(to, from, kPiece);
  std::memcpy(to + bytes - kPiece, last, kPiece);
}

inline void copy_key(std::byte* to, KeyRef key) {
  if (key.bytes >= 32) return copy_twice<32>(to, key.data, key.bytes);
  if (key.bytes >= 16) return copy_twice<16>(to, key.data, key.bytes);
  if (key.bytes >= 8) return copy_twice<8>(to, key.data, key.bytes);
  for (std::size_t i = 0; i < key.bytes; ++i) to[i] = key.data[i];
}

void fill(std::byte* block, KeyRef key) {
  static_assert(kMd5OneBlockBytes < 64);
  std::memset(block, 0, sizeof(Blocks::lane[0]));
  copy_key(block, key);
  block[key.bytes] = std::byte{0x80};
  const std::uint64_t bits = std::uint64_t{key.bytes} * 8;
  std::memcpy(block + 56, &bits, 8);
}

// Windows into these keep so many bytes of a block, and end the key behind them.
struct Edge {
  std::byte at[128] = {};
};
constexpr Edge kKeep = [] {
  Edge edge;
  for (std::size_t i = 0; i < 64; ++i) edge.at[i] = std::byte{0xFF};
  return edge;
}();
constexpr Edge kEnd = [] {
  Edge edge;
  edge.at[64] = std::byte{0x80};
  return edge;
}();

PENSTOCK_AVX2 inline __m256i load(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

PENSTOCK_AVX2 inline void fill_readable(std::byte* block, KeyRef key) {
  const std::byte* const keep = kKeep.at + 64 - key.bytes;
  const std::byte* const end = kEnd.at + 64 - key.bytes;
  auto* const out = reinterpret_cast<__m256i*>(block);
  _mm256_store_si256(out, _mm256_or_si256(_mm256_and_si256(load(key.data), load(keep)), load(end)));
  _mm256_store_si256(
      out + 1,
      _mm256_or_si256(_mm256_and_si256(load(key.data + 32), load(keep + 32)), load(end + 32)));
  const std::uint64_t bits = std::uint64_t{key.bytes} * 8;
  std::memcpy(block + 56, &bits, 8);
}

template <bool kReadable, bool k512>
PENSTOCK_AVX2 void md5_lanes(std::span<const KeyRef> keys, std::span<base::HashKey> out) {
  Blocks blocks;
  std::size_t position[kLanes];
  std::size_t lanes = 0;
  base::HashKey digests[kLanes];
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].bytes > kMd5OneBlockBytes) {
      out[i] = md5_scalar(keys[i]);
      continue;
    }
    if constexpr (kReadable) {
      fill_readable(blocks.lane[lanes], keys[i]);
    } else {
      fill(blocks.lane[lanes], keys[i]);
    }
    position[lanes++] = i;
    if (lanes < kLanes) continue;
    eight<k512>(blocks, digests);
    for (std::size_t lane = 0; lane < kLanes; ++lane) out[position[lane]] = digests[lane];
    lanes = 0;
  }
  if (lanes < kLanesWorthwhile) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      out[position[lane]] = md5_scalar(keys[position[lane]]);
    }
    return;
  }
  for (std::size_t lane = lanes; lane < kLanes; ++lane) fill(blocks.lane[lane], {});
  eight<k512>(blocks, digests);
  for (std::size_t lane = 0; lane < lanes; ++lane) out[position[lane]] = digests[lane];
}

}  // namespace

void md5_avx2(std::span<const KeyRef> keys, std::span<base::HashKey> out) {
  md5_lanes<false, false>(keys, out);
}

void md5_readable_avx2(std::span<const KeyRef> keys, std::span<base::HashKey> out) {
  md5_lanes<true, false>(keys, out);
}

void md5_avx512(std::span<const KeyRef> keys, std::span<base::HashKey> out) {
  md5_lanes<false, true>(keys, out);
}

void md5_readable_avx512(std::span<const KeyRef> keys, std::span<base::HashKey> out) {
  md5_lanes<true, true>(keys, out);
}

}  // namespace penstock::route

#endif
