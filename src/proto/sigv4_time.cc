// Dates as signatures carry them.
#include "proto/sigv4.h"

#include <charconv>
#include <chrono>
#include <cstring>

namespace penstock::proto {
namespace {

using std::chrono::sys_days;
using std::chrono::year_month_day;

// The number that `text` is, digits only.
std::optional<int> number(std::string_view text) {
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<std::int64_t> unix_second(std::optional<int> year, std::optional<int> month,
                                        std::optional<int> day, std::string_view clock) {
  // `clock` is hhmmss or hh:mm:ss.
  const std::size_t step = clock.size() == 8 ? 3 : 2;
  const auto hour = number(clock.substr(0, 2));
  const auto minute = number(clock.substr(step, 2));
  const auto second = number(clock.substr(2 * step, 2));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const year_month_day date{std::chrono::year{*year},
                            std::chrono::month{static_cast<unsigned>(*month)},
                            std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = sys_days{date}.time_since_epoch().count();
  return ((days * 24 + *hour) * 60 + *minute) * 60 + *second;
}

std::optional<int> month_number(std::string_view name) {
  constexpr std::string_view kNames = "JanFebMarAprMayJunJulAugSepOctNovDec";
  for (int i = 0; i < 12; ++i) {
    if (kNames.substr(static_cast<std::size_t>(i) * 3, 3) == name) return i + 1;
  }
  return std::nullopt;
}

}  // namespace

std::array<char, 16> sigv4_date_time(std::int64_t unix_second) {
  const std::int64_t days =
      unix_second >= 0 ? unix_second / 86'400 : -((86'399 - unix_second) / 86'400);
  const std::int64_t in_day = unix_second - days * 86'400;
  const year_month_day date{sys_days{std::chrono::days{days}}};
  std::array<char, 16> text{};
  const auto put = [&text](std::size_t at, std::size_t width, std::int64_t value) {
    for (std::size_t i = width; i-- > 0; value /= 10) {
      text[at + i] = static_cast<char>('0' + value % 10);
    }
  };
  put(0, 4, static_cast<int>(date.year()));
  put(4, 2, static_cast<unsigned>(date.month()));
  put(6, 2, static_cast<unsigned>(date.day()));
  text[8] = 'T';
  put(9, 2, in_day / 3'600);
  put(11, 2, in_day / 60 % 60);
  put(13, 2, in_day % 60);
  text[15] = 'Z';
  return text;
}

std::optional<std::int64_t> parse_sigv4_date(std::string_view text) {
  if (text.size() == 16 && text[8] == 'T' && text[15] == 'Z') {
    return unix_second(number(text.substr(0, 4)), number(text.substr(4, 2)),
                       number(text.substr(6, 2)), text.substr(9, 6));
  }
  // "Mon, 02 Dec 2013 04:50:15 GMT"
  if (text.size() == 29 && text[3] == ',' && text.substr(25) == " GMT" && text[19] == ':' &&
      text[22] == ':') {
    return unix_second(number(text.substr(12, 4)), month_number(text.substr(8, 3)),
                       number(text.substr(5, 2)), text.substr(17, 8));
  }
  return std::nullopt;
}

}  // namespace penstock::proto
