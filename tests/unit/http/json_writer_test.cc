// Goal: answers are JSON that every client reads. Method: each kind of value at its edges.
#include "http/json_writer.h"

#include "tests/support/fake_exchange.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>

namespace penstock::http {
namespace {

std::string seconds(std::int64_t millis) {
  char text[kJsonSecondsMax];
  return {text, write_json_seconds(millis, text)};
}

TEST(JsonWriter, WritesSecondsAsPlainDecimals) {
  EXPECT_EQ(seconds(1'700'000'000'123), "1700000000.123");
  EXPECT_EQ(seconds(1'700'000'000'000), "1700000000.000");
  EXPECT_EQ(seconds(7), "0.007");
  EXPECT_EQ(seconds(0), "0.000");
  EXPECT_EQ(seconds(-1), "-0.001");
  EXPECT_EQ(seconds(INT64_MIN), "-9223372036854775.808");
  EXPECT_EQ(seconds(INT64_MAX), "9223372036854775.807");
}

TEST(JsonWriter, SetsCommasAndEscapes) {
  test::FakeBody body;
  JsonWriter json(body);
  json.begin_object()
      .key("a")
      .begin_array()
      .integer(-1)
      .boolean(true)
      .string("x\"\\\n\x01")
      .end_array();
  json.key("b").begin_object().end_object().key("c").begin_array().end_array();
  json.key("d").seconds(1500).end_object();
  EXPECT_EQ(body.text(), R"({"a":[-1,true,"x\"\\\n\u0001"],"b":{},"c":[],"d":1.500})");
}

TEST(JsonWriter, WritesLongStringsOfEveryByteThatParseBack) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text.push_back(static_cast<char>(i % 128));
  test::FakeBody body;
  JsonWriter json(body);
  json.begin_array().string(text).end_array();
  simdjson::dom::parser parser;
  std::string_view back;
  ASSERT_EQ(parser.parse(std::string(body.text())).at(0).get(back), simdjson::SUCCESS);
  EXPECT_EQ(back, text);
}

}  // namespace
}  // namespace penstock::http
