// Goal: a batch is stored as it came, whole, in its place among the records around it, and counts as all of
// its records do. Method: one cell on the simulated disk; batches and records mixed by hand and at random.
#include "cell_rig.h"

#include <algorithm>
#include <deque>
#include <random>

namespace penstock::shard {
namespace {

constexpr Nanos kNever(INT64_MAX);

// The batches of a shard as they are stored, FlatBuffers alone.
class BatchSink final : public storage::BatchSink {
 public:
  Taken on_batch(const storage::BatchView& batch, std::uint32_t from,
                 std::uint32_t until) override {
    const auto flat = batch.stored().subspan(storage::kBatchHeaderBytes);
    flats.emplace_back(flat.begin(), flat.end());
    fields.push_back(batch.fields());
    return {.records = until - from, .bytes = flat.size(), .more = true};
  }
  std::vector<std::vector<std::byte>> flats;
  std::vector<storage::BatchFields> fields;
};

TEST(CellBatches, AreStoredAsTheyCame) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  BatchCall one(1, 3, "a");
  BatchCall two(2, 2, "b");
  ASSERT_TRUE(rig.take(one, key_of(1)));
  ASSERT_TRUE(rig.take(two, key_of(1)));
  const std::uint64_t frames = rig.cell->journal_metrics().frames;
  rig.turn();
  EXPECT_EQ(rig.cell->journal_metrics().frames, frames + 1) << "one frame for both";
  EXPECT_FALSE(one.entry.stored) << "not durable yet";
  rig.run();
  ASSERT_EQ(rig.settled_entries.size(), 2U);
  EXPECT_TRUE(one.entry.stored);
  EXPECT_FALSE(one.entry.repeated);
  EXPECT_EQ(one.entry.index, RecordIndex(0));
  EXPECT_EQ(two.entry.index, RecordIndex(3));
  EXPECT_EQ(rig.cell->counters().records_in, 5U);
  for (const bool restarted : {false, true}) {
    if (restarted) rig.cut_and_restart();
    BatchSink sink;
    ReadRequest request;
    request.shard = key_of(1);
    request.start = ReadStart::kTrimHorizon;
    request.sink = &sink;
    rig.cell->read(request, rig.time.now(), rig.wall());
    rig.run();
    ASSERT_EQ(sink.flats.size(), 2U);
    EXPECT_EQ(sink.flats[0], one.flat);
    EXPECT_EQ(sink.flats[1], two.flat);
    EXPECT_EQ(sink.fields[1].first, RecordIndex(3));
    EXPECT_EQ(sink.fields[1].arrival, two.entry.arrival);
  }
}

// Runs of records become batches of ours between theirs; what does not fit goes on in the next block.
TEST(CellBatches, KeepTheirPlaceAmongRecords) {
  std::mt19937_64 random(3);
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  std::deque<Call> calls;
  std::deque<BatchCall> batches;
  std::vector<std::string> expected;
  std::size_t entries = 0;
  for (std::uint64_t serial = 1; serial <= 300; ++serial) {
    // Some are longer than a block is aimed at (128 KiB), and must be one still.
    const std::string text(random() % 20 == 0 ? 3'000 : random() % 400, 'x');
    const std::size_t count = random() % 20 == 0 ? 60 : 1 + random() % 6;
    const std::string name = std::to_string(serial) + text;
    if (random() % 2 == 0) {
      ASSERT_TRUE(rig.take(batches.emplace_back(serial, count, name), key_of(1)));
      std::ranges::copy(batches.back().texts, std::back_inserter(expected));
      ++entries;
    } else {
      ASSERT_EQ(rig.take(calls.emplace_back(serial, count, name, kNever), key_of(1)), count);
      std::ranges::copy(calls.back().texts, std::back_inserter(expected));
      entries += count;
    }
    if (random() % 10 == 0) rig.run();
    if (random() % 4 == 0) rig.turn();
  }
  rig.run();
  EXPECT_EQ(rig.settled_entries.size(), entries);
  EXPECT_EQ(rig.cell->counters().records_in, expected.size());
  EXPECT_EQ(rig.all(key_of(1)), expected);
  for (const BatchCall& batch : batches) {
    EXPECT_TRUE(batch.entry.stored);
    EXPECT_EQ(expected[batch.entry.index.raw()], batch.texts[0]) << "where it says";
  }
  rig.cut_and_restart();
  EXPECT_EQ(rig.all(key_of(1)), expected);
}

// A FlatBuffer may have bytes that belong to no record. They are stored, so they count.
TEST(CellBatches, CountWhatTheyTakeBesidesTheirRecords) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  Shard& shard = *rig.cell->find(key_of(1));
  shard.set_limits({.write_bytes = 1'000, .write_records = 1'000}, rig.time.now());
  BatchCall padded(1, 1, "a");
  padded.flat.resize(padded.flat.size() + 10'000);
  padded.put.bytes = padded.flat;
  ASSERT_TRUE(storage::verify_batch(padded.flat).has_value());
  EXPECT_TRUE(rig.take(padded, key_of(1)));
  EXPECT_NEAR(static_cast<double>(shard.write_bytes.wait(rig.time.now())), 9e9, 0.1e9);
  BatchCall tight(2, 1, "b");
  EXPECT_FALSE(rig.take(tight, key_of(1)));
  rig.run();
  shard.set_limits({.write_bytes = 2'000, .write_records = 1'000}, rig.time.now());
  BatchCall again(3, 1, "b");
  EXPECT_TRUE(rig.take(again, key_of(1)));
  EXPECT_TRUE(shard.write_bytes.admits(rig.time.now())) << "the three bytes of its record";
  rig.run();
  EXPECT_EQ(rig.all(key_of(1)).size(), 2U);
}

TEST(CellBatches, AreAdmittedOrRefusedWhole) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  Shard& shard = *rig.cell->find(key_of(1));
  shard.set_limits({.write_bytes = 1'000'000, .write_records = 10}, rig.time.now());
  BatchCall first(1, 9, "a");
  BatchCall second(2, 100, "b");
  BatchCall third(3, 7, "c");
  EXPECT_TRUE(rig.take(first, key_of(1)));
  EXPECT_TRUE(rig.take(second, key_of(1))) << "one token was left, and it may go below";
  EXPECT_FALSE(rig.take(third, key_of(1)));
  EXPECT_EQ(third.entry.error, ErrorCode::kThrottled);
  EXPECT_EQ(rig.cell->counters().records_throttled, 7U);
  EXPECT_NEAR(static_cast<double>(shard.write_records.wait(rig.time.now())), 9.9e9, 0.1e9)
      << "109 records of 10 a second, less those of a full bucket";
  rig.run();
  EXPECT_EQ(rig.all(key_of(1)).size(), 109U);

  shard.set_limits({.write_bytes = 1'000, .write_records = 10'000}, rig.time.now());
  BatchCall large(4, 1, std::string(5'000, 'd'));
  BatchCall late(5, 1, "e");
  EXPECT_TRUE(rig.take(large, key_of(1)));
  EXPECT_FALSE(rig.take(late, key_of(1)));
  EXPECT_NEAR(static_cast<double>(shard.write_bytes.wait(rig.time.now())), 4.0e9, 0.1e9);
  rig.run();
}

TEST(CellBatches, OneThatNoBlockTakesIsTooLarge) {
  CellRig rig;  // half of a slot of 1 MiB
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  BatchCall fits(1, 1, std::string(500 * kKiB, 'a'));
  BatchCall large(2, 4, std::string(150 * kKiB, 'b'));
  EXPECT_FALSE(rig.take(large, key_of(1)));
  EXPECT_EQ(large.entry.error, ErrorCode::kTooLarge);
  EXPECT_EQ(rig.cell->counters().records_refused, 4U);
  EXPECT_TRUE(rig.take(fits, key_of(1)));
  rig.run();
  EXPECT_TRUE(fits.entry.stored);
  EXPECT_EQ(rig.all(key_of(1)), fits.texts);
}

TEST(CellBatches, AreRefusedWithTheirShardAndTheirCell) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  BatchCall nowhere(1, 2, "a");
  EXPECT_FALSE(rig.take(nowhere, key_of(9)));
  EXPECT_EQ(nowhere.entry.error, ErrorCode::kWrongShard);
  BatchCall pending(2, 2, "b");
  ASSERT_TRUE(rig.take(pending, key_of(1)));
  ASSERT_TRUE(rig.command(CommandKind::kCloseShard, key_of(1), 2).has_value());
  EXPECT_FALSE(pending.entry.stored);
  EXPECT_EQ(pending.entry.error, ErrorCode::kWrongShard);
  EXPECT_EQ(rig.cell->counters().records_refused, 0U);
  EXPECT_TRUE(rig.cell->quiet());

  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(2), 3).has_value());
  BatchCall in_flight(3, 3, "c");
  ASSERT_TRUE(rig.take(in_flight, key_of(2)));
  rig.storage.set_rates({.write_error = 1.0});
  rig.run();
  EXPECT_FALSE(in_flight.entry.stored);
  EXPECT_EQ(in_flight.entry.error, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(rig.cell->counters().records_unknown, 3U);
  BatchCall late(4, 5, "d");
  EXPECT_FALSE(rig.take(late, key_of(2)));
  EXPECT_EQ(late.entry.error, ErrorCode::kFenced);
  EXPECT_EQ(rig.cell->counters().records_refused, 5U);
}

TEST(CellBatches, PastTheirDeadlineAreRefusedOrUnknown) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  const Nanos soon = rig.time.now() + 1;
  BatchCall in_flight(1, 2, "a", 0, 0, 0, soon);
  ASSERT_TRUE(rig.take(in_flight, key_of(1)));
  rig.turn();
  BatchCall pending(2, 2, "b", 0, 0, 0, soon);
  BatchCall patient(3, 2, "c");
  ASSERT_TRUE(rig.take(pending, key_of(1)));
  ASSERT_TRUE(rig.take(patient, key_of(1)));
  rig.cell->expire(soon + 1);
  EXPECT_EQ(in_flight.entry.error, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(pending.entry.error, ErrorCode::kOverloaded);
  rig.run();
  EXPECT_TRUE(patient.entry.stored);
  std::vector<std::string> expected = in_flight.texts;
  std::ranges::copy(patient.texts, std::back_inserter(expected));
  EXPECT_EQ(rig.all(key_of(1)), expected);
}

}  // namespace
}  // namespace penstock::shard
