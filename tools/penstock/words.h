// How people write times, durations, sizes and numbers, both ways.
//
// Shape      durations: `90s 5m 7d 500ms 2h`; times: RFC 3339, or a duration with a minus before it, back
//            from now; sizes: `10MiB 10MB 4k 512`, also with `/s` behind
// Errors     nothing for text that is none
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::tools {

[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// Seconds since 1970; `now` likewise.
[[nodiscard]] std::optional<double> parse_time(std::string_view text, double now);
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);

// "2026-11-23T01:02:03.456Z".
[[nodiscard]] std::string format_time(double seconds);
// "1,234,567".
[[nodiscard]] std::string format_count(std::uint64_t count);
// "12.3 MB": powers of ten.
[[nodiscard]] std::string format_bytes(double bytes);
// Text for a terminal: control characters and what is not UTF-8 become \xNN.
[[nodiscard]] std::string printable(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace penstock::tools
