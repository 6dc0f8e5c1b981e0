#include "http/parser.h"

#include "base/ascii.h"

#include <algorithm>

namespace penstock::http {
namespace {

constexpr auto kTokenCharacters = [] {
  std::array<bool, 256> set{};
  for (unsigned c = '0'; c <= '9'; ++c) set[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) set[c] = true;
  for (unsigned c = 'A'; c <= 'Z'; ++c) set[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    set[static_cast<unsigned char>(c)] = true;
  return set;
}();

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return kTokenCharacters[static_cast<unsigned char>(c)];
  });
}

// Visible ASCII: what a request target is made of.
bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// No control characters but the tab; bytes above 0x7f are somebody's text.
bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto value = static_cast<unsigned char>(c);
    return value >= ' ' ? value != 0x7f : c == '\t';
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Whether a comma-separated list names `lower_case`.
bool lists(std::string_view list, std::string_view lower_case) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (base::equals_ignoring_case(trimmed(list.substr(0, end)), lower_case)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace

RejectionText describe(Rejection rejection) {
  switch (rejection) {
    case Rejection::kNone:
      break;
    case Rejection::kMalformed:
      return {400, "malformed", "The request is not valid HTTP/1.1.\n"};
    case Rejection::kAmbiguousLength:
      return {400, "ambiguous_length", "The length of the request's body is not stated clearly.\n"};
    case Rejection::kTimeout:
      return {408, "timeout", "The request did not arrive in time.\n"};
    case Rejection::kBodyTooLarge:
      return {413, "body_too_large",
              "The request's body is larger than this server takes; send fewer records a call.\n"};
    case Rejection::kTargetTooLong:
      return {414, "target_too_long", "The request's target is longer than 16 KiB.\n"};
    case Rejection::kExpectation:
      return {417, "expectation", "The only expectation served is 100-continue.\n"};
    case Rejection::kHeadTooLarge:
      return {431, "head_too_large", "The request's head is larger than 64 KiB or 100 headers.\n"};
    case Rejection::kTransferEncoding:
      return {501, "transfer_encoding", "The only transfer encoding served is chunked.\n"};
    case Rejection::kOverloaded:
      return {503, "overloaded",
              "The memory for requests and answers is used up; try again, with fewer bytes in "
              "flight.\n"};
    case Rejection::kStopping:
      return {503, "stopping", "The server is stopping; try again.\n"};
    case Rejection::kVersion:
      return {505, "version", "This server speaks HTTP/1.1.\n"};
  }
  return {500, "none", ""};
}

void HeadParser::reset() {
  head_.header_count = 0;
  head_.version_1_0 = false;
  head_.keep_alive = true;
  head_.chunked = false;
  head_.has_length = false;
  head_.expects_continue = false;
  head_.content_length = 0;
  begin_ = scanned_ = head_bytes_ = 0;
  saw_host_ = saw_encoding_ = false;
  rejection_ = Rejection::kNone;
}

HeadParser::Status HeadParser::refuse(Rejection rejection) {
  rejection_ = rejection;
  return Status::kRefused;
}

HeadParser::Status HeadParser::parse(std::string_view text) {
  if (begin_ == 0 && text.starts_with("\r\n")) scanned_ = begin_ = 2;
  // Find the empty line, and refuse a bare LF as soon as it is there.
  bool found = false;
  while (!found) {
    const std::size_t line_end = text.find('\n', scanned_);
    if (line_end == std::string_view::npos) {
      scanned_ = text.size();
      return text.size() > kHeadBytesMax ? refuse(Rejection::kHeadTooLarge) : Status::kNeedMore;
    }
    if (line_end == 0 || text[line_end - 1] != '\r') return refuse(Rejection::kMalformed);
    found = line_end >= begin_ + 3 && text[line_end - 2] == '\n';
    if (line_end == begin_ + 1) return refuse(Rejection::kMalformed);
    scanned_ = line_end + 1;
  }
  head_bytes_ = scanned_;
  if (head_bytes_ > kHeadBytesMax) return refuse(Rejection::kHeadTooLarge);

  std::string_view rest = text.substr(begin_, head_bytes_ - begin_ - 2);
  const auto next_line = [&rest] {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    return line;
  };
  Rejection rejection = parse_request_line(next_line());
  while (rejection == Rejection::kNone && !rest.empty()) rejection = parse_header(next_line());
  if (rejection == Rejection::kNone) rejection = conclude();
  return rejection == Rejection::kNone ? Status::kDone : refuse(rejection);
}

Rejection HeadParser::parse_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return Rejection::kMalformed;
  head_.method = line.substr(0, first);
  head_.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(head_.method)) return Rejection::kMalformed;
  if (head_.target.empty() || !is_visible(head_.target)) return Rejection::kMalformed;
  if (head_.target.size() > kTargetBytesMax) return Rejection::kTargetTooLong;
  if (version == "HTTP/1.1") return Rejection::kNone;
  if (version == "HTTP/1.0") {
    head_.version_1_0 = true;
    head_.keep_alive = false;
    return Rejection::kNone;
  }
  return version.starts_with("HTTP/") ? Rejection::kVersion : Rejection::kMalformed;
}

