// Goal: a frame is found by index in logarithmic steps, whether it lies in the ring or in a footer made from
// recovered frames, and gaps are seen. Method: random frames against a sorted list.
#include "storage/index.h"

#include "storage/footer.h"

#include <gtest/gtest.h>

#include <random>

namespace penstock::storage {
namespace {

constexpr ShardKey kShard{StreamUid(3), ShardNumber(4)};

[[nodiscard]] format::FrameEntry frame(std::uint64_t first, std::uint32_t records,
                                       std::uint32_t offset) {
  return {.first_index = first,
          .arrival = static_cast<std::int64_t>(first) * 10,
          .retention = static_cast<std::int64_t>(first) * 20,
          .offset = offset,
          .length = 200,
          .records = records,
          .header_crc = offset};
}

struct Frames {
  explicit Frames(std::uint64_t seed, std::uint32_t count) {
    std::mt19937_64 random(seed);
    std::uint64_t at = random() % 100;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (random() % 50 == 0) at += 1 + random() % 20;  // a gap
      const auto records = static_cast<std::uint32_t>(1 + random() % 9);
      all.push_back(frame(at, records, 4096 + i * 256));
      at += records;
    }
    end = at;
  }
  // The first frame that ends after `index`.
  [[nodiscard]] const format::FrameEntry* find(std::uint64_t index) const {
    for (const format::FrameEntry& f : all) {
      if (f.first_index + f.records > index) return &f;
    }
    return nullptr;
  }
  std::vector<format::FrameEntry> all;
  std::uint64_t end = 0;
};

void expect_same(const Index& index, const Frames& frames) {
  for (std::uint64_t at = 0; at < frames.end + 5; ++at) {
    const Found found = index.find(kShard, at);
    const format::FrameEntry* expected = frames.find(at);
    if (expected == nullptr) {
      ASSERT_EQ(found.kind, Found::Kind::kNothing);
      continue;
    }
    ASSERT_EQ(found.kind, Found::Kind::kFrame) << at;
    ASSERT_EQ(found.entry.first_index, expected->first_index) << at;
    ASSERT_EQ(found.entry.offset, expected->offset);
  }
}

TEST(Index, FindsFramesInTheRing) {
  for (std::uint64_t seed = 1; seed < 10; ++seed) {
    Index index({.frames_max = 1024, .runs_max = 16, .cache_bytes = kMiB});
    Segment segment;
    segment.number = SegmentNumber(1);
    index.open(segment);
    const Frames frames(seed, 700);
    for (const format::FrameEntry& f : frames.all) {
      index.add(kShard, f, f.arrival);
      if (f.first_index % 3 == 0) index.add({StreamUid(3), ShardNumber(9)}, f, f.arrival);
      if (index.frames_left() == 0) break;
    }
    if (index.frames_left() > 0) expect_same(index, frames);
    segment.sealed = true;
    index.seal();
    EXPECT_EQ(segment.shards.size(), 2U);
    if (index.frames_left() > 0) expect_same(index, frames);
  }
}

TEST(Index, FindsFramesInAFooterMadeFromRecoveredOnes) {
  for (std::uint64_t seed = 1; seed < 6; ++seed) {
    Index index({.frames_max = 1024, .runs_max = 16, .cache_bytes = kMiB});
    Segment segment;
    segment.number = SegmentNumber(1);
    segment.sealed = true;
    segment.blocks_end = 8192;
    const Frames frames(seed, 700);
    std::vector<RecoveredFrame> recovered;
    for (const format::FrameEntry& f : frames.all) {
      recovered.push_back({{StreamUid(1), ShardNumber(0)}, f, f.arrival});
      recovered.push_back({kShard, f, f.arrival});
    }
    index.adopt(segment, kMiB, recovered);
    ASSERT_EQ(segment.shards.size(), 2U);
    expect_same(index, frames);
    index.forget(segment);
    EXPECT_EQ(index.find(kShard, 0).kind, Found::Kind::kNothing);
  }
}

TEST(Index, AsksForThePageItNeedsAndTakesIt) {
  Index index({.frames_max = 1024, .runs_max = 16, .cache_bytes = kMiB});
  Segment segment;
  segment.number = SegmentNumber(1);
  segment.sealed = true;
  segment.settled = true;
  segment.blocks_end = 8192;
  const Frames frames(5, 900);
  std::vector<RecoveredFrame> recovered;
  for (const format::FrameEntry& f : frames.all) recovered.push_back({kShard, f, f.arrival});
  index.adopt(segment, kMiB, recovered);
  footer_finish(segment, index, {.cell = CellId(0), .tag = 1, .slot_bytes = kMiB}, Lsn(9));
  base::Pages footer = std::move(segment.footer);
  segment.footer_built = false;  // as if it had been written
  segment.footed = true;
  std::uint32_t loads = 0;
  for (std::uint64_t at = 0; at < frames.end; ++at) {
    Found found = index.find(kShard, at);
    while (found.kind == Found::Kind::kNeedsPage) {
      const auto page =
          footer.bytes().subspan(found.page * format::kSectorBytes, format::kSectorBytes);
      ASSERT_TRUE(format::valid_page(page, format::kEntryPageMagic, 1));
      index.put_page(segment.number, found.page, page);
      ++loads;
      found = index.find(kShard, at);
    }
    ASSERT_EQ(found.entry.first_index, frames.find(at)->first_index);
  }
  EXPECT_EQ(loads, format::footer_shape(900, 1).entry_pages) << "each page once";
}

TEST(FrameRing, FindsAnAncestorInLogarithmicSteps) {
  FrameRing ring(1 << 16);
  FrameSeq newest = kNoFrame;
  constexpr std::uint32_t kFrames = 60'000;
  for (std::uint32_t i = 0; i < kFrames; ++i)
    newest = ring.push(frame(i, 1, i), 0 + i * 10, newest);
  std::uint64_t worst = 0;
  for (std::uint32_t target = 0; target < kFrames; target += 97) {
    std::uint64_t steps = 0;
    const FrameSeq found = ring.oldest_where(newest, [&](const RecentFrame& f) {
      ++steps;
      return f.entry.first_index >= target;
    });
    ASSERT_EQ(ring[found].entry.first_index, target);
    worst = std::max(worst, steps);
  }
  EXPECT_LE(worst, 6 * 16U);
}

TEST(FrameRing, ProtectsWhatIsKept) {
  FrameRing ring(8);
  FrameSeq newest = kNoFrame;
  for (std::uint32_t i = 0; i < 8; ++i) newest = ring.push(frame(i, 1, i), i * 10, newest);
  EXPECT_EQ(ring.room(), 0U);
  ring.keep_from(5);
  EXPECT_EQ(ring.room(), 5U);
  static_cast<void>(ring.push(frame(8, 1, 8), 80, newest));
  EXPECT_FALSE(ring.holds(0));
  EXPECT_TRUE(ring.holds(1));
  EXPECT_TRUE(ring.holds(8));
  EXPECT_FALSE(ring.holds(9));
}

}  // namespace
}  // namespace penstock::storage
