// Goal: the proof that a client has its key, as PROTOCOL.md §7 writes it. Method: a value worked out
// with Python's hmac module, and every part of the input changed in turn.
#include "proto/credentials.h"

#include <gtest/gtest.h>

#include <array>

namespace penstock::proto {
namespace {

class HelloProof : public testing::Test {
 protected:
  HelloProof() {
    for (std::size_t i = 0; i < channel_.size(); ++i) channel_[i] = static_cast<std::byte>(i);
    for (std::size_t i = 0; i < nonce_.size(); ++i) nonce_[i] = static_cast<std::byte>(i);
  }
  std::string proof() {
    std::string text(64, '\0');
    write_hex(hello_proof(hash_, secret_, channel_, time_ms_, nonce_), text.data());
    return text;
  }
  Sha256 hash_;
  std::string secret_ = "a secret";
  HelloChannel channel_{};
  std::int64_t time_ms_ = 1'700'000'000'123;
  std::array<std::byte, 16> nonce_{};
};

TEST_F(HelloProof, IsWhatTheDocumentSays) {
  EXPECT_EQ(proof(), "f6b45c33a260274017ab917c982981b8018fefff73672a1de19f411b1e1cc5a5");
}

TEST_F(HelloProof, BindsEveryPart) {
  const std::string first = proof();
  nonce_[15] ^= std::byte{1};
  const std::string other_nonce = proof();
  ++time_ms_;
  const std::string other_time = proof();
  channel_[31] ^= std::byte{1};
  const std::string other_channel = proof();
  secret_ += 'x';
  const std::string other_secret = proof();
  EXPECT_NE(first, other_nonce);
  EXPECT_NE(other_nonce, other_time);
  EXPECT_NE(other_time, other_channel);
  EXPECT_NE(other_channel, other_secret);
}

TEST(CredentialSet, FindsWhatItHas) {
  const CredentialSet set({{.access_key_id = "B", .secret_access_key = "2"},
                           {.access_key_id = "A", .secret_access_key = "1"}});
  ASSERT_NE(set.find("A"), nullptr);
  EXPECT_EQ(set.find("A")->secret_access_key, "1");
  EXPECT_EQ(set.find("AA"), nullptr);
  EXPECT_EQ(set.find(""), nullptr);
}

}  // namespace
}  // namespace penstock::proto
