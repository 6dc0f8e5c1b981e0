// Goal: the ring loses, repeats and reorders nothing between two threads. Method: count through it with
// a small ring, so that it is full and empty all the time; the thread sanitizer watches.
#include "base/spsc_ring.h"

#include "base/nearest.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

namespace penstock::base {
namespace {

TEST(SpscRing, IsFullAndEmptyWhenItShouldBe) {
  SpscRing<int, 4> ring;
  int out = 0;
  EXPECT_FALSE(ring.pop(out));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(i));
  EXPECT_FALSE(ring.push(4));
  EXPECT_TRUE(ring.pop(out));
  EXPECT_EQ(out, 0);
  EXPECT_TRUE(ring.push(4));
}

TEST(SpscRing, KeepsOrderBetweenThreads) {
  SpscRing<std::uint64_t, 8> ring;
  constexpr std::uint64_t kCount = 200'000;
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount;) {
      if (ring.push(i))
        ++i;
      else
        std::this_thread::yield();
    }
  });
  for (std::uint64_t expected = 0; expected < kCount;) {
    std::uint64_t out = 0;
    if (ring.pop(out))
      ASSERT_EQ(out, expected++);
    else
      std::this_thread::yield();
  }
  producer.join();
}

TEST(Nearest, FindsTheTypoAndNothingFarAway) {
  constexpr std::string_view kNames[] = {"stream", "put", "tail", "doctor"};
  EXPECT_EQ(nearest("steam", kNames), "stream");
  EXPECT_EQ(nearest("docter", kNames), "doctor");
  EXPECT_EQ(nearest("zzzzzzz", kNames), "");
}

}  // namespace
}  // namespace penstock::base
