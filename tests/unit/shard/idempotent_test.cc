// Goal: a batch of an idempotent producer is stored once and answered every time, in order, and what a
// producer is told is durable. Method: one cell on the simulated disk; each case by hand, then a producer
// that sends everything until it is answered, through power cuts at any time, with snapshots.
#include "cell_rig.h"

#include <algorithm>
#include <deque>
#include <random>

namespace penstock::shard {
namespace {

constexpr std::uint64_t kOne = 0xAAAA;
constexpr std::uint64_t kTwo = 0xBBBB;

struct Idempotent : ::testing::Test {
  Idempotent() { EXPECT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value()); }
  // One batch of one record, taken; its refusal, or kSystem.
  ErrorCode send(std::uint32_t sequence, std::uint32_t epoch = 1, std::uint64_t producer = kOne) {
    calls.emplace_back(calls.size() + 1, 1, "s" + std::to_string(sequence) + ".", producer, epoch,
                       sequence);
    return rig.take(calls.back(), key_of(1)) ? ErrorCode::kSystem : calls.back().entry.error;
  }
  const PutEntry& last() { return calls.back().entry; }
  CellRig rig;
  std::deque<BatchCall> calls;
};

TEST_F(Idempotent, AnEpochIsOpenedBeforeItsFirstBatch) {
  EXPECT_EQ(send(1), ErrorCode::kProducerUnknown);
  const ProducerRequest opened = rig.open(kOne, 1);
  ASSERT_TRUE(opened.outcome.has_value());
  EXPECT_FALSE(opened.closed);
  EXPECT_EQ(opened.state.epoch, 1U);
  EXPECT_EQ(opened.state.last_sequence, 0U);
  EXPECT_EQ(opened.state.count, 0U);
  EXPECT_EQ(send(1, 2), ErrorCode::kProducerUnknown);
  EXPECT_EQ(send(1), ErrorCode::kSystem);
  rig.run();
  EXPECT_TRUE(last().stored);
  EXPECT_EQ(rig.open(kOne, 0).outcome.error().code, ErrorCode::kProducerFenced);
  EXPECT_EQ(rig.open(0, 1).outcome.error().code, ErrorCode::kMalformed);
  EXPECT_EQ(rig.open(kOne, 1, key_of(5)).outcome.error().code, ErrorCode::kNotFound);
}

TEST_F(Idempotent, ARepeatedBatchIsAnsweredWhenTheFirstIsDurable) {
  ASSERT_TRUE(rig.open(kOne, 1).outcome.has_value());
  rig.settled_entries.clear();
  ASSERT_EQ(send(1), ErrorCode::kSystem);
  ASSERT_EQ(send(1), ErrorCode::kSystem) << "in the same turn";
  rig.turn();
  ASSERT_EQ(send(1), ErrorCode::kSystem) << "while it is in flight";
  rig.turn();
  EXPECT_TRUE(rig.settled_entries.empty());
  rig.run();
  ASSERT_EQ(rig.settled_entries.size(), 3U);
  ASSERT_EQ(send(1), ErrorCode::kSystem) << "when it is durable";
  rig.turn();
  ASSERT_EQ(rig.settled_entries.size(), 4U) << "at once";
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(calls[i].entry.stored);
    EXPECT_EQ(calls[i].entry.repeated, i > 0);
    EXPECT_EQ(calls[i].entry.index, RecordIndex(0));
    EXPECT_EQ(calls[i].entry.arrival, calls[0].entry.arrival);
  }
  EXPECT_EQ(rig.all(key_of(1)), calls[0].texts);
  EXPECT_EQ(rig.cell->counters().records_in, 1U);
}

TEST_F(Idempotent, WhatWasPipelinedBehindARefusedBatchIsRefused) {
  ASSERT_TRUE(rig.open(kOne, 1).outcome.has_value());
  ASSERT_TRUE(rig.open(kTwo, 1).outcome.has_value());
  ASSERT_EQ(send(1), ErrorCode::kSystem);
  ASSERT_EQ(send(3), ErrorCode::kSystem);  // 2 was refused, say
  ASSERT_EQ(send(1, 1, kTwo), ErrorCode::kSystem);
  ASSERT_EQ(send(4), ErrorCode::kSystem);
  rig.run();
  EXPECT_TRUE(calls[0].entry.stored);
  EXPECT_EQ(calls[1].entry.error, ErrorCode::kSequenceGap);
  EXPECT_TRUE(calls[2].entry.stored) << "another producer's";
  EXPECT_EQ(calls[3].entry.error, ErrorCode::kSequenceGap);
  EXPECT_EQ(rig.cell->counters().records_refused, 2U);
  for (std::uint32_t s = 2; s <= 10; ++s) ASSERT_EQ(send(s), ErrorCode::kSystem);
  ASSERT_EQ(send(2), ErrorCode::kSystem);
  rig.run();
  EXPECT_EQ(last().error, ErrorCode::kSequenceOld);
  EXPECT_EQ(rig.all(key_of(1)).size(), 11U);
}

