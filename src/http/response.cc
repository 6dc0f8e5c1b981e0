#include "http/response.h"

#include "base/assert.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace penstock::http {
namespace {

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

}  // namespace

std::string_view DateLine::at(WallMillis wall) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::int64_t second = std::max<std::int64_t>(wall.raw(), 0) / 1000;
  if (second == second_) return {text_, size_};
  second_ = second;
  const std::chrono::sys_days day{std::chrono::days{second / 86'400}};
  const std::chrono::year_month_day date{day};
  const std::int64_t in_day = second % 86'400;
  const auto end = fmt::format_to_n(
      text_, sizeof text_, "Date: {}, {:02} {} {:04} {:02}:{:02}:{:02} GMT\r\n",
      kDays[std::chrono::weekday{day}.c_encoding()], static_cast<unsigned>(date.day()),
      kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
      in_day / 3'600, in_day / 60 % 60, in_day % 60);
  size_ = std::min(end.size, sizeof text_);
  return {text_, size_};
}

std::span<char> Response::reserve(std::size_t bytes) {
  if (end_ + bytes > capacity()) {
    base::PoolBuffer grown = pool_.take_regardless(std::max(end_ + bytes, 2 * capacity()));
    std::memcpy(grown.data + kHeadRoom, base() + kHeadRoom, size());
    pool_.give(large_);
    large_ = grown;
  }
  return {base() + end_, capacity() - end_};
}

bool Response::has_room(std::size_t bytes, std::uint64_t spared) const {
  return end_ + bytes <= capacity() || pool_.has_room(end_ + bytes, large_.bytes, spared);
}

void Response::fit() {
  if (!large_ || end_ > large_.bytes / kFitFactor) return;
  base::PoolBuffer fitting;
  if (end_ > kSmallBytes) fitting = pool_.take_regardless(end_);
  char* const to = fitting ? fitting.data : small_;
  std::memcpy(to + kHeadRoom, large_.data + kHeadRoom, size());
  pool_.give(large_);
  large_ = fitting;
}

void Response::commit(std::size_t bytes) {
  PENSTOCK_ASSERT(end_ + bytes <= capacity());
  end_ += bytes;
}

std::string_view Response::finish(const ResponseHead& head) {
  fit();
  char start[512];
  const auto written = fmt::format_to_n(
      start, sizeof start, "HTTP/1.1 {} {}\r\n{}{}{}{}Content-Length: {}\r\nConnection: {}\r\n",
      head.status, reason(head.status), head.date_line,
      head.content_type.empty() ? "" : "Content-Type: ", head.content_type,
      head.content_type.empty() ? "" : "\r\n", size(), head.keep_alive ? "keep-alive" : "close");
  PENSTOCK_ASSERT(written.size <= sizeof start);
  const std::size_t head_bytes = written.size + head.extra_headers.size() + 2;

  std::size_t body_at = kHeadRoom;
  const std::size_t body_bytes = size();
  if (head_bytes > kHeadRoom) {
    // A head too long for its room: make the missing part behind the body, and move the body.
    (void)reserve(head_bytes - kHeadRoom);
    body_at = head_bytes;
    std::memmove(base() + body_at, base() + kHeadRoom, body_bytes);
  }
  char* const message = base() + body_at - head_bytes;
  std::copy_n(start, written.size, message);
  std::ranges::copy(head.extra_headers, message + written.size);
  std::ranges::copy(std::string_view("\r\n"), message + head_bytes - 2);
  return {message, head.head_only ? head_bytes : head_bytes + body_bytes};
}

void Response::release() {
  pool_.give(large_);
  clear();
}

}  // namespace penstock::http
