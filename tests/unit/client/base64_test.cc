// Goal: base64 is RFC 4648's at every length, whichever path a length takes. Method: the RFC's
// vectors, every length up to a few blocks against the one-byte-at-a-time definition, and every wrong
// character at every place of a text that takes the vector path.
#include "client/base64.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::client {
namespace {

std::string encoded(std::string_view data) {
  std::string out;
  base64_append(data, out);
  return out;
}

std::string by_definition(std::string_view data) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bits;
  for (const char c : data) {
    for (int bit = 7; bit >= 0; --bit)
      bits += (static_cast<unsigned char>(c) >> bit & 1) != 0 ? '1' : '0';
  }
  while (bits.size() % 6 != 0) bits += '0';
  std::string out;
  for (std::size_t i = 0; i < bits.size(); i += 6) {
    out += kLetters[std::stoul(bits.substr(i, 6), nullptr, 2)];
  }
  while (out.size() % 4 != 0) out += '=';
  return out;
}

std::string bytes(std::size_t size) {
  std::string data;
  for (std::size_t i = 0; i < size; ++i) data += static_cast<char>(i * 151 + size * 7 + 3);
  return data;
}

TEST(Base64, EncodesTheVectorsOfTheRfc) {
  EXPECT_EQ(encoded(""), "");
  EXPECT_EQ(encoded("f"), "Zg==");
  EXPECT_EQ(encoded("fo"), "Zm8=");
  EXPECT_EQ(encoded("foo"), "Zm9v");
  EXPECT_EQ(encoded("foobar"), "Zm9vYmFy");
}

TEST(Base64, GivesBackWhatItWasGivenAtEveryLength) {
  std::string scratch;
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string data = bytes(size);
    const std::string text = encoded(data);
    ASSERT_EQ(text, by_definition(data)) << size;
    const auto decoded = base64_decode(text, scratch);
    ASSERT_TRUE(decoded) << size;
    ASSERT_EQ(*decoded, data) << size;
  }
}

TEST(Base64, EveryByteValueSurvives) {
  std::string data;
  for (int i = 0; i < 256; ++i) data += static_cast<char>(i);
  std::string scratch;
  const std::string text = encoded(data);
  EXPECT_EQ(base64_decode(text, scratch), data);
}

TEST(Base64, RefusesEveryForeignCharacterEverywhere) {
  const std::string good = encoded(bytes(48));
  std::string scratch;
  for (std::size_t place = 0; place < good.size(); ++place) {
    for (int c = 0; c < 256; ++c) {
      std::string text = good;
      text[place] = static_cast<char>(c);
      const bool letter = std::string_view("+/").find(static_cast<char>(c)) != std::string::npos ||
                          (c < 128 && std::isalnum(c) != 0);
      // In the last place '=' is padding.
      if (c == '=' && place + 1 == good.size()) continue;
      ASSERT_EQ(base64_decode(text, scratch).has_value(), letter) << place << " " << c;
    }
  }
}

TEST(Base64, RefusesWrongLengths) {
  std::string scratch;
  EXPECT_FALSE(base64_decode("Zg=", scratch));
  EXPECT_FALSE(base64_decode("Z", scratch));
  EXPECT_FALSE(base64_decode("Z===", scratch));
}

}  // namespace
}  // namespace penstock::client