TEST_F(Idempotent, ALaterEpochFencesTheOneBefore) {
  ASSERT_TRUE(rig.open(kOne, 1).outcome.has_value());
  ASSERT_EQ(send(1), ErrorCode::kSystem);
  rig.run();
  ASSERT_EQ(send(2), ErrorCode::kSystem);  // waits for its block, behind the opening
  ProducerRequest later;
  later.shard = key_of(1);
  later.producer = kOne;
  later.epoch = 2;
  rig.open(later);
  rig.turn();
  EXPECT_EQ(last().error, ErrorCode::kProducerFenced);
  EXPECT_EQ(send(1, 2), ErrorCode::kProducerUnknown) << "not open before that is durable";
  EXPECT_EQ(send(3), ErrorCode::kProducerFenced);
  rig.run();
  ASSERT_TRUE(later.outcome.has_value());
  EXPECT_EQ(later.state.last_sequence, 0U);
  EXPECT_EQ(send(3), ErrorCode::kProducerFenced);
  ASSERT_EQ(send(1, 2), ErrorCode::kSystem);
  rig.run();
  EXPECT_TRUE(last().stored);
  EXPECT_FALSE(last().repeated);
  EXPECT_EQ(rig.open(kOne, 1).outcome.error().code, ErrorCode::kProducerFenced);
  rig.cut_and_restart();
  EXPECT_EQ(rig.open(kOne, 1).outcome.error().code, ErrorCode::kProducerFenced);
  EXPECT_EQ(rig.open(kOne, 2).state.last_sequence, 1U);
}

// Asked while batches are under way: the answer waits until all that it says is durable.
TEST_F(Idempotent, AnAnswerSaysWhatIsDurable) {
  ASSERT_TRUE(rig.open(kOne, 1).outcome.has_value());
  ASSERT_EQ(send(1), ErrorCode::kSystem);
  ASSERT_EQ(send(2), ErrorCode::kSystem);
  rig.turn();
  rig.answered.clear();
  ProducerRequest ask;
  ask.shard = key_of(1);
  ask.producer = kOne;
  ask.epoch = 1;
  rig.open(ask);
  EXPECT_TRUE(rig.answered.empty());
  ASSERT_EQ(send(3), ErrorCode::kSystem);
  rig.run();
  ASSERT_EQ(rig.answered.size(), 1U);
  ASSERT_TRUE(ask.outcome.has_value());
  EXPECT_EQ(ask.state.last_sequence, 2U) << "as it was when it asked";
  ASSERT_EQ(ask.state.count, 2U);
  EXPECT_EQ(ask.state.window[0].first, RecordIndex(0));
  EXPECT_EQ(ask.state.window[1].first, RecordIndex(1));
  EXPECT_EQ(rig.open(kOne, 1).state.last_sequence, 3U);
}

TEST_F(Idempotent, OneOpeningIsWrittenThoughItIsAskedForTwice) {
  const std::uint64_t frames = rig.cell->journal_metrics().frames;
  std::array<ProducerRequest, 4> requests;
  for (ProducerRequest& request : requests) {
    request.shard = key_of(1);
    request.producer = kOne;
    request.epoch = &request == &requests[3] ? 2 : 1;
    rig.open(request);
    if (&request == &requests[1]) rig.turn();
  }
  rig.run();
  EXPECT_EQ(rig.cell->journal_metrics().frames, frames + 2);
  for (const ProducerRequest& request : requests) {
    ASSERT_TRUE(request.outcome.has_value());
    EXPECT_EQ(request.state.epoch, request.epoch);
  }
  EXPECT_EQ(send(1, 1), ErrorCode::kProducerFenced);
  EXPECT_EQ(send(1, 2), ErrorCode::kSystem);
  rig.run();
}

