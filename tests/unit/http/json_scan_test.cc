// Goal: runs end where they end, whatever the width of the instructions. Method: every byte at every
// place around the edges of 16 and 32, against one test per character.
#include "http/json_scan.h"

#include "http/validation.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::http {
namespace {

constexpr std::size_t kPadding = 64;

TEST(JsonScan, EndsBase64AtTheFirstOtherByte) {
  for (std::size_t at = 0; at < 70; ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text(100 + kPadding, 'Q');
      text[at] = static_cast<char>(byte);
      const char* const end = text.data() + 100;
      const char* const found = skip_base64(text.data(), end);
      if (is_base64_character(text[at])) {
        EXPECT_GE(found, end) << at << ' ' << byte;
      } else {
        EXPECT_EQ(found, text.data() + at) << byte;
      }
      EXPECT_EQ(std::min(skip_base64_narrow(text.data(), end), end), std::min(found, end));
    }
  }
}

TEST(JsonScan, EndsPlainTextAtQuotesBackslashesAndControls) {
  for (std::size_t at = 0; at < 40; ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text(64 + kPadding, 'x');
      text[at] = static_cast<char>(byte);
      bool ascii = true;
      const char* const end = text.data() + 64;
      const char* const found = skip_plain(text.data(), end, ascii);
      if (byte == '"' || byte == '\\' || byte < 0x20) {
        EXPECT_EQ(found, text.data() + at) << byte;
      } else {
        EXPECT_GE(found, end) << at << ' ' << byte;
      }
      EXPECT_EQ(ascii, byte < 0x80) << at << ' ' << byte;
    }
  }
}

TEST(JsonScan, BytesBehindTheStopDoNotCount) {
  std::string text(64 + kPadding, '\xFF');
  text[3] = '"';
  text[0] = text[1] = text[2] = 'a';
  bool ascii = true;
  EXPECT_EQ(skip_plain(text.data(), text.data() + 64, ascii), text.data() + 3);
  EXPECT_TRUE(ascii);
}

TEST(JsonScan, UnescapesInPlace) {
  std::string text = R"(a\\b\"\/\n\u0041\u00e9\u20ac!)";
  text.resize(unescape(text.data(), text.size()));
  EXPECT_EQ(text, "a\\b\"/\nA\xC3\xA9\xE2\x82\xAC!");
  const std::string surrogate = R"(\ud83d\ude80)";
  EXPECT_EQ(read_escape(surrogate.data()).characters, 0U);
  const std::string wrong = R"(\x     )";
  EXPECT_EQ(read_escape(wrong.data()).characters, 0U);
}

}  // namespace
}  // namespace penstock::http
