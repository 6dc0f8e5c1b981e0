// What a refusal repeats of the request that it refuses: never much, and always valid UTF-8, since it
// becomes a JSON string.
//
// Shape      at most kEchoMax bytes, cut between characters; each byte that is not UTF-8 becomes '?'
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock::http {

inline constexpr std::size_t kEchoMax = 2048;

// The part that is repeated. REQUIRES: valid UTF-8, as what a JSON parser has read.
[[nodiscard]] std::string_view cut(std::string_view text);
// The same of any bytes.
[[nodiscard]] std::string echo(std::string_view bytes);

}  // namespace penstock::http
