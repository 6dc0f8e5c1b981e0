#include "http/json_writer.h"

#include <charconv>
#include <cstring>

namespace penstock::http {

namespace {

// Runs of text are escaped piece by piece, so that a long value needs no room of six times its size.
constexpr std::size_t kPieceBytes = 1024;

constexpr bool needs_escape(char c) {
  return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
}

char* write_escape(char c, char* out) {
  constexpr char kHex[] = "0123456789abcdef";
  *out++ = '\\';
  switch (c) {
    case '"':
    case '\\':
      *out++ = c;
      return out;
    case '\n':
      *out++ = 'n';
      return out;
    case '\r':
      *out++ = 'r';
      return out;
    case '\t':
      *out++ = 't';
      return out;
    case '\b':
      *out++ = 'b';
      return out;
    case '\f':
      *out++ = 'f';
      return out;
    default: {
      const auto byte = static_cast<unsigned char>(c);
      *out++ = 'u';
      *out++ = '0';
      *out++ = '0';
      *out++ = kHex[byte >> 4];
      *out++ = kHex[byte & 15];
      return out;
    }
  }
}

}  // namespace

char* write_text(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* write_json_escaped(std::string_view text, char* out) {
  std::size_t from = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!needs_escape(text[at])) continue;
    out = write_text(text.substr(from, at - from), out);
    out = write_escape(text[at], out);
    from = at + 1;
  }
  return write_text(text.substr(from), out);
}

char* write_json_integer(std::int64_t value, char* out) {
  return std::to_chars(out, out + kJsonIntegerMax, value).ptr;
}

char* write_json_seconds(std::int64_t millis, char* out) {
  auto magnitude = static_cast<std::uint64_t>(millis);
  if (millis < 0) {
    *out++ = '-';
    magnitude = 0 - magnitude;
  }
  out = std::to_chars(out, out + kJsonIntegerMax, magnitude / 1000).ptr;
  const auto thousandths = static_cast<unsigned>(magnitude % 1000);
  *out++ = '.';
  *out++ = static_cast<char>('0' + thousandths / 100);
  *out++ = static_cast<char>('0' + thousandths / 10 % 10);
  *out++ = static_cast<char>('0' + thousandths % 10);
  return out;
}

void JsonWriter::put(std::string_view text) {
  if (text.empty()) return;
  std::span<char> room = body_.reserve(text.size());
  std::memcpy(room.data(), text.data(), text.size());
  body_.commit(text.size());
}

void JsonWriter::separate() {
  if (comma_) put(",");
  comma_ = true;
}

JsonWriter& JsonWriter::begin_object() {
  separate();
  put("{");
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::end_object() {
  put("}");
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::begin_array() {
  separate();
  put("[");
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  put("]");
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  std::span<char> room = body_.reserve(name.size() + 3);
  char* out = room.data();
  *out++ = '"';
  out = write_text(name, out);
  *out++ = '"';
  *out++ = ':';
  body_.commit(static_cast<std::size_t>(out - room.data()));
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
  separate();
  put("\"");
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, kPieceBytes);
    text.remove_prefix(piece.size());
    std::span<char> room = body_.reserve(piece.size() * kJsonEscapeFactor);
    const char* end = write_json_escaped(piece, room.data());
    body_.commit(static_cast<std::size_t>(end - room.data()));
  }
  put("\"");
  return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t value) {
  separate();
  char text[kJsonIntegerMax];
  put({text, static_cast<std::size_t>(write_json_integer(value, text) - text)});
  return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
  separate();
  put(value ? "true" : "false");
  return *this;
}

JsonWriter& JsonWriter::seconds(std::int64_t millis) {
  separate();
  char text[kJsonSecondsMax];
  put({text, static_cast<std::size_t>(write_json_seconds(millis, text) - text)});
  return *this;
}

}  // namespace penstock::http