TEST_F(Idempotent, AClosedShardAnswersWhatItKnowsAndOpensNothing) {
  ASSERT_TRUE(rig.open(kOne, 2).outcome.has_value());
  ASSERT_EQ(send(1, 2), ErrorCode::kSystem);
  rig.run();
  CellCommand close;
  close.kind = CommandKind::kCloseShard;
  close.shard = key_of(1);
  close.control.catalogue_version = 2;
  rig.cell->command(close, rig.time.now(), rig.wall());
  ProducerRequest early;
  early.shard = key_of(1);
  early.producer = kOne;
  early.epoch = 2;
  rig.open(early);
  EXPECT_EQ(early.outcome.error().code, ErrorCode::kWrongShard) << "the close may be taken back";
  rig.run();
  for (const bool restarted : {false, true}) {
    if (restarted) rig.cut_and_restart();
    EXPECT_EQ(send(2, 2), ErrorCode::kWrongShard);
    const ProducerRequest known = rig.open(kOne, 2);
    ASSERT_TRUE(known.outcome.has_value());
    EXPECT_TRUE(known.closed);
    EXPECT_EQ(known.state.last_sequence, 1U);
    EXPECT_EQ(known.state.window[0].first, RecordIndex(0));
    EXPECT_EQ(rig.open(kOne, 1).outcome.error().code, ErrorCode::kProducerFenced);
    EXPECT_EQ(rig.open(kOne, 3).outcome.error().code, ErrorCode::kProducerUnknown);
    EXPECT_EQ(rig.open(kTwo, 2).outcome.error().code, ErrorCode::kProducerUnknown);
  }
}

TEST_F(Idempotent, AFullTableForgetsWhoWasIdleForAQuarterOfAnHour) {
  rig.producers_max = 2;
  rig.cut_and_restart();
  ASSERT_TRUE(rig.open(1, 1).outcome.has_value());
  ASSERT_TRUE(rig.open(2, 1).outcome.has_value());
  EXPECT_EQ(rig.open(3, 1).outcome.error().code, ErrorCode::kProducersFull);
  ASSERT_EQ(send(1, 1, 1), ErrorCode::kSystem);
  rig.run();
  const auto seconds = [&](std::int64_t passed) {
    rig.time.advance_to(rig.time.now() + passed * kNanosPerSecond);
  };
  seconds(kProducerIdleSeconds - 5);
  EXPECT_EQ(rig.open(3, 1).outcome.error().code, ErrorCode::kProducersFull);
  seconds(10);
  ASSERT_EQ(send(2, 1, 1), ErrorCode::kSystem);  // 2 is the one that was idle
  rig.run();
  EXPECT_TRUE(rig.open(3, 1).outcome.has_value());
  EXPECT_EQ(send(1, 1, 2), ErrorCode::kProducerUnknown);
  EXPECT_EQ(send(3, 1, 1), ErrorCode::kSystem);
  rig.run();
  // Nor does a start bring more than there is room for, or others.
  rig.cut_and_restart();
  EXPECT_EQ(send(1, 1, 2), ErrorCode::kProducerUnknown);
  EXPECT_EQ(rig.open(1, 1).state.last_sequence, 3U);
  EXPECT_EQ(rig.open(3, 1).state.last_sequence, 0U);
}

// Whoever has batches in doubt must hear that it was forgotten: a new beginning would say that none is
// stored, and it would send them again.
TEST_F(Idempotent, WhatIsResumedIsNotBegunAnew) {
  rig.producers_max = 1;
  rig.cut_and_restart();
  EXPECT_EQ(rig.resume(kOne, 1).outcome.error().code, ErrorCode::kProducerUnknown);
  ASSERT_TRUE(rig.open(kOne, 1).outcome.has_value());
  ASSERT_EQ(send(1), ErrorCode::kSystem);
  rig.run();
  EXPECT_EQ(rig.resume(kOne, 1).state.last_sequence, 1U);
  EXPECT_EQ(rig.resume(kOne, 0).outcome.error().code, ErrorCode::kProducerFenced);
  EXPECT_EQ(rig.resume(kOne, 2).outcome.error().code, ErrorCode::kProducerUnknown);
  rig.time.advance_to(rig.time.now() + (kProducerIdleSeconds + 2) * kNanosPerSecond);
  ASSERT_TRUE(rig.open(kTwo, 1).outcome.has_value());  // in the place of the first
  rig.time.advance_to(rig.time.now() + (kProducerIdleSeconds + 2) * kNanosPerSecond);
  EXPECT_EQ(rig.resume(kOne, 1).outcome.error().code, ErrorCode::kProducerUnknown);
  EXPECT_EQ(rig.resume(kTwo, 1).state.last_sequence, 0U);
  EXPECT_EQ(rig.all(key_of(1)).size(), 1U);
}

