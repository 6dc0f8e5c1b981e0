// The shapes of requests as tables, and the two checks every request passes: the types of its
// members (SerializationException), then their constraints (ValidationException), both with the
// service's own messages.
//
// Shape      members in the service's fixed order; at most 10 findings are reported. Values echoed in
//            a message are cut (http/echo.h), so that a refusal is never larger than what it refuses
// Owner      tables are constants; a Value borrows its text from the parsed document
// Allocates  for structures and lists
// Source     the Kinesis contract: error bodies, shapes and constraints; docs/kinesis-compatibility.md
#pragma once

#include "proto/kinesis.h"

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::http {

enum class Kind : std::uint8_t {
  kString,
  kInteger,
  kBoolean,
  kTimestamp,
  kBlob,
  kList,
  kMap,  // of strings to strings
  kStructure,
};

enum class Pattern : std::uint8_t { kNone, kName, kHashKey, kSequenceNumber, kStreamArn };

enum class Needed : std::uint8_t {
  kNo,
  kYes,
  kUnlessArn,  // StreamName, where StreamARN serves as well
};

inline constexpr std::int64_t kNoBound = INT64_MAX;
// No list or map may have so many; what lies beyond is counted alone.
inline constexpr std::size_t kElementsRead = 1000;
inline constexpr std::size_t kFindingsMax = 10;

struct Member {
  std::string_view name;
  Kind kind = Kind::kString;
  Needed needed = Needed::kNo;
  Pattern pattern = Pattern::kNone;
  std::int64_t min = -kNoBound;  // of an integer's value, else of the length
  std::int64_t max = kNoBound;
  std::span<const std::string_view> values = {};  // an enumeration
  // Members of a structure, or of each structure in a list.
  std::span<const Member> children = {};
  std::string_view element_class = {};  // how the service prints an element of the list
};

// What a member held. A null is as good as absent.
struct Value {
  bool present = false;
  bool boolean = false;
  std::string_view text;     // a string; a blob in base64, which is known to decode
  std::int64_t integer = 0;  // floored and clamped to ±(2^31 − 1)
  double number = 0;         // a timestamp: seconds
  std::size_t count = 0;     // elements of a list or map
  // Members of a structure in the table's order; of a list or map at most kElementsRead elements.
  std::vector<Value> items;
};

// REQUIRES: `object` is an object. `out` gets one value per member of `shape`.
[[nodiscard]] std::optional<proto::KinesisError> decode(simdjson::dom::element object,
                                                        std::span<const Member> shape,
                                                        std::vector<Value>& out);
[[nodiscard]] std::optional<proto::KinesisError> check(std::span<const Member> shape,
                                                       std::span<const Value> values);

[[nodiscard]] constexpr bool is_base64_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
         c == '/';
}
[[nodiscard]] bool matches(Pattern pattern, std::string_view text);
// Why `text` is no base64, as the service words it; nothing where it is.
[[nodiscard]] std::optional<std::string> blob_refusal(std::string_view text);
// A timestamp in milliseconds since 1970, clamped to the years that calendars know.
[[nodiscard]] std::int64_t timestamp_millis(const Value& timestamp);
// Characters (code points) of valid UTF-8.
[[nodiscard]] std::size_t count_characters(std::string_view text);

}  // namespace penstock::http
