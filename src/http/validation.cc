#include "http/validation.h"

#include "base/assert.h"
#include "http/base64.h"
#include "http/echo.h"
#include "http/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace penstock::http {

namespace {

using Refusal = std::optional<proto::KinesisError>;
using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr std::string_view kListFound = "Start of list found where not expected";
constexpr std::string_view kStructureFound = "Start of structure or map found where not expected.";
constexpr std::string_view kNumberClass =
    "class com.amazon.coral.value.json.numbers.TruncatingBigNumber";

bool is_number(element_type type) {
  return type == element_type::INT64 || type == element_type::UINT64 ||
         type == element_type::DOUBLE;
}

double as_double(element value) {
  switch (value.type()) {
    case element_type::INT64:
      return static_cast<double>(value.get_int64().value_unsafe());
    case element_type::UINT64:
      return static_cast<double>(value.get_uint64().value_unsafe());
    default:
      return value.get_double().value_unsafe();
  }
}

std::int64_t as_integer(element value) {
  constexpr double kMax = 2147483647.0;
  return static_cast<std::int64_t>(std::clamp(std::floor(as_double(value)), -kMax, kMax));
}

// How the service speaks of a value that is neither a list nor a structure.
std::string_view class_of(element_type type) {
  if (is_number(type)) return kNumberClass;
  return type == element_type::BOOL ? "class java.lang.Boolean" : "class java.lang.String";
}

Refusal wrong_container(element_type type) {
  if (type == element_type::ARRAY) return serialization_error(std::string(kListFound));
  if (type == element_type::OBJECT) return serialization_error(std::string(kStructureFound));
  return std::nullopt;
}

Refusal decode_value(element in, const Member& member, Value& out);

// Types of scalars: `wanted` ends the sentence "… can not be converted to".
Refusal decode_scalar(element in, bool fits, std::string_view wanted) {
  if (fits) return std::nullopt;
  if (Refusal refusal = wrong_container(in.type())) return refusal;
  return serialization_error(
      fmt::format("{} can not be converted to {}", class_of(in.type()), wanted));
}

Refusal decode_boolean(element in, Value& out) {
  if (in.type() == element_type::STRING) {
    std::string text(cut(in.get_string().value_unsafe()));
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
      return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return serialization_error(fmt::format("'{}' can not be converted to an Boolean", text));
  }
  const bool fits = in.type() == element_type::BOOL;
  if (fits) out.boolean = in.get_bool().value_unsafe();
  return decode_scalar(in, fits, "an Boolean");
}

Refusal decode_blob(element in, Value& out) {
  if (in.type() != element_type::STRING) return decode_scalar(in, false, "a Blob");
  out.text = in.get_string().value_unsafe();
  if (std::optional<std::string> why = blob_refusal(out.text)) {
    return serialization_error(*std::move(why));
  }
  return std::nullopt;
}

Refusal decode_list(element in, const Member& member, Value& out) {
  if (in.type() == element_type::OBJECT) return wrong_container(in.type());
  Member each = member;
  each.kind = Kind::kStructure;
  simdjson::dom::array items;
  if (in.get(items) != simdjson::SUCCESS) return serialization_error("Expected list or null");
  out.count = items.size();
  out.items.reserve(std::min(out.count, kElementsRead));
  for (const element item : items) {
    if (out.items.size() == kElementsRead) break;
    if (Refusal refusal = decode_value(item, each, out.items.emplace_back())) return refusal;
  }
  return std::nullopt;
}

Refusal decode_map(element in, Value& out) {
  if (in.type() == element_type::ARRAY) return wrong_container(in.type());
  simdjson::dom::object pairs;
  if (in.get(pairs) != simdjson::SUCCESS) return serialization_error("Expected map or null");
  const Member text{.name = "value", .kind = Kind::kString};
  out.count = pairs.size();
  for (const simdjson::dom::key_value_pair pair : pairs) {
    if (out.items.size() == kElementsRead) break;
    if (Refusal refusal = decode_value(pair.value, text, out.items.emplace_back())) return refusal;
  }
  return std::nullopt;
}

Refusal decode_structure(element in, const Member& member, Value& out) {
  if (in.type() == element_type::ARRAY) return wrong_container(in.type());
  if (in.type() != element_type::OBJECT) return serialization_error("Expected null");
  return decode(in, member.children, out.items);
}

Refusal decode_value(element in, const Member& member, Value& out) {
  const element_type type = in.type();
  if (type == element_type::NULL_VALUE) return std::nullopt;
  out.present = true;
  switch (member.kind) {
    case Kind::kString:
      if (type == element_type::STRING) out.text = in.get_string().value_unsafe();
      return decode_scalar(in, type == element_type::STRING, "an String");
    case Kind::kInteger:
      if (is_number(type)) out.integer = as_integer(in);
      return decode_scalar(in, is_number(type), "an Integer");
    case Kind::kTimestamp:
      if (is_number(type)) out.number = as_double(in);
      return decode_scalar(in, is_number(type), "milliseconds since epoch");
    case Kind::kBoolean:
      return decode_boolean(in, out);
    case Kind::kBlob:
      return decode_blob(in, out);
    case Kind::kList:
      return decode_list(in, member, out);
    case Kind::kMap:
      return decode_map(in, out);
    case Kind::kStructure:
      return decode_structure(in, member, out);
  }
  return std::nullopt;
}

// --- Constraints ------------------------------------------------------------------------------

std::string_view pattern_text(Pattern pattern) {
  switch (pattern) {
    case Pattern::kName:
      return "[a-zA-Z0-9_.-]+";
    case Pattern::kHashKey:
      return "0|([1-9]\\d{0,38})";
    case Pattern::kSequenceNumber:
      return "0|([1-9]\\d{0,128})";
    case Pattern::kStreamArn:
      return "arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+";
    case Pattern::kNone:
      break;
  }
  return "";
}

std::int64_t length_of(const Member& member, const Value& value) {
  switch (member.kind) {
    case Kind::kBlob:
      return static_cast<std::int64_t>(base64_decoded_bytes(value.text));
    case Kind::kList:
    case Kind::kMap:
      return static_cast<std::int64_t>(value.count);
    default:
      return static_cast<std::int64_t>(count_characters(value.text));
  }
}

std::string printed(const Member& member, const Value& value) {
  switch (member.kind) {
    case Kind::kInteger:
      return fmt::format("{}", value.integer);
    case Kind::kBlob: {
      const std::size_t bytes = base64_decoded_bytes(value.text);
      return fmt::format("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes);
    }
    case Kind::kList: {
      const std::size_t shown = value.items.size();
      std::string list = "[";
      for (std::size_t i = 0; i < shown; ++i) {
        if (i > 0) list += ", ";
        list += member.element_class;
      }
      return list + (shown < value.count ? ", …]" : "]");
    }
    default:
      return std::string(cut(value.text));
  }
}

class Findings {
 public:
  void check_all(std::span<const Member> shape, std::span<const Value> values,
                 const std::string& parent);
  [[nodiscard]] Refusal refusal() const;

 private:
  void check_one(const Member& member, const Value& value, bool required,
                 const std::string& parent);
  void check_elements(const Member& member, const Value& value, const std::string& parent);
  void add(const Member& member, const Value& value, const std::string& parent,
           std::string_view constraint);
  [[nodiscard]] bool full() const { return findings_.size() >= kFindingsMax; }

  std::vector<std::string> findings_;
};

std::string lower_first(std::string_view name) {
  std::string text(name);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  return text;
}

void Findings::add(const Member& member, const Value& value, const std::string& parent,
                   std::string_view constraint) {
  if (full()) return;
  const std::string shown = value.present ? fmt::format("'{}'", printed(member, value)) : "null";
  findings_.push_back(fmt::format("Value {} at '{}{}' failed to satisfy constraint: {}", shown,
                                  parent, lower_first(member.name), constraint));
}

void Findings::check_one(const Member& member, const Value& value, bool required,
                         const std::string& parent) {
  if (!value.present) {
    if (required) add(member, value, parent, "Member must not be null");
    return;
  }
  if (member.pattern != Pattern::kNone && !matches(member.pattern, value.text)) {
    add(member, value, parent,
        fmt::format("Member must satisfy regular expression pattern: {}",
                    pattern_text(member.pattern)));
  }
  if (!member.values.empty() &&
      std::find(member.values.begin(), member.values.end(), value.text) == member.values.end()) {
    add(member, value, parent,
        fmt::format("Member must satisfy enum value set: [{}]", fmt::join(member.values, ", ")));
  }
  const bool by_value = member.kind == Kind::kInteger;
  const std::string_view what = by_value ? "value" : "length";
  const std::int64_t size = by_value ? value.integer : length_of(member, value);
  if (member.min != -kNoBound && size < member.min) {
    add(member, value, parent,
        fmt::format("Member must have {} greater than or equal to {}", what, member.min));
  }
  if (member.max != kNoBound && size > member.max) {
    add(member, value, parent,
        fmt::format("Member must have {} less than or equal to {}", what, member.max));
  }
  if (member.kind == Kind::kStructure) {
    check_all(member.children, value.items, parent + lower_first(member.name) + ".");
  }
  if (member.kind == Kind::kList) check_elements(member, value, parent);
}

void Findings::check_elements(const Member& member, const Value& value, const std::string& parent) {
  Member each = member;
  each.kind = Kind::kStructure;
  each.name = "member";
  each.min = -kNoBound;
  each.max = kNoBound;
  for (std::size_t i = 0; i < value.items.size() && !full(); ++i) {
    check_one(each, value.items[i], true,
              fmt::format("{}{}.{}.", parent, lower_first(member.name), i + 1));
  }
}

void Findings::check_all(std::span<const Member> shape, std::span<const Value> values,
                         const std::string& parent) {
  const auto arn = std::find_if(shape.begin(), shape.end(),
                                [](const Member& m) { return m.name == "StreamARN"; });
  const bool has_arn =
      arn != shape.end() && values[static_cast<std::size_t>(arn - shape.begin())].present;
  for (std::size_t i = 0; i < shape.size() && !full(); ++i) {
    const bool required =
        shape[i].needed == Needed::kYes || (shape[i].needed == Needed::kUnlessArn && !has_arn);
    check_one(shape[i], values[i], required, parent);
  }
}

Refusal Findings::refusal() const {
  if (findings_.empty()) return std::nullopt;
  return proto::KinesisError{
      .type = "ValidationException",
      .message = fmt::format("{} validation error{} detected: {}", findings_.size(),
                             findings_.size() == 1 ? "" : "s", fmt::join(findings_, "; "))};
}

// --- Patterns ---------------------------------------------------------------------------------

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool all(std::string_view text, bool (*allowed)(char)) {
  return std::all_of(text.begin(), text.end(), allowed);
}

bool is_name_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
         c == '-';
}

bool is_decimal(std::string_view text, std::size_t digits_max) {
  if (text == "0") return true;
  return !text.empty() && text.size() <= digits_max && text[0] != '0' && all(text, is_digit);
}

bool is_stream_arn(std::string_view text) {
  std::string_view parts[5];
  for (std::string_view& part : parts) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return false;
    part = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  constexpr std::string_view kResource = "stream/";
  return parts[0] == "arn" && parts[1].starts_with("aws") && parts[2] == "kinesis" &&
         parts[4].size() == 12 && all(parts[4], is_digit) && text.starts_with(kResource) &&
         text.size() > kResource.size() &&
         all(text, [](char c) { return static_cast<unsigned char>(c) > ' '; });
}

}  // namespace

