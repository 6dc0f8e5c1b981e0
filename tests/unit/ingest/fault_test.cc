// Goal: what a disk does to one core's journal is told entry by entry, once, and the other core goes
// on. Method: one core's writes fail, or are held back beyond the deadline.
#include "two_cores.h"

namespace penstock::ingest {
namespace {

using Texts = std::vector<std::string>;

TEST(DataCoreFault, AFencedJournalLeavesTheOtherCoresShardsAlone) {
  TwoCores rig;
  rig.open_quarters();
  Call good("good", {0, 1, 2, 3});
  rig.put(good, 0);
  rig.run(good);
  rig.gate(1).failing = true;
  Call bad("bad", {1, 0, 3, 2, 1});
  rig.put(bad, 0);
  rig.run(bad);
  EXPECT_TRUE(rig.cell(1).fenced());
  EXPECT_FALSE(rig.cell(0).fenced());
  EXPECT_EQ(bad.stored(), 2U);
  EXPECT_EQ(bad.count(ErrorCode::kUnknownOutcome), 3U);
  rig.gate(1).failing = false;  // it stays fenced though the disk is well again
  Call later("later", {0, 1, 2, 3, 0});
  rig.put(later, 1);
  rig.run(later);
  EXPECT_EQ(later.stored(), 3U);
  EXPECT_EQ(later.count(ErrorCode::kFenced), 2U);
  rig.pass(kNanosPerSecond);
  for (const Call* call : {&good, &bad, &later}) EXPECT_EQ(call->answers, 1);
  EXPECT_EQ(rig.texts(0), (Texts{"good0", "bad1", "later0", "later4"}));
  EXPECT_EQ(rig.texts(2), (Texts{"good2", "bad3", "later2"}));
  EXPECT_EQ(rig.texts(1), Texts{"good1"}) << "the durable prefix stays readable";
  EXPECT_EQ(rig.texts(3), Texts{"good3"});
  rig.expect_nothing_left();
}

// Entries that stood in the block behind the failing one, or waited for one, were never written.
TEST(DataCoreFault, WhatWaitedBehindTheFailingBlockWasCertainlyNotStored) {
  TwoCores::Options options = TwoCores::defaults();
  options.journal.depth = 1;
  options.journal.block_target = 64 * kKiB;
  TwoCores rig(options);
  rig.open_quarters();
  rig.run_until([&] { return rig.cell(1).quiet(); });
  rig.gate(1).held = true;
  Call call("a", std::vector<std::uint64_t>(24, 1), kFarAway, 10'000);
  rig.put(call, 0);
  rig.turn();
  const std::size_t taken = rig.cell(1).counters().records_in;
  ASSERT_LT(taken, call.entries.size());
  rig.gate(1).failing = true;
  rig.gate(1).held = false;
  rig.run(call);
  const std::size_t unknown = call.count(ErrorCode::kUnknownOutcome);
  EXPECT_GT(unknown, 0U);
  EXPECT_LT(unknown, taken) << "depth is 1: one block was in flight, one filled ahead";
  EXPECT_EQ(call.count(ErrorCode::kFenced), call.entries.size() - unknown);
  EXPECT_TRUE(std::ranges::is_partitioned(call.entries, [](const shard::PutEntry& e) {
    return e.error == ErrorCode::kUnknownOutcome;
  }));
  EXPECT_TRUE(rig.texts(1).empty());
}

class Deadline : public testing::TestWithParam<std::uint16_t> {};

// The block reaches the disk long after its call was answered, on the asking core or the other one.
TEST_P(Deadline, WhatIsNotDurableByThenIsUnknownAndSaidOnce) {
  const std::uint16_t slow = GetParam();
  TwoCores rig;
  rig.open_quarters();
  rig.run_until([&] { return rig.cell(slow).quiet(); });
  rig.gate(slow).held = true;
  Call call("a", {0, 1, 0, 1}, rig.time.now() + kNanosPerSecond);
  rig.put(call, 0);
  Call patient("b", {slow});  // behind them in the same block, and may wait longer
  rig.put(patient, 0);
  rig.pass(kNanosPerSecond - kNanosPerMilli);
  EXPECT_EQ(call.answers, 0);
  rig.pass(200 * kNanosPerMilli);
  ASSERT_EQ(call.answers, 1);
  EXPECT_EQ(call.stored(), 2U) << "of the other core's shard";
  EXPECT_EQ(call.count(ErrorCode::kUnknownOutcome), 2U);
  // The memory of a call is its owner's again: nobody may touch it when the write completes.
  const Texts expected = {call.texts[slow], call.texts[slow + 2U], patient.texts[0]};
  for (shard::PutEntry& entry : call.entries) entry = {};
  for (std::string& text : call.texts) std::ranges::fill(text, '#');
  EXPECT_EQ(patient.answers, 0);
  rig.gate(slow).held = false;
  rig.pass(kNanosPerSecond);
  EXPECT_EQ(call.answers, 1);
  EXPECT_EQ(patient.answers, 1);
  EXPECT_EQ(patient.stored(), 1U);
  for (const shard::PutEntry& entry : call.entries) EXPECT_FALSE(entry.stored);
  EXPECT_EQ(rig.texts(slow), expected) << "0 or 1 copy: here 1";
  rig.expect_nothing_left();
}
INSTANTIATE_TEST_SUITE_P(HereAndThere, Deadline, testing::Values(0, 1));

// A core that only waits turns when something arrives or at `next_deadline`: where a write hangs,
// nothing arrives.
TEST(DataCoreFault, TheOwningCoreTurnsForADeadlineThoughNothingArrives) {
  TwoCores rig;
  rig.open_quarters();
  rig.run_until([&] { return rig.cell(0).quiet() && rig.cell(1).quiet(); });
  rig.gate(1).held = true;
  Call call("a", {1}, rig.time.now() + kNanosPerSecond);
  rig.put(call, 0);
  rig.turn();
  rig.turn();
  EXPECT_LE(rig.core(0).next_deadline(), call.request.deadline);
  EXPECT_LE(rig.core(1).next_deadline(), call.request.deadline);
  rig.gate(1).held = false;
  rig.run(call);
}

}  // namespace
}  // namespace penstock::ingest
