// Goal: digests and message codes are right through a context that is used again and again. Method:
// the published vectors of FIPS 180 and RFC 4231, interleaved.
#include "proto/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::proto {
namespace {

std::string hex(const Sha256Digest& digest) {
  std::string text(64, ' ');
  write_hex(digest, text.data());
  return text;
}

TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, TakesItsTextInPiecesAndStartsAfresh) {
  Sha256 hash;
  for (int round = 0; round < 3; ++round) {
    hash.reset();
    hash.update("a");
    hash.update("");
    hash.update("bc");
    EXPECT_EQ(hex(hash.finish()),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  }
}

TEST(Hmac, GivesThePublishedCodes) {
  Sha256 hash;
  const std::string jefe = "Jefe";
  EXPECT_EQ(hex(hash.hmac(std::as_bytes(std::span(jefe)), "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const std::string long_key(131, '\xaa');
  EXPECT_EQ(hex(hash.hmac(std::as_bytes(std::span(long_key)),
                          "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace penstock::proto
