// Goal: base64 is strict, and its vector form does exactly what the table form does. Method: every
// length, every wrong character at every place, every wrong end, decoded apart and in place, with
// guard bytes behind the output.
#include "http/base64.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace penstock::http {
namespace {

using Bytes = std::vector<std::byte>;

Bytes random_bytes(std::mt19937& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

std::string encoded(const Bytes& bytes) {
  std::string text(base64_encoded_bytes(bytes.size()), ' ');
  EXPECT_EQ(base64_encode(bytes, text.data()), text.data() + text.size());
  return text;
}

constexpr std::byte kGuard{0xa5};

// What decoding gives; fails the test when a byte behind the exact output is touched.
std::optional<Bytes> decoded(std::string_view text) {
  const std::size_t room = base64_decoded_bytes_max(text.size());
  Bytes out(room + 64, kGuard);
  const auto size = base64_decode(text, out.data());
  for (std::size_t i = room; i < out.size(); ++i) EXPECT_EQ(out[i], kGuard);
  if (!size) return std::nullopt;
  EXPECT_EQ(*size, base64_decoded_bytes(text));
  out.resize(*size);
  return out;
}

TEST(Base64, GivesThePublishedTexts) {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    Bytes bytes(plain.size());
    std::transform(plain.begin(), plain.end(), bytes.begin(),
                   [](char c) { return static_cast<std::byte>(c); });
    EXPECT_EQ(encoded(bytes), text);
    EXPECT_EQ(decoded(text), bytes);
  }
}

TEST(Base64, ComesBackForEveryLength) {
  std::mt19937 random(4);
  for (std::size_t size = 0; size < 400; ++size) {
    const Bytes bytes = random_bytes(random, size);
    const std::string text = encoded(bytes);
    std::string by_table(text.size(), ' ');
    base64_encode_scalar(bytes, by_table.data());
    EXPECT_EQ(text, by_table) << size;
    EXPECT_EQ(decoded(text), bytes) << size;
  }
}

TEST(Base64, DecodesInPlace) {
  std::mt19937 random(5);
  for (std::size_t size = 0; size < 300; ++size) {
    const Bytes bytes = random_bytes(random, size);
    for (const std::size_t gap : {0U, 1U, 17U}) {  // the text may stand behind the output
      std::string buffer = std::string(gap, '"') + encoded(bytes);
      auto* out = reinterpret_cast<std::byte*>(buffer.data());
      const auto written = base64_decode(std::string_view(buffer).substr(gap), out);
      ASSERT_EQ(written, size);
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), out)) << size;
    }
  }
}

TEST(Base64, RefusesEveryCharacterOutsideTheAlphabetAtEveryPlace) {
  std::mt19937 random(6);
  const Bytes bytes = random_bytes(random, 96);  // 128 characters: vectors, and a tail by table
  const std::string good = encoded(bytes);
  std::vector<std::byte> out(good.size());
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string text = good;
      text[at] = static_cast<char>(c);
      const auto fast = base64_decode(text, out.data());
      const auto by_table = base64_decode_scalar(text, out.data());
      ASSERT_EQ(fast.has_value(), by_table.has_value()) << "character " << c << " at " << at;
      const bool letter = std::isalnum(c) != 0 || c == '+' || c == '/';
      if (c != '=') {
        EXPECT_EQ(fast.has_value(), letter) << "character " << c << " at " << at;
      }
    }
  }
}

TEST(Base64, RefusesWrongEnds) {
  for (const char* text : {"A", "AA", "AAA", "AAAAA", "====", "A===", "=AAA", "AA=A", "AB==",
                           "AAB=", "AA==AAAA", "AAA=AAAA", "AAAA====", "AAAA\n", "AA==\n"}) {
    EXPECT_FALSE(decoded(text).has_value()) << text;
  }
  EXPECT_TRUE(decoded("AA==").has_value());
  EXPECT_TRUE(decoded("AAA=").has_value());
  const std::string padded_middle = std::string(40, 'A') + "AA==" + std::string(40, 'A');
  EXPECT_FALSE(decoded(padded_middle).has_value());
}

}  // namespace
}  // namespace penstock::http