// Idle is who sent nothing for that long, not whose batches a clock that was set makes look old.
TEST_F(Idempotent, AClockThatIsSetForgetsNobodyAndKeepsNobody) {
  constexpr std::int64_t kDay = 24 * 3600 * 1000;
  rig.producers_max = 1;
  rig.cut_and_restart();
  ASSERT_TRUE(rig.open(kOne, 1).outcome.has_value());
  rig.wall_millis += kDay;
  EXPECT_EQ(rig.open(kTwo, 1).outcome.error().code, ErrorCode::kProducersFull);
  ASSERT_EQ(send(1), ErrorCode::kSystem);
  rig.run();
  rig.wall_millis -= 2 * kDay;
  ASSERT_EQ(send(2), ErrorCode::kSystem);
  rig.run();
  rig.time.advance_to(rig.time.now() + (kProducerIdleSeconds + 2) * kNanosPerSecond);
  EXPECT_TRUE(rig.open(kTwo, 1).outcome.has_value());
  // Of the time before a start nothing is said.
  rig.cut_and_restart();
  rig.wall_millis += kDay;
  EXPECT_EQ(rig.open(kOne, 1).outcome.error().code, ErrorCode::kProducersFull);
  rig.time.advance_to(rig.time.now() + (kProducerIdleSeconds + 2) * kNanosPerSecond);
  EXPECT_TRUE(rig.open(kOne, 1).outcome.has_value());
}

TEST_F(Idempotent, OnlyASnapshotHasProducers) {
  ASSERT_TRUE(rig.open(kOne, 1).outcome.has_value());
  for (const bool for_snapshot : {true, false}) {
    CellCommand describe;
    describe.for_snapshot = for_snapshot;
    ASSERT_TRUE(rig.command(describe).has_value());
    EXPECT_EQ(describe.snapshot.producers.size(), for_snapshot ? 1U : 0U);
    EXPECT_EQ(describe.snapshot.shards.size(), 1U);
  }
}

