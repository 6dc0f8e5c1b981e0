// Goal: tokens come back as they were given out, and only ours do. Method: every field at its
// extremes; every bit of a token flipped; tokens of another key, kind and length.
#include "http/iterator_token.h"

#include "http/base64.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::http {
namespace {

TokenKey key_of(unsigned char first) {
  TokenKey key{};
  key[0] = static_cast<std::byte>(first);
  return key;
}

std::string write(TokenBox& box, const Token& token) {
  std::array<char, kTokenCharactersMax> text;
  const char* const end = box.write(token, text.data());
  return {static_cast<const char*>(text.data()), end};
}

Token example() {
  return {.kind = TokenKind::kIterator,
          .variant = 3,
          .shard = ShardNumber(2'147'483'647),
          .stream = StreamUid(UINT64_MAX),
          .position = UINT64_MAX - 1,
          .timestamp = INT64_MIN,
          .issued = WallMillis(1'700'000'000'123),
          .name = "fleet"};
}

TEST(IteratorToken, ComesBackAsItWas) {
  TokenBox box(key_of(1));
  const std::string text = write(box, example());
  EXPECT_LE(text.size(), 512U);
  // By another box with the same key: any core, after any restart.
  TokenBox other(key_of(1));
  const auto token = other.parse(TokenKind::kIterator, text);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->variant, 3);
  EXPECT_EQ(token->shard, ShardNumber(2'147'483'647));
  EXPECT_EQ(token->stream, StreamUid(UINT64_MAX));
  EXPECT_EQ(token->position, UINT64_MAX - 1);
  EXPECT_EQ(token->timestamp, INT64_MIN);
  EXPECT_EQ(token->issued, WallMillis(1'700'000'000'123));
  EXPECT_EQ(token->name, "fleet");
}

TEST(IteratorToken, FitsWithTheLongestName) {
  TokenBox box(key_of(1));
  Token token = example();
  const std::string name(kTokenNameMax, 'n');
  token.name = name;
  const std::string text = write(box, token);
  EXPECT_LE(text.size(), kTokenCharactersMax);
  EXPECT_EQ(box.parse(TokenKind::kIterator, text)->name, name);
  token.name = "";
  EXPECT_EQ(box.parse(TokenKind::kIterator, write(box, token))->name, "");
}

TEST(IteratorToken, IsRefusedWithAnyBitFlipped) {
  TokenBox box(key_of(1));
  const std::string text = write(box, example());
  std::vector<std::byte> bytes(base64_decoded_bytes_max(text.size()));
  const std::size_t size = *base64_decode(text, bytes.data());
  for (std::size_t bit = 0; bit < size * 8; ++bit) {
    std::vector<std::byte> changed(bytes.begin(),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(size));
    changed[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    std::string changed_text(base64_encoded_bytes(size), ' ');
    base64_encode(changed, changed_text.data());
    EXPECT_FALSE(box.parse(TokenKind::kIterator, changed_text)) << "bit " << bit;
  }
}

TEST(IteratorToken, IsRefusedWithAnotherKeyKindOrLength) {
  TokenBox box(key_of(1));
  TokenBox stranger(key_of(2));
  const std::string text = write(box, example());
  EXPECT_FALSE(stranger.parse(TokenKind::kIterator, text));
  EXPECT_FALSE(box.parse(TokenKind::kShardPage, text));
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(box.parse(TokenKind::kIterator, text.substr(0, length)));
  }
  EXPECT_FALSE(box.parse(TokenKind::kIterator, text + "AAAA"));
  EXPECT_FALSE(box.parse(TokenKind::kIterator, std::string(10'000, 'A')));
  EXPECT_FALSE(box.parse(TokenKind::kIterator, "not base64 at all!"));
}

TEST(IteratorToken, ExpiresAfterFiveMinutes) {
  const Token token = example();
  EXPECT_FALSE(expired(token, token.issued + 300'000));
  EXPECT_TRUE(expired(token, token.issued + 300'001));
  EXPECT_FALSE(expired(token, token.issued - 3'600'000));
}

}  // namespace
}  // namespace penstock::http
