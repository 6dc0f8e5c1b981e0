// Writes JSON text in order: commas and escapes are seen to, nesting is the caller's.
//
// Shape      begin_object/end_object, begin_array/end_array, key, then a value; strings are UTF-8
// Allocates  in the string it writes to
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::client {

// The text between the quotes of a JSON string.
void json_escape(std::string_view text, std::string& out);

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
  JsonWriter& value(double number);
  template <std::integral Int>
  JsonWriter& value(Int number) {
    return raw(std::to_string(number));
  }
  JsonWriter& null() { return raw("null"); }
  template <class Value>
  JsonWriter& field(std::string_view name, const Value& v) {
    return key(name).value(v);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& raw(std::string_view literal);
  void separate();

  std::string text_;
  bool first_ = true;  // nothing stands before in this object or array
};

}  // namespace penstock::client
