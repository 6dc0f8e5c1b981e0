// Goal: a record says by itself whose it is and whether it was changed. Method: records of a pool, bytes of which are
// turned.
#include "bench/records.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace penstock::tools::bench {
namespace {

std::vector<std::byte> copy(std::span<const std::byte> data) { return {data.begin(), data.end()}; }

TEST(BenchRecords, NameThemselves) {
  for (const std::size_t bytes :
       {kStampBytes, kStampBytes + 1, std::size_t{100}, std::size_t{4'000}}) {
    RecordPool pool(7, 3, bytes);
    for (const std::uint64_t number : {0ULL, 1ULL, 999ULL, 1'000ULL, (1ULL << 48) - 1}) {
      const auto record = pool.record(number);
      ASSERT_EQ(record.size(), bytes);
      EXPECT_EQ(read_stamp(record), (Stamp{7, 3, number}));
    }
  }
}

TEST(BenchRecords, AnyChangedByteShows) {
  RecordPool pool(7, 3, 40);
  const auto record = copy(pool.record(5));
  for (std::size_t at = 0; at < record.size(); ++at) {
    auto changed = record;
    changed[at] ^= std::byte{1};
    EXPECT_FALSE(read_stamp(changed)) << at;
  }
  EXPECT_FALSE(read_stamp(std::span(record).first(39)));
  EXPECT_FALSE(read_stamp(std::span(record).first(kStampBytes - 1)));
}

TEST(BenchRecords, PayloadsDiffer) {
  RecordPool pool(7, 3, 64);
  std::set<std::vector<std::byte>> bodies;
  for (std::uint64_t number = 0; number < kPayloads; ++number) {
    auto body = copy(pool.record(number));
    body.resize(64 - kStampBytes);
    bodies.insert(body);
  }
  EXPECT_EQ(bodies.size(), kPayloads);
}

TEST(BenchRecords, KeysAreUsedInTurn) {
  const Keys keys(12, 1'000);
  EXPECT_EQ(keys.text(keys.of(1'017)), "p0012-k000000017");
  EXPECT_EQ(keys.of(17), keys.of(1'017));
  EXPECT_EQ(keys.hash(17), keys.hash(17));
  // Explicit hashes reach every one of four shards.
  std::set<std::uint64_t> quarters;
  for (std::uint32_t key = 0; key < 16; ++key) quarters.insert(keys.hash(key).high >> 62);
  EXPECT_EQ(quarters.size(), 4U);
  EXPECT_NE(keys.hash(0), Keys(13, 1'000).hash(0));
}

}  // namespace
}  // namespace penstock::tools::bench
