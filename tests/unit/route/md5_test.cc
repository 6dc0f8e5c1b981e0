// Goal: partition keys hash as the service hashes them. Method: the published vectors, and every
// length up to several blocks against OpenSSL, in mixtures that fill lanes in all ways.
#include "route/md5.h"

#include "route/md5_lanes.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <random>
#include <string>
#include <vector>

namespace penstock::route {
namespace {

KeyRef as_key(const std::string& key) {
  return {reinterpret_cast<const std::byte*>(key.data()), key.size()};
}

std::string hex(base::HashKey key) {
  char text[33];
  std::snprintf(text, sizeof text, "%016lx%016lx", key.high, key.low);
  return text;
}

std::string openssl_md5(const std::string& key) {
  unsigned char digest[16];
  unsigned int size = 0;
  EXPECT_EQ(EVP_Digest(key.data(), key.size(), digest, &size, EVP_md5(), nullptr), 1);
  std::string text;
  for (const unsigned char byte : digest) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", byte);
    text += pair;
  }
  return text;
}

TEST(Md5, GivesThePublishedDigests) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", "d41d8cd98f00b204e9800998ecf8427e"},
      {"a", "0cc175b9c0f1b6a831c399e269772661"},
      {"abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
       "d174ab98d277d9f5a5611c2c9f419d9f"},
      {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
       "57edf4a22be3c955ac49da2e2107b67a"}};
  for (const auto& [key, digest] : vectors) {
    EXPECT_EQ(hex(md5_scalar(as_key(key))), digest) << key;
    const KeyRef one[] = {as_key(key)};
    base::HashKey out[1];
    md5(one, out);
    EXPECT_EQ(hex(out[0]), digest) << key;
  }
}

TEST(Md5, AgreesWithOpensslForEveryLength) {
  std::mt19937 random(1);
  std::vector<std::string> keys;
  for (std::size_t length = 0; length <= 300; ++length) {
    std::string key(length, '\0');
    for (char& c : key) c = static_cast<char>(random());
    keys.push_back(key);
  }
  std::vector<KeyRef> refs;
  for (const std::string& key : keys) refs.push_back(as_key(key));
  std::vector<base::HashKey> out(keys.size());
  md5(refs, out);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(hex(out[i]), openssl_md5(keys[i])) << "length " << i;
    EXPECT_EQ(out[i], md5_scalar(refs[i])) << "length " << i;
  }
}

// Keys one behind the other, as in a batch: what follows a key must not count.
TEST(Md5, OfReadableKeysIsTheSame) {
  std::mt19937 random(3);
  std::string bytes(64 * 1024, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  std::vector<KeyRef> refs;
  for (std::size_t at = 0; at + 364 <= bytes.size(); at += refs.back().bytes) {
    refs.push_back({reinterpret_cast<const std::byte*>(bytes.data()) + at, random() % 80 + 1});
    if (random() % 16 == 0) refs.back().bytes = random() % 300 + 1;
  }
  std::vector<base::HashKey> out(refs.size());
  md5_readable(refs, out);
  for (std::size_t i = 0; i < refs.size(); ++i) {
    ASSERT_EQ(out[i], md5_scalar(refs[i])) << "key " << i << " of " << refs[i].bytes;
  }
}

// Whatever this CPU has, not only the form that is chosen here.
TEST(Md5, EveryFormGivesTheSame) {
  std::mt19937 random(4);
  std::string bytes(16 * 1024, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  std::vector<KeyRef> refs;
  for (std::size_t at = 0; at + 80 + 64 <= bytes.size(); at += refs.back().bytes) {
    refs.push_back({reinterpret_cast<const std::byte*>(bytes.data()) + at, random() % 80 + 1});
  }
  const auto agrees = [&](auto form) {
    std::vector<base::HashKey> out(refs.size());
    form(refs, out);
    for (std::size_t i = 0; i < refs.size(); ++i) ASSERT_EQ(out[i], md5_scalar(refs[i])) << i;
  };
  int forms = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    ++forms;
    agrees(md5_avx2);
    agrees(md5_readable_avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) {
      ++forms;
      agrees(md5_avx512);
      agrees(md5_readable_avx512);
    }
  }
#endif
  std::printf("%d of 2 vector forms\n", forms);
}

TEST(Md5, AgreesWithTheScalarFormInEveryMixtureOfLanes) {
  std::mt19937 random(2);
  for (std::size_t count = 0; count < 40; ++count) {
    std::vector<std::string> keys(count);
    std::vector<KeyRef> refs;
    for (std::string& key : keys) {
      key.resize(random() % 80);  // some longer than one block
      for (char& c : key) c = static_cast<char>(random());
      refs.push_back(as_key(key));
    }
    std::vector<base::HashKey> out(count);
    md5(refs, out);
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(out[i], md5_scalar(refs[i]));
  }
}

}  // namespace
}  // namespace penstock::route
