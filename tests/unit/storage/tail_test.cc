// Goal: a block in flight is never overwritten, a block is readable until its memory is taken, and
// nothing else is ever found. Method: random blocks through a small ring, against a plain list.
#include "storage/tail.h"

#include "env/disk.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>

namespace penstock::storage {
namespace {

constexpr std::uint64_t kRing = 64 * env::kSector;

struct Written {
  SegmentNumber segment;
  std::uint32_t offset;
  std::uint32_t length;
  std::byte fill;
};

[[nodiscard]] bool holds(const TailWindow& tail, const Written& w) {
  const std::byte* at = tail.find(w.segment, w.offset);
  if (at == nullptr) return false;
  for (std::uint32_t i = 0; i < w.length; ++i) {
    if (at[i] != w.fill) return false;
  }
  // The last byte is found through its own offset too.
  return tail.find(w.segment, w.offset + w.length - 1) == at + w.length - 1;
}

TEST(TailWindow, KeepsBlocksInFlightAndReadsBackTheRest) {
  std::mt19937_64 random(7);
  TailWindow tail(kRing);
  std::deque<Written> in_flight;
  std::deque<Written> released;
  SegmentNumber segment(1);
  std::uint32_t offset = 4096;
  std::uint64_t reads = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 3 == 0 && !in_flight.empty()) {
      tail.release();
      released.push_back(in_flight.front());
      in_flight.pop_front();
    }
    const std::uint64_t reserve = (1 + random() % 16) * env::kSector;
    if (!tail.has_room(reserve)) {
      ASSERT_FALSE(in_flight.empty()) << "an empty ring takes any block";
      continue;
    }
    std::byte* at = tail.reserve(reserve);
    const auto length =
        static_cast<std::uint32_t>((1 + random() % (reserve / env::kSector)) * env::kSector);
    const auto fill = static_cast<std::byte>(random());
    std::memset(at, static_cast<int>(fill), reserve);
    tail.commit(segment, offset, length);
    in_flight.push_back({segment, offset, length, fill});
    offset += length;
    if (random() % 50 == 0) {
      ++segment;
      offset = 4096;
    }
    while (released.size() + in_flight.size() > tail.blocks()) {
      const Written& gone = released.front();
      ASSERT_EQ(tail.find(gone.segment, gone.offset), nullptr);
      released.pop_front();
    }
    std::uint64_t flying = 0;
    for (const Written& w : in_flight) {
      ASSERT_TRUE(holds(tail, w));
      flying += w.length;
    }
    ASSERT_LE(flying, kRing / 2);
    for (const Written& w : released) {
      ASSERT_TRUE(holds(tail, w));
      ++reads;
    }
  }
  EXPECT_GT(reads, 50'000U);
}

TEST(TailWindow, FindsNothingOutsideItsBlocks) {
  TailWindow tail(kRing);
  EXPECT_EQ(tail.find(SegmentNumber(1), 4096), nullptr);
  static_cast<void>(tail.reserve(8192));
  tail.commit(SegmentNumber(3), 8192, 4096);
  EXPECT_NE(tail.find(SegmentNumber(3), 8192), nullptr);
  EXPECT_EQ(tail.find(SegmentNumber(3), 8191), nullptr);
  EXPECT_EQ(tail.find(SegmentNumber(3), 12288), nullptr);
  EXPECT_EQ(tail.find(SegmentNumber(2), 8192), nullptr);
  EXPECT_EQ(tail.find(SegmentNumber(4), 8192), nullptr);
}

TEST(TailWindow, TakesABlockOfHalfTheRingWhateverThePosition) {
  TailWindow tail(kRing);
  for (std::uint32_t i = 0; i < 10; ++i) {
    static_cast<void>(tail.reserve(env::kSector * (1 + i)));
    tail.commit(SegmentNumber(1), 100 * 4096 * (2 * i + 1), 4096);
    tail.release();
    ASSERT_TRUE(tail.has_room(kRing / 2));
    ASSERT_FALSE(tail.has_room(kRing / 2 + env::kSector));
    static_cast<void>(tail.reserve(kRing / 2));
    tail.commit(SegmentNumber(1), 100 * 4096 * (2 * i + 2), kRing / 2);
    EXPECT_FALSE(tail.has_room(env::kSector)) << "half the ring is in flight";
    tail.release();
  }
}

}  // namespace
}  // namespace penstock::storage
