#include "route/md5.h"

#include "base/assert.h"
#include "route/md5_lanes.h"
#include "route/md5_tables.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace penstock::route {
namespace {

using State = std::array<std::uint32_t, 4>;

template <std::size_t kStep>
[[gnu::always_inline]] inline void step(State& s, const std::uint32_t (&words)[16]) {
  // The roles of a, b, c, d move round by one each step.
  constexpr std::size_t kA = (64 - kStep) % 4, kB = (kA + 1) % 4, kC = (kA + 2) % 4,
                        kD = (kA + 3) % 4;
  const std::uint32_t b = s[kB], c = s[kC], d = s[kD];
  std::uint32_t f = 0;
  if constexpr (kStep < 16) {
    f = d ^ (b & (c ^ d));
  } else if constexpr (kStep < 32) {
    f = (d & b) + (~d & c);  // disjoint bits: the sum starts before b is known
  } else if constexpr (kStep < 48) {
    f = b ^ c ^ d;
  } else {
    f = c ^ (b | ~d);
  }
  const std::uint32_t sum = s[kA] + f + kMd5Sines[kStep] + words[md5_word(kStep)];
  s[kA] = b + std::rotl(sum, kMd5Shifts[kStep / 16][kStep % 4]);
}

void compress(State& state, const std::byte* block) {
  std::uint32_t words[16];
  std::memcpy(words, block, sizeof words);
  State s = state;
  [&]<std::size_t... kSteps>(std::index_sequence<kSteps...>) {
    (step<kSteps>(s, words), ...);
  }(std::make_index_sequence<64>{});
  for (std::size_t i = 0; i < 4; ++i) state[i] += s[i];
}

base::HashKey digest(const State& s) {
  const auto half = [](std::uint32_t first, std::uint32_t second) {
    return (std::uint64_t{__builtin_bswap32(first)} << 32) | __builtin_bswap32(second);
  };
  return {half(s[0], s[1]), half(s[2], s[3])};
}

void md5_each(std::span<const KeyRef> keys, std::span<base::HashKey> out) {
  for (std::size_t i = 0; i < keys.size(); ++i) out[i] = md5_scalar(keys[i]);
}

struct Many {
  void (*any)(std::span<const KeyRef>, std::span<base::HashKey>) = md5_each;
  void (*readable)(std::span<const KeyRef>, std::span<base::HashKey>) = md5_each;
};

Many choose() {
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
  if (avx512) return {md5_avx512, md5_readable_avx512};
  if (__builtin_cpu_supports("avx2")) return {md5_avx2, md5_readable_avx2};
#endif
  return {};
}

const Many kMany = choose();

}  // namespace

base::HashKey md5_scalar(KeyRef key) {
  State state = kMd5Start;
  std::size_t at = 0;
  for (; key.bytes - at >= 64; at += 64) compress(state, key.data + at);

  const std::size_t rest = key.bytes - at;
  std::byte tail[128] = {};
  if (rest > 0) std::memcpy(tail, key.data + at, rest);
  tail[rest] = std::byte{0x80};
  const std::size_t blocks = rest <= kMd5OneBlockBytes ? 1 : 2;
  const std::uint64_t bits = std::uint64_t{key.bytes} * 8;
  std::memcpy(tail + blocks * 64 - 8, &bits, 8);
  for (std::size_t i = 0; i < blocks; ++i) compress(state, tail + i * 64);
  return digest(state);
}

void md5(std::span<const KeyRef> keys, std::span<base::HashKey> out) {
  PENSTOCK_ASSERT(out.size() == keys.size());
  kMany.any(keys, out);
}

void md5_readable(std::span<const KeyRef> keys, std::span<base::HashKey> out) {
  PENSTOCK_ASSERT(out.size() == keys.size());
  kMany.readable(keys, out);
}

}  // namespace penstock::route