TEST_F(Idempotent, AFailedCellSaysNothingOfProducers) {
  ASSERT_TRUE(rig.open(kOne, 1).outcome.has_value());
  ASSERT_EQ(send(1), ErrorCode::kSystem);
  rig.storage.set_rates({.write_error = 1.0});
  rig.turn();
  ASSERT_EQ(send(1), ErrorCode::kSystem);
  ASSERT_EQ(send(2), ErrorCode::kSystem);
  ProducerRequest in_doubt;
  in_doubt.shard = key_of(1);
  in_doubt.producer = kOne;
  in_doubt.epoch = 1;
  rig.open(in_doubt);
  rig.turn();
  rig.run();
  EXPECT_EQ(calls[0].entry.error, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(calls[1].entry.error, ErrorCode::kUnknownOutcome) << "as what it repeats";
  EXPECT_FALSE(in_doubt.outcome.has_value());
  EXPECT_EQ(rig.open(kOne, 1).outcome.error().code, ErrorCode::kFenced);
  EXPECT_EQ(send(3), ErrorCode::kFenced);
}

TEST_F(Idempotent, ARemovedShardForgetsItsProducers) {
  ASSERT_TRUE(rig.open(kOne, 1).outcome.has_value());
  ASSERT_EQ(send(1), ErrorCode::kSystem);
  rig.turn();
  CellCommand remove;
  remove.kind = CommandKind::kTrimShard;
  remove.shard = key_of(1);
  remove.control.index = UINT64_MAX;
  rig.cell->command(remove, rig.time.now(), rig.wall());
  rig.turn();
  ASSERT_EQ(send(2), ErrorCode::kSystem) << "placed behind the removal";
  ProducerRequest later;
  later.shard = key_of(1);
  later.producer = kTwo;
  later.epoch = 1;
  rig.open(later);
  rig.run();
  EXPECT_EQ(rig.cell->find(key_of(1)), nullptr);
  EXPECT_EQ(rig.open(kOne, 1).outcome.error().code, ErrorCode::kNotFound);
  CellCommand describe;
  ASSERT_TRUE(rig.command(describe).has_value());
  EXPECT_TRUE(describe.snapshot.producers.empty());
}

// --- Over restarts ----------------------------------------------------------------------------------

// Sends batches 1, 2, 3 … with up to eight unanswered, over and over until each is answered.
class Sender {
 public:
  Sender(CellRig& rig, std::uint64_t producer) : rig_(rig), producer_(producer) {}

  void send(std::mt19937_64& random) {
    for (std::size_t n = random() % 4; n > 0; --n) {
      // Anything from the first that is not answered on, in order or once more.
      const auto sequence = static_cast<std::uint32_t>(answered_ + 1 + random() % 9);
      if (sequence > next_ || sequence > answered_ + 8) continue;
      next_ = std::max(next_, sequence + 1);
      calls_.emplace_back(++serial_, 1 + sequence % 3, text(sequence), producer_, 1, sequence);
      static_cast<void>(rig_.take(calls_.back(), key_of(1)));
    }
  }
  // What came back: it must be where the first answer said, wherever that was.
  void hear() {
    for (const BatchCall& call : calls_) {
      if (!call.entry.stored) continue;
      const auto [at, fresh] = where_.emplace(call.put.sequence, call.entry.index);
      EXPECT_EQ(at->second, call.entry.index) << call.put.sequence;
    }
    while (where_.contains(answered_ + 1)) ++answered_;
  }
  void start_over() {
    hear();
    calls_.clear();
    const ProducerRequest opened = rig_.open(producer_, 1);
    ASSERT_TRUE(opened.outcome.has_value());
    ASSERT_GE(opened.state.last_sequence, answered_) << "an answered batch is gone";
    // All that is in doubt is resolved by the window.
    ASSERT_GE(opened.state.count, opened.state.last_sequence - answered_);
    for (std::uint32_t i = 0; i < opened.state.count; ++i) {
      const std::uint32_t sequence = opened.state.last_sequence - opened.state.count + 1 + i;
      const RecordIndex first = opened.state.window[i].first;
      EXPECT_EQ(where_.emplace(sequence, first).first->second, first) << sequence;
    }
    answered_ = opened.state.last_sequence;
    next_ = answered_ + 1;
  }
  [[nodiscard]] std::uint32_t answered() const { return answered_; }
  // The batches answered, in order, at the places that were told.
  void check(const std::vector<std::string>& all) const {
    std::vector<std::string> mine;
    const std::string mark = std::to_string(producer_) + ":";
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].starts_with(mark)) mine.push_back(all[i]);
    }
    std::vector<std::string> expected;
    for (std::uint32_t s = 1; s <= answered_; ++s) {
      for (std::uint32_t i = 0; i < 1 + s % 3; ++i) {
        expected.push_back(text(s) + std::to_string(i));
      }
      ASSERT_LT(where_.at(s).raw(), all.size());
      EXPECT_EQ(all[where_.at(s).raw()], text(s) + "0") << s;
    }
    ASSERT_GE(mine.size(), expected.size());
    mine.resize(expected.size());  // the rest is not answered
    EXPECT_EQ(mine, expected);
  }

 private:
  [[nodiscard]] std::string text(std::uint32_t sequence) const {
    return std::to_string(producer_) + ":" + std::to_string(sequence) + ".";
  }
  CellRig& rig_;
  std::uint64_t producer_;
  std::uint64_t serial_ = 0;
  std::uint32_t next_ = 1;      // the first that was never sent
  std::uint32_t answered_ = 0;  // all up to here
  std::deque<BatchCall> calls_;
  std::map<std::uint32_t, RecordIndex> where_;
};

void take_snapshot(CellRig& rig) {
  CellCommand describe;
  rig.cell->command(describe, rig.time.now(), rig.wall());
  storage::Snapshot snapshot;
  snapshot.cells.push_back(describe.snapshot);
  ASSERT_TRUE(rig.store->write_snapshot(snapshot).has_value());
}

// Power goes at any completion or between; a snapshot is taken whenever, blocks in flight or not.
TEST(IdempotentCrashes, EveryBatchIsStoredOnceThroughPowerCuts) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    CellRig rig({}, 12);
    ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
    Sender one(rig, 1);
    Sender two(rig, 2);
    for (int boot = 0; boot < 6; ++boot) {
      if (boot > 0) rig.cut_and_restart();
      one.start_over();
      two.start_over();
      if (::testing::Test::HasFatalFailure()) return;
      for (std::size_t turns = 5 + random() % 60; turns > 0; --turns) {
        one.send(random);
        two.send(random);
        rig.turn();
        one.hear();
        two.hear();
        if (random() % 12 == 0) take_snapshot(rig);
        const auto next = rig.storage.next_completion();
        if (random() % 2 == 0 && next) rig.time.advance_to(std::max(*next, rig.time.now() + 1));
      }
    }
    rig.run();
    one.hear();
    two.hear();
    const std::vector<std::string> all = rig.all(key_of(1));
    one.check(all);
    two.check(all);
    EXPECT_GT(one.answered(), 10U);
  }
}

