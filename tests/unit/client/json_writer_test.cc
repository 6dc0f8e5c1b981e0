// Goal: what is written is JSON, commas and escapes included. Method: texts compared, and read back by
// the reader of replies.
#include "client/json_writer.h"

#include "client/json_reader.h"
#include "client/kinesis_client.h"

#include <gtest/gtest.h>

#include <limits>

namespace penstock::client {
namespace {

TEST(JsonWriter, SeparatesMembersAndNests) {
  JsonWriter writer;
  writer.begin_object().field("a", 1).key("b").begin_array().value("x").value(true).end_array();
  writer.key("c").begin_object().end_object().key("d").null().field("e", -2.5).end_object();
  EXPECT_EQ(writer.text(), R"({"a":1,"b":["x",true],"c":{},"d":null,"e":-2.5})");
}

TEST(JsonWriter, EscapesWhatJsonForbids) {
  std::string text;
  json_escape("a\"b\\c\n\r\t\x01\xc3\xa4", text);
  EXPECT_EQ(text, "a\\\"b\\\\c\\n\\r\\t\\u0001\xc3\xa4");
}

TEST(JsonWriter, NumbersThatAreNoneBecomeNull) {
  JsonWriter writer;
  writer.begin_array().value(std::numeric_limits<double>::infinity()).end_array();
  EXPECT_EQ(writer.text(), "[null]");
}

TEST(JsonReader, GivesWhatIsThereAndNothingElse) {
  std::string text =
      R"({"s":"t","n":3,"d":1.5,"b":true,"o":[{"x":"1"},{"x":"2"}],"l":["p","q"],"z":null})";
  text.reserve(text.size() + kReplyPadding);
  JsonReader reader;
  const auto object = reader.parse(text);
  ASSERT_TRUE(object);
  EXPECT_EQ(text_of(*object, "s"), "t");
  EXPECT_EQ(text_of(*object, "n"), "");
  EXPECT_EQ(text_of(*object, "z"), "");
  EXPECT_EQ(integer_of(*object, "n"), 3);
  EXPECT_EQ(integer_of(*object, "missing"), std::nullopt);
  EXPECT_EQ(number_of(*object, "d"), 1.5);
  EXPECT_TRUE(truth_of(*object, "b"));
  EXPECT_EQ(objects_of(*object, "o").size(), 2U);
  EXPECT_EQ(objects_of(*object, "missing").size(), 0U);
  EXPECT_EQ(texts_of(*object, "l"), (std::vector<std::string_view>{"p", "q"}));
}

TEST(JsonReader, RefusesWhatIsNoObject) {
  std::string text = "[1,2";
  text.reserve(text.size() + kReplyPadding);
  JsonReader reader;
  const auto object = reader.parse(text);
  ASSERT_FALSE(object);
  EXPECT_EQ(object.error().kind, FailureKind::kProtocol);
}

}  // namespace
}  // namespace penstock::client
