// Reads that wait for a record: woken by it, by the shard's end, by the clock.
#include "cell_rig.h"
#include "shard/waiting_reads.h"

#include <algorithm>

namespace penstock::shard {
namespace {

using Kind = CommandKind;

class Waits : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(rig_.command(Kind::kOpenShard, key_of(1)).has_value()); }

  // Asks; the answer comes when it comes.
  void ask(ReadRequest& request, ReadStart start, storage::BatchSink* sink,
           std::int64_t wait = kNanosPerSecond) {
    request.shard = key_of(1);
    request.start = start;
    request.sink = sink;
    request.wait_until = rig_.time.now() + wait;
    rig_.cell->read(request, rig_.time.now(), rig_.wall());
  }
  void put(std::uint64_t serial, const std::string& text) {
    calls_.push_back(
        std::make_unique<Call>(serial, 1, text, rig_.time.now() + 60 * kNanosPerSecond));
    ASSERT_EQ(rig_.take(*calls_.back(), key_of(1)), 1U);
    rig_.run();
  }
  void pass(std::int64_t nanos) {
    rig_.time.advance_to(rig_.time.now() + nanos);
    rig_.turn();
    rig_.cell->expire(rig_.time.now());
  }
  [[nodiscard]] bool back(const ReadRequest& request) const {
    return std::ranges::find(rig_.reads_back, &request) != rig_.reads_back.end();
  }

  CellRig rig_;
  std::vector<std::unique_ptr<Call>> calls_;
};

TEST_F(Waits, AReadAtTheTipIsAnsweredWhenARecordIsDurable) {
  TextSink sink;
  ReadRequest request;
  ask(request, ReadStart::kLatest, &sink);
  rig_.turn();
  EXPECT_FALSE(back(request));
  EXPECT_TRUE(rig_.cell->quiet()) << "a read that waits keeps no drain";
  calls_.push_back(std::make_unique<Call>(1, 1, "first", rig_.time.now() + 60 * kNanosPerSecond));
  ASSERT_EQ(rig_.take(*calls_.back(), key_of(1)), 1U);
  rig_.turn();
  EXPECT_FALSE(back(request)) << "before its record is durable";
  rig_.run();
  ASSERT_TRUE(back(request));
  ASSERT_TRUE(request.outcome.has_value());
  EXPECT_EQ(sink.texts, std::vector<std::string>{"first0"});
  EXPECT_EQ(request.next, RecordIndex(1));
}

TEST_F(Waits, AReadBehindTheTipDoesNotWait) {
  put(1, "there");
  TextSink sink;
  ReadRequest request;
  ask(request, ReadStart::kTrimHorizon, &sink);
  rig_.run();
  EXPECT_TRUE(back(request));
  EXPECT_EQ(sink.texts, std::vector<std::string>{"there0"});
}

TEST_F(Waits, AWatchReadsNothingAndTellsWhereItIs) {
  put(1, "old");
  ReadRequest watch;
  ask(watch, ReadStart::kLatest, nullptr);
  put(2, "new");
  ASSERT_TRUE(back(watch));
  EXPECT_EQ(watch.next, RecordIndex(1));
  EXPECT_FALSE(watch.at_end);
  EXPECT_GT(watch.millis_behind, 0) << "there is something to read";
  ReadRequest tip;
  ask(tip, ReadStart::kLatest, nullptr, 0);
  ASSERT_TRUE(back(tip));
  EXPECT_EQ(tip.millis_behind, 0);
}

TEST_F(Waits, ManyWaitForOneRecord) {
  std::vector<TextSink> sinks(20);
  std::vector<ReadRequest> requests(20);
  for (std::size_t i = 0; i < sinks.size(); ++i) ask(requests[i], ReadStart::kLatest, &sinks[i]);
  put(1, "one");
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    EXPECT_TRUE(back(requests[i]));
    EXPECT_EQ(sinks[i].texts.size(), 1U) << i;
  }
}

TEST_F(Waits, AWaitInVainEndsInTime) {
  TextSink sink;
  ReadRequest brief;
  ReadRequest endless;
  ask(brief, ReadStart::kLatest, &sink, 300 * kNanosPerMilli);
  ask(endless, ReadStart::kLatest, nullptr, 3600 * kNanosPerSecond);
  pass(290 * kNanosPerMilli);
  EXPECT_FALSE(back(brief));
  pass(300 * kNanosPerMilli);
  EXPECT_TRUE(back(brief));
  EXPECT_TRUE(brief.outcome.has_value());
  EXPECT_EQ(brief.next, RecordIndex(0));
  EXPECT_FALSE(back(endless));
  pass(WaitingReads::kLongest);
  EXPECT_TRUE(back(endless)) << "an endless wait is cut";
  EXPECT_FALSE(rig_.cell->reads_wait());
}

