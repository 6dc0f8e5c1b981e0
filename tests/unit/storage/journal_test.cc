// Goal: blocks become durable in order and completely, whatever order the device answers in; segments
// seal, get their footers and are recycled; a failed write fences. Method: a journal on the simulated
// disk, against a model of what was appended.
#include "storage/journal.h"

#include "tests/unit/storage/journal_rig.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace penstock::storage {
namespace {

TEST(Journal, DurableRisesInOrderOfBlocksThoughCompletionsDoNot) {
  RigOptions options;
  options.storage.write_nanos_min = 10'000;
  options.storage.write_nanos_max = 5'000'000;
  JournalRig rig(options);
  const ShardKey shard = shard_key(1);
  Lsn last(0);
  std::size_t most_in_flight = 0;
  for (int i = 0; i < 400; ++i) {
    if (rig.journal->append_state(false) == AppendState::kOpen) {
      ASSERT_TRUE(rig.add(shard, 3));
      const Lsn lsn = rig.submit();
      EXPECT_EQ(lsn, last + 1) << "dense";
      last = lsn;
    }
    most_in_flight = std::max<std::size_t>(most_in_flight, last - rig.journal->durable());
    const Lsn before = rig.journal->durable();
    rig.turn();
    EXPECT_GE(rig.journal->durable(), before);
    // Everything below is on the medium: a cut now would keep it. What is above may be in flight.
    for (const drivers::SimWrite& write : rig.storage.in_flight()) {
      EXPECT_TRUE(write.durable);
    }
    EXPECT_LE(rig.journal->durable(), last);
    rig.check_shard(shard, 0, rig.durable_end(shard));
  }
  EXPECT_GE(most_in_flight, 3U) << "writes were pipelined";
  rig.drain();
  EXPECT_GE(rig.journal->durable(), last);
  EXPECT_EQ(rig.durable_end(shard), rig.appended_end(shard));
}

TEST(Journal, OneBlockIsFilledWhileAsManyAsMayBeAreInFlight) {
  RigOptions options;
  options.journal.depth = 2;
  options.storage.write_nanos_min = 100'000;
  options.storage.write_nanos_max = 100'000;
  JournalRig rig(options);
  const ShardKey shard = shard_key(1);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(rig.journal->append_state(false), AppendState::kOpen);
    ASSERT_TRUE(rig.add(shard, 1));
    rig.submit();
  }
  EXPECT_FALSE(rig.journal->can_submit());
  ASSERT_EQ(rig.journal->append_state(false), AppendState::kOpen);
  ASSERT_TRUE(rig.add(shard, 1));
  EXPECT_EQ(rig.journal->append_state(false), AppendState::kOpen) << "it takes more meanwhile";
  ASSERT_TRUE(rig.add(shard_key(2), 1));
  EXPECT_EQ(rig.journal->durable(), Lsn(0)) << "nobody had to wait for that";
  while (!rig.journal->can_submit()) rig.turn();
  EXPECT_EQ(rig.submit(), Lsn(3));
  rig.drain();
  EXPECT_EQ(rig.journal->durable(), Lsn(3));
  rig.check_shard(shard, 0, 3);
  rig.check_shard(shard_key(2), 0, 1);
}

TEST(Journal, ABlockCountsOnlyBehindItsSegmentsHeader) {
  RigOptions options;
  options.storage.write_nanos_min = 100'000;
  options.storage.write_nanos_max = 100'000;
  JournalRig rig(options);
  ASSERT_TRUE(rig.add(shard_key(1), 1));
  rig.submit();
  const std::vector<drivers::SimWrite> writes = rig.storage.in_flight();
  ASSERT_EQ(writes.size(), 2U);
  EXPECT_EQ(writes[0].offset, 0U);
  EXPECT_EQ(writes[0].length, 4096U);
  EXPECT_EQ(writes[1].offset, 4096U);
  EXPECT_EQ(rig.journal->durable(), Lsn(0));
  rig.drain();
  EXPECT_EQ(rig.journal->durable(), Lsn(1));
}

TEST(Journal, SealsSegmentsAndReadsBackAcrossAllOfThem) {
  RigOptions options;
  options.slots = 12;
  JournalRig rig(options);
  std::mt19937_64 random(3);
  std::uint64_t puts = 0;
  while (rig.put(shard_key(static_cast<std::uint32_t>(random() % 20)),
                 1 + static_cast<std::uint32_t>(random() % 40))) {
    ++puts;
    if (puts % 7 == 0 && rig.journal->block_open()) rig.submit();
  }
  EXPECT_EQ(rig.journal->append_state(false), AppendState::kFull);
  EXPECT_EQ(rig.journal->slots_free(), 1U) << "the reserve";
  rig.drain();
  EXPECT_GE(rig.journal->sealed().size(), 10U);
  EXPECT_EQ(rig.journal->seal_count(), rig.journal->sealed().size());
  for (std::uint32_t i = 0; i < 20; ++i) {
    const ShardKey shard = shard_key(i);
    ASSERT_EQ(rig.durable_end(shard), rig.appended_end(shard));
    rig.check_shard(shard, 0, rig.durable_end(shard));
    rig.check_shard(shard, rig.durable_end(shard) / 2, rig.durable_end(shard));
  }
  const JournalMetrics metrics = rig.journal->metrics();
  EXPECT_GT(metrics.tail_reads, 0U);
  EXPECT_GT(metrics.disk_reads, 0U);
  EXPECT_EQ(metrics.slots_total, 12U);
}

