// Goal: a head means what RFC 9112 says, wherever its bytes are cut. Method: heads parsed whole and
// byte by byte; what is refused is in tests/wire/http/smuggling.txt.
#include "http/parser.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace penstock::http {
namespace {

constexpr std::string_view kHead =
    "POST /a?b=c HTTP/1.1\r\nHost: localhost\r\nX-Empty:\r\nX-Text: \t some  text \t\r\n"
    "Content-LENGTH: 000042\r\n\r\n";

void expect_head(const HeadParser& parser) {
  const RequestHead& head = parser.head();
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/a?b=c");
  ASSERT_EQ(head.headers().size(), 4U);
  EXPECT_EQ(head.headers()[0].name, "Host");
  EXPECT_EQ(head.headers()[0].value, "localhost");
  EXPECT_EQ(head.headers()[1].value, "");
  EXPECT_EQ(head.headers()[2].value, "some  text");
  EXPECT_EQ(head.content_length, 42U);
  EXPECT_TRUE(head.has_length);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.chunked);
  EXPECT_FALSE(head.version_1_0);
  EXPECT_EQ(parser.head_bytes(), kHead.size());
}

TEST(HeadParser, ReadsAWholeHeadAndLeavesTheBody) {
  HeadParser parser;
  parser.reset();
  const std::string text = std::string(kHead) + "body\r\n\r\n";
  ASSERT_EQ(parser.parse(text), HeadParser::Status::kDone);
  expect_head(parser);
}

TEST(HeadParser, ReadsAHeadByteByByteAndStartsAfresh) {
  HeadParser parser;
  for (int round = 0; round < 2; ++round) {
    parser.reset();
    for (std::size_t bytes = 0; bytes < kHead.size(); ++bytes) {
      ASSERT_EQ(parser.parse(kHead.substr(0, bytes)), HeadParser::Status::kNeedMore) << bytes;
    }
    ASSERT_EQ(parser.parse(kHead), HeadParser::Status::kDone);
    expect_head(parser);
  }
}

TEST(HeadParser, RefusesBareLineFeedsAsSoonAsTheyCome) {
  HeadParser parser;
  parser.reset();
  EXPECT_EQ(parser.parse("POST / HTTP/1.1\r\nHost: x\n"), HeadParser::Status::kRefused);
  EXPECT_EQ(parser.rejection(), Rejection::kMalformed);
  parser.reset();
  EXPECT_EQ(parser.parse("\n"), HeadParser::Status::kRefused);
  parser.reset();
  EXPECT_EQ(parser.parse("\r\n\r\n"), HeadParser::Status::kRefused);
}

TEST(HeadParser, NeverReadsBeyondItsText) {
  // Every prefix in a buffer of exactly its size: a sanitizer sees one byte too many.
  for (std::size_t bytes = 0; bytes <= kHead.size(); ++bytes) {
    const auto exact = std::make_unique<char[]>(bytes);
    kHead.copy(exact.get(), bytes);
    HeadParser parser;
    parser.reset();
    const auto status = parser.parse({exact.get(), bytes});
    EXPECT_EQ(status == HeadParser::Status::kDone, bytes == kHead.size());
  }
}

TEST(Rejections, EachHasAStatusANameAndASentence) {
  for (std::size_t i = 1; i < kRejections; ++i) {
    const RejectionText text = describe(static_cast<Rejection>(i));
    EXPECT_GE(text.status, 400);
    EXPECT_FALSE(text.name.empty());
    EXPECT_TRUE(text.text.ends_with(".\n"));
    for (std::size_t j = 1; j < i; ++j) {
      EXPECT_NE(text.name, describe(static_cast<Rejection>(j)).name);
    }
  }
}

}  // namespace
}  // namespace penstock::http
