// Goal: entries that meet a shard which a split has closed wait for a newer map and go again by it, in
// their order and never twice. Method: the shard of the other core is closed under a call's feet.
#include "two_cores.h"

namespace penstock::ingest {
namespace {

constexpr std::int64_t kRetry = 100 * kNanosPerMilli;  // how often waiting calls are looked at

using Texts = std::vector<std::string>;

TEST(DataCoreReroute, EntriesOfAClosedShardWaitForTheNewMapAndKeepTheirOrder) {
  TwoCores rig;
  rig.open_halves();
  rig.close(1);
  Call call("a", {2, 0, 3, 2, 1, 3, 2, 0, 3});
  rig.put(call, 0);
  rig.pass(5 * kRetry);
  EXPECT_EQ(call.answers, 0) << "there is no newer map";
  EXPECT_EQ(call.stored(), 3U) << "those of the other shard";
  EXPECT_TRUE(rig.texts(1).empty());
  rig.open_children();
  rig.pass(2 * kRetry);
  EXPECT_EQ(call.answers, 0) << "nobody knows of the children yet";
  rig.publish();
  rig.run(call);
  rig.pass(2 * kRetry);
  EXPECT_EQ(call.answers, 1);
  EXPECT_EQ(call.stored(), call.entries.size());
  EXPECT_EQ(rig.texts(0), (Texts{"a1", "a4", "a7"}));
  EXPECT_TRUE(rig.texts(1).empty());
  EXPECT_EQ(rig.texts(2), (Texts{"a0", "a3", "a6"}));
  EXPECT_EQ(rig.texts(3), (Texts{"a2", "a5", "a8"}));
  for (const std::size_t i : {2U, 5U, 8U}) {
    EXPECT_EQ(call.entries[i].shard, ShardNumber(3));
    EXPECT_EQ(call.entries[i].shard_created_second, 1'700'000'003);
    EXPECT_EQ(call.entries[i].index, RecordIndex(i / 3));
  }
  rig.expect_nothing_left();
}

// The close comes while a call's first entries are on their way to the disk and the others wait.
TEST(DataCoreReroute, TheFirstStayWithTheParentTheRestGoToTheChildren) {
  TwoCores::Options options = TwoCores::defaults();
  options.journal.depth = 1;
  options.journal.block_target = 64 * kKiB;
  TwoCores rig(options);
  rig.open_halves();
  rig.run_until([&] { return rig.cell(1).quiet(); });
  rig.gate(1).held = true;
  Call call("a", std::vector<std::uint64_t>(24, 2), kFarAway, 10'000);
  rig.put(call, 0);
  rig.turn();  // mail of core 0 is there in the same turn
  const std::size_t taken = rig.cell(1).counters().records_in;
  ASSERT_GT(taken, 0U);
  ASSERT_LT(taken, call.entries.size());
  shard::CellCommand close;
  close.kind = shard::CommandKind::kCloseShard;
  rig.start(close, 1, 1);
  rig.pass(3 * kRetry);
  EXPECT_EQ(call.answers, 0);
  EXPECT_EQ(rig.cell(1).counters().records_in, taken) << "it took more after its close";
  rig.gate(1).held = false;
  rig.run_until([&] { return close.context == nullptr; });
  ASSERT_TRUE(close.outcome.has_value());
  EXPECT_EQ(close.control.index, taken);
  rig.close(1);  // says so in the map, too
  rig.open_children();
  rig.publish();
  rig.run(call);
  rig.pass(2 * kRetry);
  EXPECT_EQ(call.answers, 1);
  EXPECT_EQ(call.stored(), call.entries.size());
  const auto middle = call.texts.begin() + static_cast<std::ptrdiff_t>(taken);
  EXPECT_EQ(rig.texts(1), Texts(call.texts.begin(), middle));
  EXPECT_EQ(rig.texts(2), Texts(middle, call.texts.end()));
  rig.expect_nothing_left();
}

// The map is here before the entries that went to the other shard are durable.
TEST(DataCoreReroute, ACallGoesAgainOnlyWhenItsOtherEntriesAreSettled) {
  TwoCores rig;
  rig.open_halves();
  rig.close(1);
  rig.open_children();
  rig.run_until([&] { return rig.cell(0).quiet() && rig.cell(1).quiet(); });
  rig.gate(0).held = true;
  Call call("a", {0, 3, 3});
  rig.put(call, 0);
  rig.turn();
  rig.publish();
  rig.pass(3 * kRetry);
  EXPECT_EQ(rig.core(0).counters().entries_rerouted, 0U);
  EXPECT_EQ(call.answers, 0);
  rig.gate(0).held = false;
  rig.run(call);
  rig.pass(2 * kRetry);
  EXPECT_EQ(call.answers, 1);
  EXPECT_EQ(rig.core(0).counters().entries_rerouted, 2U);
  EXPECT_EQ(rig.texts(0), Texts{"a0"});
  EXPECT_EQ(rig.texts(3), (Texts{"a1", "a2"}));
}

// The other core hears of the map first: what it sent by the old one goes on by itself.
TEST(DataCoreReroute, ACoreThatIsBehindWithTheMapRefusesWhatItDoesNotKnowYet) {
  TwoCores rig;
  rig.open_halves();
  rig.close(1);
  rig.open_children();
  int done = 0;
  rig.service().publish(
      rig.next_map(), [](void* context, Nanos) { ++*static_cast<int*>(context); }, &done,
      rig.time.now());
  rig.turn_core(0);
  ASSERT_EQ(rig.core(0).routes()->epoch, rig.core(1).routes()->epoch + 1);
  Call old("old", {2, 3, 0});  // by the old map, to the parent and to a shard that stays
  rig.put(old, 1);
  Call fresh("new", {3, 2, 3, 1});
  rig.put(fresh, 0);
  rig.run(old);
  rig.run(fresh);
  EXPECT_EQ(done, 1);
  rig.pass(2 * kRetry);
  EXPECT_EQ(old.answers, 1);
  EXPECT_EQ(fresh.answers, 1);
  EXPECT_EQ(old.stored(), 3U);
  EXPECT_EQ(fresh.stored(), 4U);
  EXPECT_EQ(rig.texts(2).size(), 2U);
  const Texts upper = rig.texts(3);
  EXPECT_EQ(upper.size(), 3U);
  EXPECT_LT(std::ranges::find(upper, "new0"), std::ranges::find(upper, "new2"));
  EXPECT_EQ(rig.texts(0).size(), 2U);
}

TEST(DataCoreReroute, PastTheDeadlineTheyAreRefusedAndCertainlyNotStored) {
  TwoCores rig;
  rig.open_halves();
  rig.close(1);
  Call call("a", {2, 0, 3}, rig.time.now() + 3 * kRetry);
  rig.put(call, 0);
  rig.pass(2 * kRetry);
  EXPECT_EQ(call.answers, 0);
  rig.pass(3 * kRetry);
  EXPECT_EQ(call.answers, 1);
  EXPECT_TRUE(call.entries[1].stored);
  EXPECT_EQ(call.count(ErrorCode::kOverloaded), 2U);
  rig.open_children();
  rig.publish();
  rig.pass(3 * kRetry);
  EXPECT_EQ(call.answers, 1);
  EXPECT_TRUE(rig.texts(2).empty());
  EXPECT_TRUE(rig.texts(3).empty());
  EXPECT_EQ(rig.texts(0), Texts{"a1"});
  rig.expect_nothing_left();
}

TEST(DataCoreReroute, AStreamThatVanishesMeanwhileIsNotFound) {
  TwoCores rig;
  rig.open_halves();
  rig.close(1);
  Call call("a", {2, 0, 3});
  rig.put(call, 0);
  rig.pass(2 * kRetry);
  ASSERT_EQ(call.answers, 0);
  rig.publish(rig.empty_map());
  rig.run(call);
  rig.pass(2 * kRetry);
  EXPECT_EQ(call.answers, 1);
  EXPECT_TRUE(call.entries[1].stored) << "it was, before the stream went";
  EXPECT_EQ(call.count(ErrorCode::kNotFound), 2U);
  rig.expect_nothing_left();
}

// A split that was given up: the shard opens again, and what waited goes to it after all.
TEST(DataCoreReroute, AShardThatOpensAgainTakesWhatWaitedForANewMap) {
  TwoCores rig;
  rig.open_halves();
  shard::CellCommand close;
  close.kind = shard::CommandKind::kCloseShard;
  ASSERT_TRUE(rig.order(close, 1, 1).has_value());
  Call call("a", {2, 3, 2, 0}, rig.time.now() + 50 * kRetry);
  rig.put(call, 0);
  rig.pass(2 * kRetry);
  ASSERT_EQ(call.answers, 0);
  shard::CellCommand reopen;
  reopen.kind = shard::CommandKind::kReopenShard;
  reopen.control.range_begin[0] = 2ULL << 62;
  reopen.control.range_end[0] = reopen.control.range_end[1] = UINT64_MAX;
  ASSERT_TRUE(rig.order(reopen, 1, 1).has_value());
  rig.publish();
  rig.run(call);
  EXPECT_EQ(call.answers, 1);
  EXPECT_EQ(call.stored(), 4U) << text(call.entries[0].error);
  EXPECT_EQ(rig.texts(1), (Texts{"a0", "a1", "a2"}));
}

}  // namespace
}  // namespace penstock::ingest
