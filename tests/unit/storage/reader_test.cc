// Goal: reads give exactly what was asked for, in order, from memory or the device; what cannot be read is
// named to the record and never skipped; expired and early records are passed over. Method: a journal on the
// simulated disk with flipped bits, failing reads and many readers at once, against plain lists.
#include "tests/unit/storage/journal_rig.h"

#include <gtest/gtest.h>

#include <list>

namespace penstock::storage {
namespace {

// Small frames in many segments: what is old lies on the device alone, its index in footers.
void fill(JournalRig& rig, std::uint32_t shards, int frames) {
  for (int i = 0; i < frames; ++i) {
    ASSERT_TRUE(rig.put(shard_key(static_cast<std::uint32_t>(i) % shards),
                        1 + static_cast<std::uint32_t>(i % 5)));
    if (i % 11 == 0) {
      rig.submit();
      rig.turn();
    }
  }
  rig.drain();
}

[[nodiscard]] RigOptions small_tail() {
  RigOptions options;
  options.journal.slot_bytes = 1 * kMiB;
  options.journal.tail_bytes = 512 * kKiB;
  options.journal.block_target = 32 * kKiB;
  options.journal.block_max = 256 * kKiB;
  options.slots = 30;
  return options;
}

TEST(Reader, ReadsOldSegmentsThroughTheirFooters) {
  JournalRig rig(small_tail());
  fill(rig, 7, 9000);
  ASSERT_GE(rig.journal->sealed().size(), 6U);
  for (std::uint32_t i = 0; i < 7; ++i) {
    const std::uint64_t end = rig.durable_end(shard_key(i));
    rig.check_shard(shard_key(i), 0, end);
    rig.check_shard(shard_key(i), end / 3 + 1, end / 3 + 2);
  }
}

TEST(Reader, OneReadCoversNeighbouringFrames) {
  JournalRig rig(small_tail());
  fill(rig, 1, 9000);
  const std::uint64_t before = rig.journal->metrics().disk_reads;
  const std::uint64_t end = rig.durable_end(shard_key(0));
  rig.check_shard(shard_key(0), 0, end);
  EXPECT_LT(rig.journal->metrics().disk_reads - before, 300U) << "9000 frames, 256 KiB a read";
}

TEST(Reader, ManyReadersShareTheBuffers) {
  JournalRig rig(small_tail());
  fill(rig, 5, 6000);
  struct Reading {
    explicit Reading(ShardKey shard) : sink(shard, 0) {}
    CheckingSink sink;
    ReadOp op;
    int done = 0;
  };
  std::list<Reading> all;
  for (std::uint32_t i = 0; i < 60; ++i) {
    const ShardKey shard = shard_key(i % 5);
    Reading& r = all.emplace_back(shard);
    r.op.shard = shard;
    r.op.until = RecordIndex(rig.durable_end(shard));
    r.op.sink = &r.sink;
    r.op.context = &r.done;
    r.op.done = [](ReadOp& op) { ++*static_cast<int*>(op.context); };
    rig.journal->start(r.op, rig.time.now());
  }
  for (int i = 0; i < 50'000 && !rig.journal->quiet(); ++i) rig.turn();
  for (const Reading& r : all) {
    EXPECT_EQ(r.done, 1);
    EXPECT_TRUE(r.op.outcome.has_value());
    EXPECT_EQ(r.op.next, r.op.until);
    EXPECT_EQ(r.sink.taken_total, r.op.until.raw());
  }
}

TEST(Reader, EndsWhereTheSinkOrTheBytesEnd) {
  JournalRig rig(small_tail());
  fill(rig, 1, 6000);
  const ShardKey shard = shard_key(0);
  CheckingSink sink(shard, 0);
  sink.records_max = 17;
  ReadOp op{.shard = shard, .until = RecordIndex(5000)};
  rig.run(op, sink);
  EXPECT_EQ(op.next, RecordIndex(17));
  EXPECT_EQ(sink.taken_total, 17U);
  EXPECT_GT(op.bytes_taken, 0U);
  CheckingSink rest(shard, 17);
  ReadOp bounded{.shard = shard, .from = op.next, .until = RecordIndex(5000), .bytes_max = 1};
  rig.run(bounded, rest);
  EXPECT_TRUE(bounded.outcome.has_value());
  EXPECT_GT(bounded.next, RecordIndex(17)) << "progress in every call";
  EXPECT_LT(bounded.next, RecordIndex(5000));
}

TEST(Reader, ABadSectorCostsItsFramesAndIsNamed) {
  JournalRig rig(small_tail());
  fill(rig, 3, 4000);
  // One bit in the middle of the oldest slot, among its blocks.
  ASSERT_TRUE(rig.storage.flip_bit("slot-0", 300 * kKiB, 4096));
  std::uint64_t lost_ranges = 0;
  std::uint64_t lost_records = 0;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const ShardKey shard = shard_key(i);
    const std::uint64_t end = rig.durable_end(shard);
    CheckingSink sink(shard, 0);
    std::uint64_t at = 0;
    while (at < end) {
      ReadOp op{.shard = shard, .from = RecordIndex(at), .until = RecordIndex(end)};
      const std::uint64_t taken = sink.taken_total;
      rig.run(op, sink);
      ASSERT_GT(op.next.raw(), at);
      if (!op.outcome.has_value()) {
        EXPECT_EQ(op.outcome.error().code, ErrorCode::kDataLoss);
        EXPECT_EQ(sink.taken_total, taken) << "[from, next) is the lost range exactly";
        ++lost_ranges;
        lost_records += op.next.raw() - at;
      }
      at = op.next.raw();
    }
    EXPECT_EQ(sink.taken_total + sink.skipped, end) << "nothing else is missing";
  }
  EXPECT_EQ(lost_ranges, 1U) << "one bit is in one frame";
  EXPECT_LE(lost_records, 5U);
}

// A first try takes up the whole budget of bytes; the second must come all the same.
TEST(Reader, ABadRecordOfTheLargestSizeIsNamedLost) {
  RigOptions options;
  options.journal.slot_bytes = 64 * kMiB;
  options.journal.tail_bytes = 32 * kMiB;
  options.journal.block_target = kMiB;
  options.journal.block_max = 16 * kMiB;
  options.slots = 2;
  JournalRig rig(options);
  const ShardKey shard = shard_key(1);
  ASSERT_TRUE(rig.put(shard, 1, 10 * kMiB));
  rig.drain();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(rig.put(shard_key(2), 1, 1'000'000));
  rig.drain();
  ASSERT_TRUE(rig.storage.flip_bit("slot-0", 4 * kMiB, 4096));
  CheckingSink sink(shard, 0);
  ReadOp op{.shard = shard, .until = RecordIndex(1)};
  rig.run(op, sink);
  ASSERT_FALSE(op.outcome.has_value());
  EXPECT_EQ(op.outcome.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(op.next, RecordIndex(1));
}

TEST(Reader, ABadPageOfAFooterCostsNothing) {
  JournalRig rig(small_tail());
  fill(rig, 7, 9000);
  // Segments of about a thousand frames: ten entry pages, one of runs, the trailer. Three of them go bad.
  const std::uint64_t footer = kMiB - 12 * 4096;
  ASSERT_TRUE(rig.storage.flip_bit("slot-0", footer, 4096));
  ASSERT_TRUE(rig.storage.flip_bit("slot-0", footer + 5 * 4096, 4096));
  ASSERT_TRUE(rig.storage.flip_bit("slot-1", footer + 3 * 4096, 4096));
  const std::uint64_t before = rig.journal->metrics().disk_reads;
  for (std::uint32_t i = 0; i < 7; ++i) {
    rig.check_shard(shard_key(i), 0, rig.durable_end(shard_key(i)));
  }
  EXPECT_GT(rig.journal->metrics().disk_reads, before);
  EXPECT_TRUE(rig.journal->quiet());
}

TEST(Reader, FailingReadsAreTriedOnceMoreAndNeverGiveWrongBytes) {
  JournalRig rig(small_tail());
  fill(rig, 2, 5000);
  rig.storage.set_rates({.read_error = 0.1, .read_flip = 0.1});
  for (std::uint32_t i = 0; i < 2; ++i) {
    const ShardKey shard = shard_key(i);
    const std::uint64_t end = rig.durable_end(shard);
    CheckingSink sink(shard, 0);
    std::uint64_t lost = 0;
    for (std::uint64_t at = 0; at < end;) {
      ReadOp op{.shard = shard, .from = RecordIndex(at), .until = RecordIndex(end)};
      rig.run(op, sink);
      ASSERT_GT(op.next.raw(), at);
      if (!op.outcome.has_value()) lost += op.next.raw() - at;
      at = op.next.raw();
    }
    EXPECT_EQ(sink.taken_total + lost, end) << "delivered or named, nothing else";
    EXPECT_LT(lost, end / 4) << "most faults are gone at the second try";
  }
  EXPECT_GT(rig.storage.counts()[drivers::DiskFault::kReadError], 0U);
  EXPECT_GT(rig.storage.counts()[drivers::DiskFault::kReadFlip], 0U);
  // The medium is good: the same reads succeed when the faults end.
  rig.storage.set_rates({});
  rig.check_shard(shard_key(0), 0, rig.durable_end(shard_key(0)));
}

TEST(Reader, FindsByTimeAndPassesOverWhatIsTooOld) {
  JournalRig rig(small_tail());
  const ShardKey shard = shard_key(4);
  std::mt19937_64 random(9);
  std::vector<std::int64_t> arrivals;
  std::vector<std::int64_t> retentions;
  for (int i = 0; i < 5000; ++i) {
    const auto count = static_cast<std::uint32_t>(1 + random() % 4);
    while (!rig.put(shard, count)) {
    }
    arrivals.insert(arrivals.end(), count, rig.wall().raw());
    if (random() % 5 == 0) {
      rig.submit();
      retentions.resize(arrivals.size(), rig.retention().raw());
      rig.turn(5 * kNanosPerMilli);
    } else if (random() % 5 == 0) {
      rig.submit();
      retentions.resize(arrivals.size(), rig.retention().raw());
    }
  }
  rig.drain();
  retentions.resize(arrivals.size(), rig.retention().raw());
  const std::uint64_t end = rig.durable_end(shard);
  ASSERT_EQ(end, arrivals.size());
  for (int i = 0; i < 400; ++i) {
    const std::uint64_t near = random() % end;
    const std::int64_t arrival = arrivals[near] + static_cast<std::int64_t>(random() % 3) - 1;
    const std::uint64_t from = random() % 2 == 0 ? 0 : random() % end;
    const auto exact = static_cast<std::uint64_t>(
        std::lower_bound(arrivals.begin() + static_cast<std::ptrdiff_t>(from), arrivals.end(),
                         arrival) -
        arrivals.begin());
    const RecordIndex found =
        rig.journal->find_arrival(shard, WallMillis(arrival), RecordIndex(from), RecordIndex(end));
    ASSERT_LE(found.raw(), exact);
    ASSERT_GE(found.raw(), from);
    CheckingSink sink(shard, found.raw());
    sink.records_max = 1;
    ReadOp op{.shard = shard,
              .from = found,
              .until = RecordIndex(end),
              .arrival_from = WallMillis(arrival)};
    rig.run(op, sink);
    ASSERT_TRUE(op.outcome.has_value());
    ASSERT_EQ(sink.taken_total, exact < end ? 1U : 0U);
    if (exact < end) {
      ASSERT_EQ(sink.next, exact + 1);
    } else {
      ASSERT_EQ(op.next.raw(), end);
    }
  }
  for (int i = 0; i < 400; ++i) {
    const std::int64_t horizon =
        retentions[random() % end] + static_cast<std::int64_t>(random() % 3) - 1;
    const auto exact = static_cast<std::uint64_t>(
        std::lower_bound(retentions.begin(), retentions.end(), horizon) - retentions.begin());
    const RecordIndex found = rig.journal->find_retention(shard, RetentionMillis(horizon),
                                                          RecordIndex(0), RecordIndex(end));
    ASSERT_LE(found.raw(), exact) << "nothing expires early";
    CheckingSink sink(shard, found.raw());
    sink.records_max = 1;
    ReadOp op{.shard = shard, .from = found, .until = RecordIndex(end)};
    op.retention_from = RetentionMillis(horizon);
    rig.run(op, sink);
    ASSERT_EQ(sink.taken_total, exact < end ? 1U : 0U);
    if (exact < end) {
      ASSERT_EQ(sink.next, exact + 1) << "what expired is not shown";
    }
  }
}

TEST(Reader, AShardThatHasNothingIsLostOnlyWhereItWasPromised) {
  JournalRig rig;
  CheckingSink sink(shard_key(1), 0);
  ReadOp nothing{.shard = shard_key(1)};
  rig.run(nothing, sink);
  EXPECT_TRUE(nothing.outcome.has_value());
  ReadOp promised{.shard = shard_key(1), .until = RecordIndex(3)};
  rig.run(promised, sink);
  ASSERT_FALSE(promised.outcome.has_value());
  EXPECT_EQ(promised.outcome.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(promised.next, RecordIndex(3));
  EXPECT_EQ(rig.journal->oldest(shard_key(1), RecordIndex(42)), RecordIndex(42));
}

}  // namespace
}  // namespace penstock::storage
