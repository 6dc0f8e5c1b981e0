// Goal: the budget holds, buffers are used again, and kept ones make room for others. Method: takings
// and givings counted by hand.
#include "base/buffer_pool.h"

#include <gtest/gtest.h>

#include <cstring>

namespace penstock::base {
namespace {

constexpr std::size_t kKilo = 1024;

TEST(BufferPool, RoundsUpToItsClasses) {
  EXPECT_EQ(BufferPool::class_bytes(1), 16 * kKilo);
  EXPECT_EQ(BufferPool::class_bytes(16 * kKilo), 16 * kKilo);
  EXPECT_EQ(BufferPool::class_bytes(16 * kKilo + 1), 24 * kKilo);
  EXPECT_EQ(BufferPool::class_bytes(24 * kKilo + 1), 32 * kKilo);
  EXPECT_EQ(BufferPool::class_bytes(64 * kKilo * kKilo), 64 * kKilo * kKilo);
  EXPECT_EQ(BufferPool::class_bytes(64 * kKilo * kKilo + 1), 64 * kKilo * kKilo + 1);
}

TEST(BufferPool, RefusesBeyondItsBudget) {
  BufferPool pool(48 * kKilo);
  PoolBuffer a = pool.take(16 * kKilo);
  PoolBuffer b = pool.take(24 * kKilo);
  ASSERT_TRUE(a);
  ASSERT_TRUE(b);
  EXPECT_EQ(pool.used(), 40 * kKilo);
  EXPECT_FALSE(pool.has_room(1));
  EXPECT_FALSE(pool.take(1));
  PoolBuffer answer = pool.take_regardless(100);
  EXPECT_EQ(pool.used(), 56 * kKilo);
  pool.give(a);
  EXPECT_FALSE(a);
  EXPECT_FALSE(pool.take(1));  // the answer counts
  pool.give(answer);
  PoolBuffer c = pool.take(1);
  EXPECT_TRUE(c);
  pool.give(b);
  pool.give(c);
  EXPECT_EQ(pool.used(), 0U);
}

TEST(BufferPool, UsesBuffersAgain) {
  BufferPool pool(1024 * kKilo);
  PoolBuffer first = pool.take(100 * kKilo);
  char* const where = first.data;
  std::memset(first.data, 1, first.bytes);
  pool.give(first);
  PoolBuffer second = pool.take(100 * kKilo);
  EXPECT_EQ(second.data, where);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(where) % 64, 0U);
  pool.give(second);
}

TEST(BufferPool, GivesKeptBuffersUpForOtherSizes) {
  BufferPool pool(64 * kKilo);
  PoolBuffer large = pool.take(64 * kKilo);
  pool.give(large);
  // The kept 64 KiB are in the way of four small ones, and must go.
  PoolBuffer small[4];
  for (PoolBuffer& buffer : small) {
    buffer = pool.take(16 * kKilo);
    ASSERT_TRUE(buffer);
    std::memset(buffer.data, 2, buffer.bytes);
  }
  EXPECT_EQ(pool.used(), 64 * kKilo);
  for (PoolBuffer& buffer : small) pool.give(buffer);
}

}  // namespace
}  // namespace penstock::base