TEST(Journal, TheReserveIsForControlFramesAlone) {
  JournalRig rig;
  while (rig.put(shard_key(1), 30)) {
  }
  rig.drain();
  ASSERT_EQ(rig.journal->append_state(false), AppendState::kFull);
  ShardControl control;
  std::uint64_t written = 0;
  for (;;) {
    const AppendState state = rig.journal->append_state(true);
    if (state == AppendState::kFull) break;
    EXPECT_EQ(rig.journal->append_state(false), AppendState::kFull);
    if (state == AppendState::kBusy) {
      rig.turn();
      continue;
    }
    const std::span<std::byte> room = rig.journal->open_frame(sizeof(control), sizeof(control));
    if (room.empty()) {
      if (rig.journal->block_open()) rig.submit();
      continue;
    }
    std::memcpy(room.data(), &control, sizeof(control));
    rig.journal->close_frame({.kind = FrameKind::kShard, .shard = shard_key(1)}, sizeof(control));
    ++written;
    if (written % 3 == 0) rig.submit();
  }
  rig.drain();
  EXPECT_GT(written, 300U) << "a whole slot of them";
  EXPECT_EQ(rig.journal->slots_free(), 0U);
  // A slot more is the new reserve, another one is for data.
  const FreeSlot reserve = rig.make_slot();
  rig.journal->add_slot(reserve.file, reserve.slot);
  EXPECT_EQ(rig.journal->append_state(false), AppendState::kFull);
  EXPECT_EQ(rig.journal->append_state(true), AppendState::kOpen);
  const FreeSlot slot = rig.make_slot();
  rig.journal->add_slot(slot.file, slot.slot);
  EXPECT_EQ(rig.journal->append_state(false), AppendState::kOpen);
  EXPECT_TRUE(rig.put(shard_key(1), 5));
  rig.drain();
  rig.check_shard(shard_key(1), 0, rig.durable_end(shard_key(1)));
}

TEST(Journal, RecycledSlotsAreUsedAgainAndReadersPassOver) {
  JournalRig rig;
  const ShardKey shard = shard_key(5);
  std::uint64_t recycled_to = 0;
  for (int round = 0; round < 30; ++round) {
    while (rig.journal->sealed().size() < 3) ASSERT_TRUE(rig.put(shard, 50));
    const std::vector<SegmentSummary> sealed = rig.journal->sealed();
    const SegmentNumber oldest = sealed.front().number;
    ASSERT_EQ(sealed.front().runs.size(), 1U);
    ASSERT_EQ(sealed.front().runs[0].shard, shard);
    recycled_to = sealed.front().runs[0].last_index.raw() + 1;
    rig.journal->recycle(std::span(&oldest, 1));
    EXPECT_EQ(rig.journal->oldest(shard, RecordIndex(999)), RecordIndex(recycled_to));
  }
  rig.drain();
  rig.check_shard(shard, recycled_to, rig.durable_end(shard));
  EXPECT_EQ(rig.journal->metrics().slots_total, 8U);
}

TEST(Journal, ASegmentRecycledUnderAReadersFeetKeepsItsSlotUntilTheReadEnds) {
  RigOptions options;
  options.journal.tail_bytes = 1 * kMiB;
  JournalRig rig(options);
  const ShardKey shard = shard_key(5);
  while (rig.journal->sealed().size() < 3) ASSERT_TRUE(rig.put(shard, 50));
  rig.drain();
  const std::vector<SegmentSummary> sealed = rig.journal->sealed();
  const std::uint32_t free = rig.journal->slots_free();
  CheckingSink sink(shard, 0);
  bool done = false;
  ReadOp op{.shard = shard, .until = RecordIndex(rig.durable_end(shard))};
  op.sink = &sink;
  op.context = &done;
  op.done = [](ReadOp& o) { *static_cast<bool*>(o.context) = true; };
  rig.journal->start(op, rig.time.now());
  ASSERT_FALSE(done) << "it reads the device";
  const SegmentNumber oldest = sealed.front().number;
  rig.journal->recycle(std::span(&oldest, 1));
  EXPECT_EQ(rig.journal->slots_free(), free) << "pinned";
  while (!done) rig.turn();
  EXPECT_EQ(rig.journal->slots_free(), free + 1);
  EXPECT_TRUE(op.outcome.has_value()) << "recycled is not lost";
}

