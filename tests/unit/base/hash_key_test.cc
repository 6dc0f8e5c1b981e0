// Goal: decimal hash keys read and write exactly. Method: edges, and a round trip over random keys.
#include "base/hash_key.h"

#include <gtest/gtest.h>

#include <random>

namespace penstock::base {
namespace {

TEST(HashKey, ReadsAndWritesTheEdges) {
  EXPECT_EQ(HashKey::parse("0"), (HashKey{0, 0}));
  EXPECT_EQ(HashKey::parse("18446744073709551616"), (HashKey{1, 0}));
  EXPECT_EQ(HashKey::parse("340282366920938463463374607431768211455"), kHashKeyMax);
  EXPECT_EQ(kHashKeyMax.decimal(), "340282366920938463463374607431768211455");
  EXPECT_EQ((HashKey{0, 0}).decimal(), "0");
}

TEST(HashKey, RefusesWhatIsNotOne) {
  for (const char* text :
       {"", "00", "01", "-1", "+1", "1a", " 1", "340282366920938463463374607431768211456",
        "999999999999999999999999999999999999999", "1000000000000000000000000000000000000000"}) {
    EXPECT_EQ(HashKey::parse(text), std::nullopt) << text;
  }
}

TEST(HashKey, RoundTrips) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 1'000; ++i) {
    const HashKey key{random(), random() >> (i % 64)};
    EXPECT_EQ(HashKey::parse(key.decimal()), key);
  }
}

TEST(HashKey, StepsOverTheHalves) {
  EXPECT_EQ(next(HashKey{0, ~0ULL}), (HashKey{1, 0}));
  EXPECT_EQ(previous(HashKey{1, 0}), (HashKey{0, ~0ULL}));
}

}  // namespace
}  // namespace penstock::base
