// Base64 (RFC 4648 §4, padded) for the payloads of the JSON API, twelve bytes at a time with SSSE3
// where the processor baseline has it: a load generator must not be what the load is limited by.
//
// Shape      encoded_size(n) = 4 · ceil(n / 3)
// Errors     decode gives nothing for a wrong character, length or padding
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::client {

[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) { return (bytes + 2) / 3 * 4; }

// Writes base64_size(data.size()) characters; returns the end.
char* base64_encode(std::string_view data, char* out);
void base64_append(std::string_view data, std::string& out);

// The bytes, in `scratch`, which is overwritten.
[[nodiscard]] std::optional<std::string_view> base64_decode(std::string_view text,
                                                            std::string& scratch);

}  // namespace penstock::client