// Epochs are raised at any time, also by a second life while the first one goes on sending: whatever is
// answered is there, nothing is there twice, and no epoch has anything behind a later one's.
TEST(IdempotentCrashes, NoEpochStoresBehindALaterOne) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    CellRig rig({}, 12);
    ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
    std::deque<BatchCall> calls;
    std::deque<ProducerRequest> opens;
    std::map<std::string, RecordIndex> answered;
    std::uint32_t opened = 0;  // durably
    std::uint32_t asked = 0;
    std::uint64_t serial = 0;
    std::map<std::uint32_t, std::uint32_t> next;  // of each epoch
    const auto hear = [&] {
      for (const ProducerRequest& open : opens) {
        if (open.outcome && open.state.epoch != 0) opened = std::max(opened, open.epoch);
      }
      for (const BatchCall& call : calls) {
        if (!call.entry.stored) continue;
        const auto [at, fresh] = answered.emplace(call.texts[0], call.entry.index);
        EXPECT_EQ(at->second, call.entry.index) << call.texts[0];
      }
    };
    for (int boot = 0; boot < 5; ++boot) {
      if (boot > 0) {
        rig.cut_and_restart();
        hear();
        calls.clear();
        opens.clear();
        if (opened > 0) {
          EXPECT_EQ(rig.open(1, opened - 1).outcome.error().code, ErrorCode::kProducerFenced);
        }
      }
      for (std::size_t turns = 20 + random() % 60; turns > 0; --turns) {
        if (random() % 8 == 0 || opened == 0) {
          ProducerRequest& open = opens.emplace_back();
          open.shard = key_of(1);
          open.producer = 1;
          open.epoch = asked = std::max(opened, asked) + static_cast<std::uint32_t>(random() % 2);
          if (open.epoch == 0) open.epoch = asked = 1;
          open.outcome = fail(ErrorCode::kUnknownOutcome);
          rig.open(open);
        }
        for (std::size_t n = random() % 5; n > 0; --n) {
          const auto epoch = static_cast<std::uint32_t>(std::max<std::int64_t>(
              1, static_cast<std::int64_t>(asked) - static_cast<std::int64_t>(random() % 3)));
          std::uint32_t& first = next.try_emplace(epoch, 1).first->second;
          const auto back = static_cast<std::uint32_t>(random() % 4);
          const std::uint32_t sequence = first > back ? first - back : 1;
          calls.emplace_back(++serial, 1,
                             std::to_string(epoch) + ":" + std::to_string(sequence) + ".", 1, epoch,
                             sequence);
          if (rig.take(calls.back(), key_of(1))) first = std::max(first, sequence + 1);
        }
        rig.turn();
        hear();
        for (const BatchCall& call : calls) {  // goes back to what was refused
          std::uint32_t& first = next[call.put.epoch];
          if (!call.entry.stored && call.entry.error == ErrorCode::kSequenceGap) {
            first = std::min(first, call.put.sequence);
          }
        }
        if (random() % 12 == 0) take_snapshot(rig);
        const auto completion = rig.storage.next_completion();
        if (random() % 2 == 0 && completion) {
          rig.time.advance_to(std::max(*completion, rig.time.now() + 1));
        }
      }
    }
    rig.run();
    hear();
    const std::vector<std::string> all = rig.all(key_of(1));
    for (const auto& [text, index] : answered) EXPECT_EQ(all.at(index.raw()), text);
    std::pair<unsigned long, unsigned long> before{0, 0};
    for (const std::string& text : all) {
      const std::pair at{std::stoul(text), std::stoul(text.substr(text.find(':') + 1))};
      EXPECT_EQ(at.second, at.first == before.first ? before.second + 1 : 1U) << text;
      EXPECT_GE(at.first, before.first) << text;
      before = at;
    }
    EXPECT_GT(answered.size(), 5U);
    EXPECT_GT(opened, 5U);
  }
}

}  // namespace
}  // namespace penstock::shard
