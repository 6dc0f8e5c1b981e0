// The middle of a base64 text by vectors; whoever calls does the end. Only for a CPU with AVX2.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace penstock::http {

// Decodes from the start while all is valid and far enough from the end; returns how many
// characters it took, a multiple of 32. `out` may be `text` itself or anywhere before it.
[[nodiscard]] std::size_t base64_decode_avx2(std::string_view text, std::byte* out);
// Encodes from the start; returns how many bytes it took, a multiple of 24.
[[nodiscard]] std::size_t base64_encode_avx2(std::span<const std::byte> bytes, char* out);

}  // namespace penstock::http