TEST(Journal, AFailedWriteFencesAndKeepsThePrefix) {
  for (const bool short_write : {false, true}) {
    RigOptions options;
    options.seed = short_write ? 11 : 12;
    JournalRig rig(options);
    const ShardKey shard = shard_key(2);
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(rig.put(shard, 10));
      rig.submit();
    }
    rig.drain();
    drivers::DiskFaultRates rates;
    (short_write ? rates.short_write : rates.write_error) = 0.3;
    rig.storage.set_rates(rates);
    for (int i = 0; i < 200 && !rig.journal->fenced(); ++i) {
      const AppendState state = rig.journal->append_state(false);
      if (state == AppendState::kOpen) {
        ASSERT_TRUE(rig.add(shard, 10));
        rig.submit();
      }
      rig.turn();
    }
    ASSERT_TRUE(rig.journal->fenced());
    rig.storage.set_rates({});
    const Lsn durable = rig.journal->durable();
    const std::uint64_t end = rig.durable_end(shard);
    EXPECT_EQ(rig.journal->append_state(false), AppendState::kFenced);
    EXPECT_EQ(rig.journal->append_state(true), AppendState::kFenced);
    const std::uint64_t mutations = rig.storage.mutations();
    for (int i = 0; i < 500; ++i) rig.turn();
    EXPECT_EQ(rig.journal->durable(), durable);
    EXPECT_EQ(rig.storage.mutations(), mutations) << "nothing is written any more";
    EXPECT_TRUE(rig.journal->quiet());
    EXPECT_LT(end, rig.appended_end(shard));
    rig.check_shard(shard, 0, end);
    // What was in flight is not shown, though a reader asks for it.
    CheckingSink sink(shard, end);
    ReadOp op{
        .shard = shard, .from = RecordIndex(end), .until = RecordIndex(rig.appended_end(shard))};
    rig.run(op, sink);
    EXPECT_EQ(sink.taken_total, 0U);
  }
}

TEST(Journal, OneIdleBlockFollowsTheLastCommit) {
  JournalRig rig;
  ASSERT_TRUE(rig.put(shard_key(1), 1));
  rig.drain();
  EXPECT_EQ(rig.journal->durable(), Lsn(1));
  const Nanos submitted = rig.time.now();
  while (rig.journal->durable() == Lsn(1)) {
    ASSERT_LT(rig.time.now() - submitted, 150 * kNanosPerMilli);
    rig.turn();
  }
  EXPECT_GE(rig.time.now() - submitted, 90 * kNanosPerMilli);
  for (int i = 0; i < 1000; ++i) rig.turn();
  EXPECT_EQ(rig.journal->durable(), Lsn(2)) << "one only";
  EXPECT_EQ(rig.journal->next_deadline(), runtime::kNever);
  EXPECT_EQ(rig.journal->metrics().blocks, 1U);
  EXPECT_EQ(rig.journal->metrics().idle_blocks, 1U);
  ASSERT_TRUE(rig.put(shard_key(1), 1));
  rig.drain();
  for (int i = 0; i < 1000; ++i) rig.turn();
  EXPECT_EQ(rig.journal->durable(), Lsn(4));
}

TEST(Journal, ALargeFrameIsABlockOfItsOwn) {
  JournalRig rig;
  const ShardKey shard = shard_key(9);
  ASSERT_TRUE(rig.put(shard, 1, 700 * kKiB));
  EXPECT_FALSE(rig.add(shard_key(8), 60)) << "only what its padding holds still fits in";
  rig.submit();
  ASSERT_TRUE(rig.put(shard_key(8), 1));
  for (int i = 0; i < 20; ++i) {
    if (!rig.put(shard, 1, 700 * kKiB)) break;
  }
  rig.drain();
  const std::uint64_t end = rig.durable_end(shard);
  ASSERT_GE(end, 10U);
  CheckingSink sink(shard, 0);
  sink.bytes_per_record = 700 * kKiB;
  for (std::uint64_t at = 0; at < end; at = sink.next) {
    ReadOp op{.shard = shard, .from = RecordIndex(at), .until = RecordIndex(end)};
    rig.run(op, sink);
    ASSERT_TRUE(op.outcome.has_value());
  }
  EXPECT_EQ(sink.taken_total, end);
}

TEST(Journal, ManySmallFramesSealASegmentBeforeItsSlotIsFull) {
  JournalRig rig;
  const std::uint64_t before = rig.journal->slots_free();
  for (int i = 0; i < 6000; ++i)
    ASSERT_TRUE(rig.put(shard_key(static_cast<std::uint32_t>(i % 700)), 1));
  rig.drain();
  EXPECT_LE(rig.journal->slots_free(), before - 3);
  for (std::uint32_t i = 0; i < 700; ++i) {
    rig.check_shard(shard_key(i), 0, rig.durable_end(shard_key(i)));
  }
}

}  // namespace
}  // namespace penstock::storage
