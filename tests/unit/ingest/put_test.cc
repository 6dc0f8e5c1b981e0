// Goal: a put is answered once, when each of its entries has its outcome, whatever cores own the
// shards; numbers follow the order of the call. Method: two data cores on the simulated disk.
#include "two_cores.h"

#include <deque>
#include <map>

namespace penstock::ingest {
namespace {

// What each shard should hold after the calls, in their order, where quarter n is shard n.
std::map<std::uint32_t, std::vector<std::string>> by_shard(const std::deque<Call>& calls) {
  std::map<std::uint32_t, std::vector<std::string>> texts;
  for (const Call& call : calls) {
    for (std::size_t i = 0; i < call.entries.size(); ++i) {
      const auto quarter = static_cast<std::uint32_t>(call.entries[i].record.hash.high >> 62);
      texts[quarter].push_back(call.texts[i]);
    }
  }
  return texts;
}

TEST(DataCorePut, OneCallToShardsOfBothCoresIsAnsweredOnceWithEachEntryInItsPlace) {
  TwoCores rig;
  rig.open_quarters();
  rig.time.advance_to(rig.time.now() + kNanosPerSecond);
  Call call("a", {3, 0, 1, 0, 2, 3, 3, 1, 0, 2});
  const WallMillis asked = rig.wall();
  rig.put(call, 0);
  EXPECT_EQ(call.answers, 0) << "never inside put";
  rig.run(call);
  const WallMillis answered = rig.wall();
  rig.pass(200 * kNanosPerMilli);
  EXPECT_EQ(call.answers, 1);
  EXPECT_EQ(rig.core(0).counters().parcels_sent, 1U) << "one for the two shards of core 1";
  std::array<std::uint64_t, 4> next{};
  for (const shard::PutEntry& entry : call.entries) {
    const std::uint64_t quarter = entry.record.hash.high >> 62;
    EXPECT_TRUE(entry.stored);
    EXPECT_EQ(entry.shard, ShardNumber(static_cast<std::uint32_t>(quarter)));
    EXPECT_EQ(entry.shard_created_second, 1'700'000'000 + static_cast<std::int64_t>(quarter));
    EXPECT_EQ(entry.index, RecordIndex(next[quarter]++));
    EXPECT_GE(entry.arrival, asked);
    EXPECT_LE(entry.arrival, answered);
  }
  for (std::uint16_t core = 0; core < 2; ++core) {
    for (std::uint32_t number = 0; number < 4; ++number) {
      const std::vector<Stored> records = rig.read(number, core);
      ASSERT_EQ(records.size(), next[number]);
      for (std::size_t i = 0, at = 0; i < call.entries.size(); ++i) {
        if (call.entries[i].shard != ShardNumber(number)) continue;
        EXPECT_EQ(records[at].text, call.texts[i]);
        EXPECT_EQ(records[at].index, call.entries[i].index);
        EXPECT_EQ(records[at].arrival, call.entries[i].arrival);
        ++at;
      }
    }
  }
  rig.expect_nothing_left();
}

TEST(DataCorePut, CallsOfOneCoreKeepTheirOrderPerShardWhileBlocksAreInFlight) {
  TwoCores rig;
  rig.open_quarters();
  std::deque<Call> calls;
  for (std::uint64_t i = 0; i < 60; ++i) {
    std::vector<std::uint64_t> quarters;
    for (std::uint64_t k = 0; k < 1 + i % 5; ++k) quarters.push_back((i + k * k) % 4);
    rig.put(calls.emplace_back(std::to_string(i) + ":", quarters), 1);
    if (i % 3 == 0) rig.turn();
    if (i % 7 == 0) rig.step();
  }
  rig.run_until([&] { return std::ranges::all_of(calls, [](auto& c) { return c.answers > 0; }); });
  rig.pass(200 * kNanosPerMilli);
  for (const Call& call : calls) {
    EXPECT_EQ(call.answers, 1);
    EXPECT_EQ(call.stored(), call.entries.size());
  }
  for (const auto& [number, texts] : by_shard(calls)) EXPECT_EQ(rig.texts(number), texts);
  rig.expect_nothing_left();
}

TEST(DataCorePut, AStreamThatTheMapDoesNotShowIsNotFoundButNotInsidePut) {
  TwoCores rig;
  rig.open_quarters();
  Call call("a", {0, 1});
  call.request.stream = StreamUid(99);
  rig.put(call, 1);
  EXPECT_EQ(call.answers, 0);
  rig.turn();
  EXPECT_EQ(call.answers, 1);
  EXPECT_EQ(call.count(ErrorCode::kNotFound), 2U);
  shard::ReadRequest read;
  read.shard = {StreamUid(99), ShardNumber(0)};
  read.owner = CoreId(0);
  int answers = 0;
  read.context = &answers;
  read.done = [](shard::ReadRequest& request, Nanos) { ++*static_cast<int*>(request.context); };
  rig.core(1).read(read, rig.time.now());
  rig.run_until([&] { return answers > 0; });
  ASSERT_FALSE(read.outcome.has_value());
  EXPECT_EQ(read.outcome.error().code, ErrorCode::kNotFound);
  rig.expect_nothing_left();
}

// Every piece of a put holds a parcel from where it began until all its entries have their outcomes.
// Half go to the other core, more than its mailbox holds.
TEST(DataCorePut, WithAllParcelsOutEntriesAreRefusedAndNothingIsLostOrStuck) {
  constexpr std::size_t kParcels = 8192;
  constexpr std::size_t kTooMany = 100;
  TwoCores rig;
  rig.open_quarters();
  std::deque<Call> calls;
  for (std::size_t i = 0; i + 1 < kParcels; ++i) {
    rig.put(calls.emplace_back(std::to_string(i) + ":", std::vector<std::uint64_t>{i % 4}), 0);
  }
  // One parcel is left: for the core of the entry that comes first.
  Call split("split", {1, 0, 3, 2, 1});
  rig.put(split, 0);
  EXPECT_TRUE(rig.core(0).congested());
  std::deque<Call> refused;
  for (std::size_t i = 0; i < kTooMany; ++i) {
    rig.put(refused.emplace_back("no", std::vector<std::uint64_t>{i % 4}), 0);
  }
  EXPECT_EQ(rig.core(0).puts_under_way(), kParcels + kTooMany);
  rig.run_until([&] { return rig.core(0).puts_under_way() == 0; });
  for (const Call& call : calls) {
    ASSERT_EQ(call.answers, 1);
    ASSERT_TRUE(call.entries[0].stored) << text(call.entries[0].error);
  }
  for (const Call& call : refused) {
    ASSERT_EQ(call.answers, 1);
    ASSERT_EQ(call.count(ErrorCode::kOverloaded), 1U);
  }
  EXPECT_EQ(split.answers, 1);
  EXPECT_EQ(split.stored(), 3U);
  EXPECT_EQ(split.count(ErrorCode::kOverloaded), 2U);
  auto expected = by_shard(calls);
  for (const std::size_t i : {0U, 2U, 4U}) {
    expected[split.entries[i].shard.raw()].push_back(split.texts[i]);
  }
  for (const auto& [number, texts] : expected) EXPECT_EQ(rig.texts(number), texts);
  rig.expect_nothing_left();
  // All parcels are back: as many go out again.
  std::deque<Call> again;
  for (std::size_t i = 0; i < kParcels; ++i) {
    rig.put(again.emplace_back("b", std::vector<std::uint64_t>{i % 4}), 0);
  }
  rig.run_until([&] { return rig.core(0).puts_under_way() == 0; });
  for (const Call& call : again) ASSERT_EQ(call.stored(), 1U);
  rig.expect_nothing_left();
}

// What was acknowledged keeps its number; what was not may be there or not, and its number may be given
// again only if it is not.
TEST(DataCorePut, NumbersGoOnAfterARestart) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    TwoCores::Options options = TwoCores::defaults();
    options.seed = seed;
    TwoCores rig(options);
    rig.open_quarters();
    std::deque<Call> acknowledged;
    for (std::uint64_t i = 0; i < 3; ++i) {
      rig.put(acknowledged.emplace_back("a" + std::to_string(i) + ":",
                                        std::vector<std::uint64_t>{0, 1, 2, 3, 3, 2, 1, 0}),
              static_cast<std::uint16_t>(i % 2));
      rig.run(acknowledged.back());
    }
    Call open("open", {0, 1, 1, 3});
    rig.put(open, 0);
    rig.turn();
    if (seed % 2 == 0) rig.turn();
    ASSERT_EQ(open.answers, 0);
    rig.cut_and_restart();
    EXPECT_EQ(open.answers, 0);
    Call after("b", {3, 2, 1, 0, 0});
    rig.put(after, 1);
    rig.run(after);
    ASSERT_EQ(after.stored(), after.entries.size());
    const auto expected = by_shard(acknowledged);
    for (std::uint32_t number = 0; number < 4; ++number) {
      const std::vector<std::string> texts = rig.texts(number);
      const std::vector<std::string>& first = expected.at(number);
      ASSERT_GE(texts.size(), first.size());
      EXPECT_TRUE(std::ranges::equal(first, std::span(texts).first(first.size())));
      for (std::size_t i = 0; i < after.entries.size(); ++i) {
        if (after.entries[i].shard != ShardNumber(number)) continue;
        ASSERT_GE(after.entries[i].index, RecordIndex(first.size()));
        ASSERT_LT(after.entries[i].index.raw(), texts.size());
        EXPECT_EQ(texts[after.entries[i].index.raw()], after.texts[i]);
      }
    }
  }
}

}  // namespace
}  // namespace penstock::ingest
