// Base64 as the Kinesis API writes blobs: standard alphabet, padded, strict. 32 characters a step
// where the CPU has AVX2, chosen once at start; by table elsewhere.
//
// Shape      any length; decoding may be in place (out == text, or anywhere before it)
// Allocates  never
// Errors     decode: nothing for a length that is no multiple of 4, a character outside the
//            alphabet, padding elsewhere than at the end, or bits behind the last byte that are not
//            0
// Source     RFC 4648 §4; the vector form after W. Muła and D. Lemire,
//            "Faster Base64 Encoding and Decoding Using AVX2 Instructions"
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace penstock::http {

[[nodiscard]] constexpr std::size_t base64_encoded_bytes(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}
// How much room decoding may need: never more than the text itself.
[[nodiscard]] constexpr std::size_t base64_decoded_bytes_max(std::size_t characters) {
  return characters / 4 * 3;
}
// Exact, for text that decodes.
[[nodiscard]] constexpr std::size_t base64_decoded_bytes(std::string_view text) {
  std::size_t bytes = text.size() / 4 * 3;
  if (!text.empty() && text.back() == '=') bytes -= text[text.size() - 2] == '=' ? 2 : 1;
  return bytes;
}

// The number of bytes written to `out`. On an error what `out` holds is undefined.
[[nodiscard]] std::optional<std::size_t> base64_decode(std::string_view text, std::byte* out);
// Returns the end.
char* base64_encode(std::span<const std::byte> bytes, char* out);

// The portable forms: what the vector forms are checked against.
[[nodiscard]] std::optional<std::size_t> base64_decode_scalar(std::string_view text,
                                                              std::byte* out);
char* base64_encode_scalar(std::span<const std::byte> bytes, char* out);

}  // namespace penstock::http