bool matches(Pattern pattern, std::string_view text) {
  switch (pattern) {
    case Pattern::kNone:
      return true;
    case Pattern::kName:
      return !text.empty() && all(text, is_name_character);
    case Pattern::kHashKey:
      return is_decimal(text, 39);
    case Pattern::kSequenceNumber:
      return is_decimal(text, 129);
    case Pattern::kStreamArn:
      return is_stream_arn(text);
  }
  return false;
}

std::optional<std::string> blob_refusal(std::string_view text) {
  const auto refuse = [text](std::string_view why) {
    return fmt::format("'{}' can not be converted to a Blob: {}", cut(text), why);
  };
  if (text.size() % 4 != 0) {
    return refuse(fmt::format(
        "Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.size()));
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_base64_character(text[i])) continue;
    const bool padding = text[i] == '=' && i + 2 >= text.size() && text.back() == '=';
    if (padding) continue;
    // The echo shows the whole character, which may be several bytes.
    std::size_t end = i + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    return refuse(fmt::format("Invalid Base64 character: '{}'", text.substr(i, end - i)));
  }
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  if (padding == 0) return std::nullopt;
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t last = kAlphabet.find(text[text.size() - padding - 1]);
  if ((last & (padding == 2 ? 15U : 3U)) == 0) return std::nullopt;
  // The spelling is the service's.
  return refuse("Invalid last non-pad Base64 character dectected");
}

std::int64_t timestamp_millis(const Value& timestamp) {
  constexpr double kLastOfYear9999 = 253'402'300'799'999.0;
  return std::llround(std::clamp(timestamp.number * 1000.0, -kLastOfYear9999, kLastOfYear9999));
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::optional<proto::KinesisError> decode(element object, std::span<const Member> shape,
                                          std::vector<Value>& out) {
  out.clear();
  out.resize(shape.size());
  // Where a member is given twice the last one counts, as in every JSON parser the service may use.
  std::vector<std::optional<element>> found(shape.size());
  simdjson::dom::object members;
  const bool is_object = object.get(members) == simdjson::SUCCESS;
  PENSTOCK_ASSERT(is_object);
  for (const simdjson::dom::key_value_pair pair : members) {
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (pair.key == shape[i].name) found[i] = pair.value;
    }
  }
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::optional<element>& value = found[i];
    if (!value) continue;
    if (Refusal refusal = decode_value(*value, shape[i], out[i])) return refusal;
  }
  return std::nullopt;
}

std::optional<proto::KinesisError> check(std::span<const Member> shape,
                                         std::span<const Value> values) {
  Findings findings;
  findings.check_all(shape, values, "");
  return findings.refusal();
}

}  // namespace penstock::http
