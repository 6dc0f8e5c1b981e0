// JSON written straight into a response: commas by themselves, strings escaped, timestamps as plain
// decimals of seconds.
//
// Shape      any depth; keys are written as given, so they must need no escaping
// Owner      one writer per response. Borrows the body, which outlives it
// Allocates  never
// Source     RFC 8259; the Kinesis contract: no exponents in timestamps
#pragma once

#include "http/exchange.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace penstock::http {

// Escaped text may take this many times its length.
inline constexpr std::size_t kJsonEscapeFactor = 6;
inline constexpr std::size_t kJsonIntegerMax = 20;
// "-9223372036854775.807"
inline constexpr std::size_t kJsonSecondsMax = 24;

// Each returns the end. `out` has room for the largest form.
char* write_json_escaped(std::string_view text, char* out);
char* write_json_integer(std::int64_t value, char* out);
// Milliseconds as seconds with three decimals: 1700000000.123.
char* write_json_seconds(std::int64_t millis, char* out);
// What a literal or a view holds, as it is.
char* write_text(std::string_view text, char* out);

class JsonWriter {
 public:
  explicit JsonWriter(ResponseBody& body) : body_(body) {}
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);
  JsonWriter& string(std::string_view text);
  JsonWriter& integer(std::int64_t value);
  JsonWriter& boolean(bool value);
  JsonWriter& seconds(std::int64_t millis);

 private:
  void separate();
  void put(std::string_view text);

  ResponseBody& body_;
  bool comma_ = false;  // the next key or element is not the first
};

}  // namespace penstock::http