Rejection HeadParser::parse_header(std::string_view line) {
  if (head_.header_count == kHeadersMax) return Rejection::kHeadTooLarge;
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Rejection::kMalformed;
  const Header header{line.substr(0, colon), trimmed(line.substr(colon + 1))};
  // A folded line begins with a space, and a space before the colon is no token either.
  if (!is_token(header.name) || !is_field_value(header.value)) return Rejection::kMalformed;
  head_.header_slots[head_.header_count++] = header;
  return interpret(header);
}

Rejection HeadParser::interpret(const Header& header) {
  switch (header.name.size()) {
    case 4:
      if (!base::equals_ignoring_case(header.name, "host")) break;
      if (saw_host_) return Rejection::kMalformed;
      saw_host_ = true;
      break;
    case 6:
      if (!base::equals_ignoring_case(header.name, "expect")) break;
      if (!base::equals_ignoring_case(header.value, "100-continue")) return Rejection::kExpectation;
      head_.expects_continue = true;
      break;
    case 10:
      if (!base::equals_ignoring_case(header.name, "connection")) break;
      if (lists(header.value, "close")) {
        head_.keep_alive = false;
      } else if (head_.version_1_0 && lists(header.value, "keep-alive")) {
        head_.keep_alive = true;
      }
      break;
    case 14: {
      if (!base::equals_ignoring_case(header.name, "content-length")) break;
      if (head_.has_length) return Rejection::kAmbiguousLength;
      if (header.value.empty() || header.value.size() > 18) return Rejection::kAmbiguousLength;
      for (const char c : header.value) {
        if (c < '0' || c > '9') return Rejection::kAmbiguousLength;
        head_.content_length = head_.content_length * 10 + static_cast<std::uint64_t>(c - '0');
      }
      head_.has_length = true;
      break;
    }
    case 17:
      if (!base::equals_ignoring_case(header.name, "transfer-encoding")) break;
      if (saw_encoding_) return Rejection::kAmbiguousLength;
      saw_encoding_ = true;
      if (!base::equals_ignoring_case(header.value, "chunked")) return Rejection::kTransferEncoding;
      head_.chunked = true;
      break;
    default:
      break;
  }
  return Rejection::kNone;
}

Rejection HeadParser::conclude() {
  if (head_.chunked && head_.has_length) return Rejection::kAmbiguousLength;
  if (head_.chunked && head_.version_1_0) return Rejection::kAmbiguousLength;
  if (!saw_host_ && !head_.version_1_0) return Rejection::kMalformed;
  if (head_.version_1_0) head_.expects_continue = false;
  return Rejection::kNone;
}

}  // namespace penstock::http
