#include "client/http_response.h"

#include "base/ascii.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace penstock::client {
namespace {

constexpr std::size_t kHeadMax = std::size_t{64} * 1024;
// More than any answer of the API, with its 10 MiB of records in base64.
constexpr std::uint64_t kBodyMax = 256ULL * 1024 * 1024;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <class Int>
bool parse_number(std::string_view text, Int& out, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc() && end == text.data() + text.size();
}

// IMF-fixdate, RFC 9110 §5.6.7; 0 for anything else.
std::int64_t seconds_of(std::string_view date) {
  std::tm parts{};
  const std::string text(date);
  const char* const end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return end != nullptr && *end == '\0' ? timegm(&parts) : 0;
}

}  // namespace

void HttpResponse::reset() {
  state_ = State::kHead;
  status_ = 0;
  keep_alive_ = true;
  chunked_ = false;
  left_ = 0;
  head_.clear();
  body_.clear();
  request_id_.clear();
  date_ = 0;
}

bool HttpResponse::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (state_) {
      case State::kHead: {
        const std::size_t before = head_.size();
        head_.append(bytes.substr(0, std::min(bytes.size(), kHeadMax + 1 - before)));
        const auto end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
        if (end == std::string::npos) {
          if (head_.size() > kHeadMax) return false;
          return true;
        }
        bytes.remove_prefix(end + 4 - before);
        head_.resize(end + 2);
        if (!parse_head()) return false;
        head_.clear();
        break;
      }
      case State::kBody:
        bytes.remove_prefix(take_body(bytes));
        if (left_ == 0) state_ = State::kComplete;
        break;
      case State::kChunk:
        bytes.remove_prefix(take_body(bytes));
        if (left_ == 0) state_ = State::kChunkEnd;
        break;
      case State::kChunkSize:
      case State::kChunkEnd:
      case State::kTrailer: {
        const auto newline = bytes.find('\n');
        head_.append(bytes.substr(0, newline));
        if (head_.size() > kHeadMax) return false;
        if (newline == std::string_view::npos) return true;
        bytes.remove_prefix(newline + 1);
        if (!end_line()) return false;
        head_.clear();
        break;
      }
      case State::kComplete:
        return false;
    }
  }
  return true;
}

std::size_t HttpResponse::take_body(std::string_view bytes) {
  const std::size_t taken = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_));
  body_.append(bytes.substr(0, taken));
  left_ -= taken;
  return taken;
}

bool HttpResponse::parse_head() {
  std::string_view head = head_;
  const auto line_end = head.find("\r\n");
  const std::string_view line = head.substr(0, line_end);
  head.remove_prefix(line_end + 2);
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ' ||
      !parse_number(line.substr(9, 3), status_)) {
    return false;
  }
  keep_alive_ = line[7] == '1';
  while (!head.empty()) {
    const auto end = head.find("\r\n");
    const std::string_view header = head.substr(0, end);
    head.remove_prefix(end + 2);
    const auto colon = header.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    if (!parse_header(header.substr(0, colon), trimmed(header.substr(colon + 1)))) return false;
  }
  if (status_ < 200) {  // an interim answer: the real one follows
    state_ = State::kHead;
    return true;
  }
  if (chunked_) {
    state_ = State::kChunkSize;
    return true;
  }
  body_.reserve(static_cast<std::size_t>(left_) + 64);
  state_ = left_ == 0 ? State::kComplete : State::kBody;
  return true;
}

bool HttpResponse::parse_header(std::string_view name, std::string_view value) {
  if (base::equals_ignoring_case(name, "content-length")) {
    return parse_number(value, left_) && left_ <= kBodyMax;
  }
  if (base::equals_ignoring_case(name, "transfer-encoding")) {
    chunked_ = base::equals_ignoring_case(value, "chunked");
    return chunked_;
  }
  if (base::equals_ignoring_case(name, "connection")) {
    if (base::equals_ignoring_case(value, "close")) keep_alive_ = false;
    if (base::equals_ignoring_case(value, "keep-alive")) keep_alive_ = true;
  }
  if (base::equals_ignoring_case(name, "x-amzn-requestid")) request_id_ = value;
  if (base::equals_ignoring_case(name, "date")) date_ = seconds_of(value);
  return true;
}

bool HttpResponse::end_line() {
  std::string_view line = head_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  switch (state_) {
    case State::kChunkSize:
      line = trimmed(line.substr(0, line.find(';')));
      if (!parse_number(line, left_, 16) || left_ > kBodyMax || body_.size() + left_ > kBodyMax) {
        return false;
      }
      state_ = left_ == 0 ? State::kTrailer : State::kChunk;
      return true;
    case State::kChunkEnd:
      state_ = State::kChunkSize;
      return line.empty();
    default:  // kTrailer
      if (line.empty()) state_ = State::kComplete;
      return true;
  }
}

}  // namespace penstock::client
