#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstring>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

namespace penstock::base {
namespace {

constexpr std::size_t kVectorBytesMin = 256;
// ISA-L takes its length as an int.
constexpr std::size_t kStepBytesMax = std::size_t{1} << 30;

// Both ways work on the inverted register; the caller inverts before and after.
std::uint32_t long_run(const std::byte* data, std::size_t bytes, std::uint32_t state) noexcept {
  while (bytes > 0) {
    const std::size_t step = std::min(bytes, kStepBytesMax);
    // The library reads only, though its prototype says otherwise.
    auto* from = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(data));
    state = crc32_iscsi(from, static_cast<int>(step), state);
    data += step;
    bytes -= step;
  }
  return state;
}

#if defined(__SSE4_2__)
template <class Word>
Word load(const std::byte* at) noexcept {
  Word word = 0;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

std::uint32_t short_run(const std::byte* data, std::size_t bytes, std::uint32_t state) noexcept {
  std::uint64_t wide = state;
  for (; bytes >= 32; bytes -= 32, data += 32) {
    wide = _mm_crc32_u64(wide, load<std::uint64_t>(data));
    wide = _mm_crc32_u64(wide, load<std::uint64_t>(data + 8));
    wide = _mm_crc32_u64(wide, load<std::uint64_t>(data + 16));
    wide = _mm_crc32_u64(wide, load<std::uint64_t>(data + 24));
  }
  for (; bytes >= 8; bytes -= 8, data += 8) wide = _mm_crc32_u64(wide, load<std::uint64_t>(data));
  auto narrow = static_cast<std::uint32_t>(wide);
  if (bytes >= 4) {  // a header less its own checksum
    narrow = _mm_crc32_u32(narrow, load<std::uint32_t>(data));
    data += 4;
    bytes -= 4;
  }
  for (; bytes > 0; --bytes) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*data++));
  return narrow;
}
#else
std::uint32_t short_run(const std::byte* data, std::size_t bytes, std::uint32_t state) noexcept {
  return long_run(data, bytes, state);
}
#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous) noexcept {
  const std::uint32_t state = ~previous;
  const std::uint32_t end = bytes.size() >= kVectorBytesMin
                                ? long_run(bytes.data(), bytes.size(), state)
                                : short_run(bytes.data(), bytes.size(), state);
  return ~end;
}

}  // namespace penstock::base
