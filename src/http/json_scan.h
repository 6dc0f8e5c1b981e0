// Steps through JSON text without copying: runs of plain characters and of base64, 16 or 32 at a time,
// and the simple escapes.
//
// Shape      text followed by at least 64 readable bytes; what stands there is never taken for text
// Allocates  never
// Source     RFC 8259; W. Muła and D. Lemire, "Faster Base64 Encoding and Decoding Using AVX2
//            Instructions"
#pragma once

#include <cstddef>
#include <cstdint>

namespace penstock::http {

// The first character from `at` on that is not in the base64 alphabet; at or past `end` where there is
// none.
[[nodiscard]] const char* skip_base64(const char* at, const char* end);
// The form for CPUs without AVX2: what the other is checked against.
[[nodiscard]] const char* skip_base64_narrow(const char* at, const char* end);
// The value of a character. REQUIRES: in the alphabet.
[[nodiscard]] unsigned base64_value(char c);

// The first quote, backslash or control character from `at` on, at or past `end` where there is none;
// `ascii` turns false where a byte beyond ASCII lies before it.
[[nodiscard]] const char* skip_plain(const char* at, const char* end, bool& ascii);

struct Escape {
  std::uint32_t code_point = 0;
  std::uint32_t characters = 0;  // that the escape takes in the text; 0: not understood
};
// REQUIRES: *at is a backslash. Surrogates are not understood here.
[[nodiscard]] Escape read_escape(const char* at);
// In place; returns the new length. REQUIRES: every escape is one that `read_escape` understands.
[[nodiscard]] std::size_t unescape(char* text, std::size_t characters);

}  // namespace penstock::http