TEST_F(Waits, TheEndOfAShardEndsThem) {
  TextSink sink;
  ReadRequest request;
  ask(request, ReadStart::kLatest, &sink, 3600 * kNanosPerSecond);
  ASSERT_TRUE(rig_.command(Kind::kCloseShard, key_of(1), 2).has_value());
  ASSERT_TRUE(back(request));
  EXPECT_TRUE(request.outcome.has_value());
  EXPECT_TRUE(request.at_end);
  ReadRequest later;
  ask(later, ReadStart::kLatest, nullptr);
  EXPECT_TRUE(back(later)) << "nothing will come";
  EXPECT_TRUE(later.at_end);
}

TEST_F(Waits, AShardThatGoesAwayIsTold) {
  ReadRequest request;
  ask(request, ReadStart::kLatest, nullptr, 3600 * kNanosPerSecond);
  CellCommand gone;
  gone.kind = Kind::kTrimShard;
  gone.shard = key_of(1);
  gone.control.index = UINT64_MAX;
  gone.control.catalogue_version = 2;
  ASSERT_TRUE(rig_.command(gone).has_value());
  ASSERT_TRUE(back(request));
  ASSERT_FALSE(request.outcome.has_value());
  EXPECT_EQ(request.outcome.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(rig_.cell->shard_count(), 0U);
}

TEST_F(Waits, AStopEndsThemAndAllowsNoMore) {
  ReadRequest request;
  ask(request, ReadStart::kLatest, nullptr, 3600 * kNanosPerSecond);
  rig_.cell->end_waits(rig_.time.now());
  EXPECT_TRUE(back(request));
  ReadRequest later;
  ask(later, ReadStart::kLatest, nullptr);
  EXPECT_TRUE(back(later));
  EXPECT_FALSE(rig_.cell->reads_wait());
}

TEST_F(Waits, APushIsNoTransactionOfTheShards) {
  rig_.cell->find(key_of(1))->reads.set_rate(5, rig_.time.now());
  put(1, "a");
  TextSink sink;
  for (int i = 0; i < 20; ++i) {
    ReadRequest request;
    request.push = true;
    ask(request, ReadStart::kTrimHorizon, &sink);
    rig_.run();
    ASSERT_TRUE(request.outcome.has_value()) << i;
  }
  EXPECT_EQ(sink.texts.size(), 20U);
}

// The wheel alone, against a list of what must come when.
TEST(WaitingReads, EachEndsWithinAStepOfItsTimeHoweverTheClockJumps) {
  std::uint64_t random = 88172645463325252U;
  const auto draw = [&random](std::uint64_t below) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return static_cast<std::int64_t>(random % below);
  };
  WaitingReads waiting;
  std::vector<ReadRequest> requests(500);
  std::vector<bool> in(requests.size());
  Nanos now(draw(std::uint64_t{1} << 40));
  for (int round = 0; round < 5'000; ++round) {
    const auto at = static_cast<std::size_t>(draw(requests.size()));
    if (!in[at]) {
      requests[at].wait_until = now + draw(7 * kNanosPerSecond);
      waiting.add(requests[at], now);
      requests[at].wait_until = std::min(requests[at].wait_until, now + WaitingReads::kLongest);
      in[at] = true;
    } else if (draw(2) == 0) {
      waiting.remove(requests[at]);
      in[at] = false;
    }
    now = now + (draw(100) == 0 ? draw(30 * kNanosPerSecond) : draw(40 * kNanosPerMilli));
    while (ReadRequest* const due = waiting.due(now)) {
      const auto index = static_cast<std::size_t>(due - requests.data());
      ASSERT_TRUE(in[index]);
      ASSERT_LE(due->wait_until, now);
      in[index] = false;
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (!in[i]) continue;
      ASSERT_GT(requests[i].wait_until + WaitingReads::kStep, now) << "late: " << i;
    }
  }
  EXPECT_EQ(waiting.empty(), std::ranges::count(in, true) == 0);
}

}  // namespace
}  // namespace penstock::shard
