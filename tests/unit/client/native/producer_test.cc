// Goal: each rule of PROTOCOL.md §5 that a producer has to keep. Method: one conversation for each rule, with a server
// in memory that refuses, forgets, or loses its connection at the moment that matters.
#include "tests/support/newer/newer_tables.h"
#include "tests/unit/client/native/producer_rig.h"

namespace penstock::client::native {
namespace {

using namespace test;

// Refuses the first batch that has this record, once.
auto refuse_once(std::string data, Refusal refusal) {
  return [data = std::move(data), refusal,
          done = false](const SeenPut& put) mutable -> std::optional<Refusal> {
    if (done || std::ranges::find(put.data, data) == put.data.end()) return std::nullopt;
    done = true;
    return refusal;
  };
}

TEST(Producer, StoresAndSaysWhere) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(2);
  rig.put("k", "b");
  rig.run(2);
  EXPECT_EQ(rig.stored(), "a b");
  EXPECT_EQ(rig.result("a"), "stored");
  EXPECT_EQ(rig.places["b"].index, RecordIndex(1));
  EXPECT_EQ(rig.places["b"].arrival, WallMillis(rig.server.wall_ms));
  EXPECT_EQ(rig.places["b"].shard_created_second, 1'700'000'000);
  EXPECT_EQ(rig.buffered, 0U);
  EXPECT_EQ(rig.heard(), "Hello; GetMap; OpenPut 0 epoch 1; Put 0 #1; Put 0 #2");
}

TEST(Producer, KeysGoToTheShardsThatTakeThem) {
  ProducerRig rig;
  rig.begin_with(5);
  for (int i = 0; i < 100; ++i) rig.put("key " + std::to_string(i), std::to_string(i));
  rig.run(20);
  EXPECT_EQ(rig.server.streams.at("s").all().size(), 100U);
  for (const auto& [number, shard] : rig.server.streams.at("s").shards) {
    EXPECT_GT(shard.records.size(), 5U);
  }
}

TEST(Producer, AFlushReachesWhatHasNoShardYetOrAnother) {
  ProducerSettings settings = ProducerRig::quick();
  settings.batch_records = 1'000;
  settings.linger_nanos = 3'600 * kNanosPerSecond;
  settings.deadline_nanos = 7'200 * kNanosPerSecond;
  ProducerRig rig(1, settings);
  rig.server.create("s", 1);
  rig.begin();
  rig.put("k", "before the map");
  rig.engine->flush(rig.now());
  rig.run(20);
  EXPECT_EQ(rig.result("before the map"), "stored");
  rig.put("k", "lingers");
  rig.run(20);
  EXPECT_EQ(rig.result("lingers"), "nothing");
  rig.server.split("s", 0);
  rig.engine->flush(rig.now());
  rig.run(200);
  EXPECT_EQ(rig.result("lingers"), "stored");
  rig.put("k", "lingers again");
  rig.run(20);
  EXPECT_EQ(rig.result("lingers again"), "nothing");
}

TEST(Producer, LanesThatAreIdleGiveWay) {
  ProducerRig rig;
  rig.server.lanes_max = 3;
  rig.begin_with(20);
  for (int i = 0; i < 200; ++i) rig.put("key " + std::to_string(i), std::to_string(i));
  rig.run(2'000);
  EXPECT_EQ(rig.buffered, 0U);
  EXPECT_EQ(rig.server.streams.at("s").all().size(), 200U);
  // Each for as long as it has something to send, not for a batch.
  EXPECT_LE(rig.engine->counters().lanes_opened, 60U);
}

TEST(Producer, ABatchGoesWhenItIsFullOrOldOrFlushed) {
  ProducerSettings settings = ProducerRig::quick();
  settings.batch_records = 3;
  settings.linger_nanos = 10 * kNanosPerMilli;
  ProducerRig rig(1, settings);
  rig.begin_with(1);
  rig.put({{"k", "a"}, {"k", "b"}, {"k", "c"}, {"k", "d"}});
  rig.run(2);
  EXPECT_EQ(rig.stored(), "a b c");
  rig.run(7);
  EXPECT_EQ(rig.stored(), "a b c");
  rig.run(2);
  EXPECT_EQ(rig.stored(), "a b c d");
  rig.put("k", "e");
  rig.engine->flush(rig.now());
  rig.carry();
  EXPECT_EQ(rig.stored(), "a b c d e");
}

TEST(Producer, ABatchGoesWhenItHasItsBytes) {
  ProducerSettings settings = ProducerRig::quick();
  settings.batch_records = 1000;
  settings.batch_bytes = 4096;
  settings.linger_nanos = kNanosPerSecond;
  ProducerRig rig(1, settings);
  rig.begin_with(1);
  for (int i = 0; i < 5; ++i) rig.put("k", std::string(1500, static_cast<char>('a' + i)));
  rig.run(5);
  EXPECT_EQ(rig.server.streams.at("s").shards.at(0).next, 4U);
}

TEST(Producer, HasAtMostEightBatchesUnderWay) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.server.answer_delay_nanos = [] { return 50 * kNanosPerMilli; };
  for (int i = 0; i < 30; ++i) rig.put("k", std::to_string(i));
  rig.run(10);
  EXPECT_EQ(rig.server.streams.at("s").shards.at(0).next, 8U);
  rig.run(300);
  EXPECT_EQ(rig.server.streams.at("s").shards.at(0).next, 30U);
  EXPECT_EQ(rig.result("29"), "stored");
}

TEST(Producer, SendsAgainInOrderFromTheOneThatWasThrottled) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "first");
  rig.run(2);
  rig.heard();
  rig.server.on_put = refuse_once("b", {.code = ErrorCode::kThrottled, .retry_after_ms = 100});
  for (const char* data : {"a", "b", "c", "d"}) rig.put("k", data);
  rig.run(90);
  EXPECT_EQ(rig.stored(), "first a");
  rig.run(20);
  EXPECT_EQ(rig.stored(), "first a b c d");
  EXPECT_EQ(rig.heard(), "Put 0 #2; Put 0 #3; Put 0 #4; Put 0 #5; Put 0 #3; Put 0 #4; Put 0 #5");
  EXPECT_EQ(rig.engine->counters().batches_throttled, 1U);
}

TEST(Producer, ABatchThatIsRefusedForGoodTakesNoNumber) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "first");
  rig.run(2);
  rig.server.on_put = refuse_once("b", {.code = ErrorCode::kMalformed});
  for (const char* data : {"a", "b", "c"}) rig.put("k", data);
  rig.run(100);
  EXPECT_EQ(rig.stored(), "first a c");
  EXPECT_EQ(rig.result("b"), "kMalformed");
  EXPECT_EQ(rig.server.streams.at("s").shards.at(0).producers.begin()->second.last, 3U);
}

TEST(Producer, OnlyTheRecordThatIsNamedIsRefused) {
  ProducerSettings settings = ProducerRig::quick();
  settings.batch_records = 3;
  ProducerRig rig(1, settings);
  rig.begin_with(1);
  rig.server.on_put = refuse_once("b", {.code = ErrorCode::kTooLarge, .record = 1});
  rig.put({{"k", "a"}, {"k", "b"}, {"k", "c"}});
  rig.run(100);
  EXPECT_EQ(rig.stored(), "a c");
  EXPECT_EQ(rig.result("b"), "kTooLarge");
  EXPECT_EQ(rig.result("c"), "stored");
}

TEST(Producer, ARecordBeyondTheStreamsLimitIsNotSent) {
  ProducerRig rig;
  rig.server.create("s", 1).record_bytes_max = 10;
  rig.begin();
  rig.run(5);
  rig.put("k", "much too long");
  EXPECT_EQ(rig.result("much too long"), "kTooLarge");
}

TEST(Producer, HearsAfterALossWhatWasStored) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.server.answer_delay_nanos = [] { return 50 * kNanosPerMilli; };
  for (const char* data : {"a", "b", "c"}) rig.put("k", data);
  rig.run(10);
  EXPECT_EQ(rig.stored(), "a b c");
  EXPECT_EQ(rig.result("a"), "nothing");
  rig.cut();
  rig.heard();
  rig.server.answer_delay_nanos = nullptr;
  rig.run(100);
  EXPECT_EQ(rig.result("a"), "stored");
  EXPECT_EQ(rig.places["c"].index, RecordIndex(2));
  EXPECT_EQ(rig.stored(), "a b c");
  EXPECT_EQ(rig.heard(), "Hello; GetMap; OpenPut 0 epoch 1");
}

TEST(Producer, SendsAgainWithTheSameSequencesWhatALossTook) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.lag = true;
  rig.put("k", "b");
  rig.put("k", "c");
  rig.step(kNanosPerMilli);
  rig.cut();  // before they arrive
  rig.lag = false;
  rig.heard();
  rig.run(100);
  EXPECT_EQ(rig.stored(), "a b c");
  EXPECT_EQ(rig.heard(), "Hello; GetMap; OpenPut 0 epoch 1; Put 0 #2; Put 0 #3");
}

// The old connection's bytes reach the server at any moment: before the lane is opened again, between that and what is
// sent again, or after.
TEST(Producer, ALateCopyIsNotStoredTwice) {
  std::uint64_t repeated = 0;
  for (std::int64_t late = 0; late < 100; ++late) {
    ProducerRig rig;
    rig.begin_with(1);
    rig.put("k", "a");
    rig.run(3);
    rig.lag = true;
    rig.put("k", "b");
    rig.put("k", "c");
    rig.step(kNanosPerMilli);
    rig.cut(late * kNanosPerMilli);
    rig.run(500);
    EXPECT_EQ(rig.stored(), "a b c");
    EXPECT_EQ(rig.result("c"), "stored");
    repeated += rig.engine->counters().batches_repeated;
  }
  EXPECT_GT(repeated, 0U);
}

// A full journal refuses the copy that comes now; then one is stored that has waited there since a lost connection.
TEST(Producer, ARefusedBatchInFrontOfAStoredOneIsStored) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  bool placed = false;
  rig.server.on_put = [&](const SeenPut& seen) -> std::optional<Refusal> {
    if (seen.data.front() != "b" || placed) return std::nullopt;
    placed = true;
    FakeShard& shard = rig.server.streams.at("s").shards.at(0);
    FakeShard::Producer& producer = shard.producers.begin()->second;
    shard.records.emplace_back("k", "b");
    producer.window.push_back({shard.next++, rig.server.wall_ms});
    producer.last = seen.sequence;
    return Refusal{.code = ErrorCode::kJournalFull, .retry_after_ms = 50};
  };
  rig.lag = true;
  rig.put("k", "b");
  rig.put("k", "c");
  rig.step(kNanosPerMilli);
  rig.cut();  // before they arrive
  rig.lag = false;
  rig.run(1'000);
  EXPECT_TRUE(placed);
  EXPECT_EQ(rig.stored(), "a b c");
  EXPECT_EQ(rig.result("b"), "stored");
  EXPECT_EQ(rig.places["b"].index, RecordIndex(1));
}

// The first was refused and gave up; those behind it were on their way when the connection was lost. With the first's
// sequence they could be stored twice: once a late copy, with its own.
TEST(Producer, BehindAGapThoseInDoubtGoInANewEpoch) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "first");
  rig.run(3);
  int answers = 0;
  rig.server.answer_delay_nanos = [&answers] { return answers++ == 0 ? 0 : kNanosPerSecond; };
  rig.server.on_put = refuse_once("a", {.code = ErrorCode::kThrottled, .retry_after_ms = 1'000});
  rig.patience = 100 * kNanosPerMilli;
  rig.put("k", "a");
  rig.patience = 30 * kNanosPerSecond;
  rig.put("k", "b");
  rig.put("k", "c");
  rig.run(10);
  rig.server.answer_delay_nanos = nullptr;
  rig.cut();
  rig.heard();
  rig.run(2'000);
  EXPECT_EQ(rig.result("a"), "kDeadline");
  EXPECT_EQ(rig.stored(), "first b c");
  EXPECT_EQ(rig.heard(),
            "Hello; GetMap; OpenPut 0 epoch 1; Reset; OpenPut 0 epoch 2; Put 0 #1; Put 0 #2");
}

TEST(Producer, DoubtThatLastsLongerThanTheServerRemembersStaysUnknown) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.lag = true;
  rig.put("k", "b");
  rig.step(kNanosPerMilli);
  rig.reachable = false;
  rig.cut();
  rig.lag = false;
  for (int i = 0; i < 15 * 60; ++i) rig.step(kNanosPerSecond);
  rig.server.forget_producers();
  rig.reachable = true;
  rig.put("k", "c");
  rig.run(6'000);
  EXPECT_EQ(rig.result("b"), "kUnknownOutcome");
  EXPECT_EQ(rig.stored(), "a c");
}

TEST(Producer, ACloseMovesWhatIsNotStoredToTheChildrenInOrder) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.heard();
  rig.server.split("s", 0);
  // Before the new map is here.
  for (const char* data : {"b", "c", "d"}) rig.put("k", data);
  rig.run(200);
  EXPECT_EQ(rig.stored(), "a b c d");
  EXPECT_EQ(rig.result("d"), "stored");
  EXPECT_NE(rig.places["d"].shard, ShardNumber(0));
  EXPECT_EQ(rig.engine->lanes(), 1U);
}

TEST(Producer, NewRecordsWaitBehindWhatTheParentHasLeft) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.server.answer_delay_nanos = [] { return 100 * kNanosPerMilli; };
  rig.put("k", "b");
  rig.step(kNanosPerMilli);
  rig.server.split("s", 0);
  rig.put("k", "c");
  rig.run(20);
  rig.put("k", "d");  // the map shows the children, the parent is not resolved
  rig.run(20);
  EXPECT_EQ(rig.stored(), "a b");
  rig.run(1000);
  EXPECT_EQ(rig.stored(), "a b c d");
}

TEST(Producer, AfterALossAParentIsResolvedBeforeItsChildren) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "first");
  rig.run(3);
  rig.server.answer_delay_nanos = [] { return 50 * kNanosPerMilli; };
  rig.put("k", "a");
  rig.step(kNanosPerMilli);
  rig.lag = true;
  rig.put("k", "b");
  rig.step(kNanosPerMilli);
  rig.cut();
  rig.server.split("s", 0);
  rig.lag = false;
  rig.server.answer_delay_nanos = nullptr;
  rig.heard();
  rig.run(100);
  EXPECT_EQ(rig.stored(), "first a b");
  EXPECT_EQ(rig.result("a"), "stored");
  EXPECT_EQ(rig.places["a"].shard, ShardNumber(0));
  EXPECT_NE(rig.places["b"].shard, ShardNumber(0));
  const std::string heard = rig.heard();
  EXPECT_NE(heard.find("OpenPut 0 epoch 1"), std::string::npos) << heard;
  EXPECT_EQ(heard.find("Put 0 #"), std::string::npos) << heard;
}

TEST(Producer, AMergedShardTakesTheRestOfBothParents) {
  ProducerRig rig;
  rig.begin_with(2);
  for (int i = 0; i < 20; ++i) rig.put("key " + std::to_string(i % 7), std::to_string(i));
  rig.run(5);
  rig.server.merge("s", 0, 1);
  for (int i = 20; i < 40; ++i) rig.put("key " + std::to_string(i % 7), std::to_string(i));
  rig.run(300);
  std::map<std::string, int> last;
  for (const auto& [key, data] : rig.server.streams.at("s").all()) {
    EXPECT_GT(std::stoi(data) + 1, last[key]);
    last[key] = std::stoi(data) + 1;
  }
  EXPECT_EQ(rig.server.streams.at("s").all().size(), 40U);
}

TEST(Producer, WhatIsInDoubtWithAForgetfulServerIsUnknownAndNotSentAgain) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.lag = true;
  rig.put("k", "b");
  rig.step(kNanosPerMilli);
  rig.cut();
  rig.lag = false;
  rig.server.forget_producers();
  rig.put("k", "c");
  rig.run(200);
  EXPECT_EQ(rig.result("b"), "kUnknownOutcome");
  EXPECT_EQ(rig.result("c"), "stored");
  EXPECT_EQ(rig.stored(), "a c");
}

// Nothing has been answered yet that such a server could contradict.
TEST(Producer, TheFirstBatchInDoubtWithAForgetfulServerIsNotStoredTwice) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.server.answer_delay_nanos = [] { return 50 * kNanosPerMilli; };
  rig.put("k", "a");
  rig.run(3);
  rig.cut();
  rig.server.forget_producers();
  rig.put("k", "b");
  rig.run(300);
  EXPECT_EQ(rig.result("a"), "kUnknownOutcome");
  EXPECT_EQ(rig.result("b"), "stored");
  EXPECT_EQ(rig.stored(), "a b");
}

TEST(Producer, WhatAForgetfulServerRefusesGoesUnderANewName) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.server.forget_producers();
  rig.put("k", "b");
  rig.run(100);
  EXPECT_EQ(rig.result("b"), "stored");
  EXPECT_EQ(rig.stored(), "a b");
  EXPECT_EQ(rig.server.streams.at("s").shards.at(0).producers.size(), 1U);
}

TEST(Producer, AFencedProducerStaysSo) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  for (auto& [id, producer] : rig.server.streams.at("s").shards.at(0).producers) producer.epoch = 2;
  rig.put("k", "b");
  rig.run(3);
  rig.put("k", "c");
  EXPECT_EQ(rig.result("b"), "kProducerFenced");
  EXPECT_EQ(rig.result("c"), "kProducerFenced");
  EXPECT_EQ(rig.stored(), "a");
}

TEST(Producer, OpensTheNextEpochBeforeSequencesWrap) {
  ProducerSettings settings = ProducerRig::quick();
  settings.sequence_max = 3;
  ProducerRig rig(1, settings);
  rig.begin_with(1);
  std::string all;
  for (int i = 0; i < 10; ++i) {
    rig.put("k", std::to_string(i));
    all += (i == 0 ? "" : " ") + std::to_string(i);
  }
  rig.run(50);
  EXPECT_EQ(rig.stored(), all);
  EXPECT_EQ(rig.server.streams.at("s").shards.at(0).producers.begin()->second.epoch, 4U);
}

TEST(Producer, AnUnknownOutcomeIsResolvedByOpeningAgain) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.server.on_put = refuse_once("b", {.code = ErrorCode::kUnknownOutcome});
  rig.heard();
  rig.put("k", "b");
  rig.put("k", "c");
  rig.run(200);
  EXPECT_EQ(rig.stored(), "a b c");
  EXPECT_EQ(rig.heard(), "Put 0 #2; Put 0 #3; Reset; OpenPut 0 epoch 1; Put 0 #2; Put 0 #3");
}

TEST(Producer, WhatIsNeverSentFailsCertainly) {
  ProducerSettings settings = ProducerRig::quick();
  settings.deadline_nanos = kNanosPerSecond;
  ProducerRig rig(1, settings);
  rig.begin_with(1);
  rig.reachable = false;
  rig.cut();
  rig.put("k", "a");
  rig.run(999);
  EXPECT_EQ(rig.result("a"), "nothing");
  rig.run(2);
  EXPECT_EQ(rig.result("a"), "kDeadline");
  EXPECT_EQ(rig.buffered, 0U);
  rig.reachable = true;
  rig.run(5'000);
  EXPECT_EQ(rig.stored(), "");
}

TEST(Producer, AnOpeningOfUnknownOutcomeIsTriedAgain) {
  ProducerRig rig;
  rig.server.create("s", 1);
  int openings = 0;
  rig.server.on_open_put = [&](const proto::OpenPut&) -> std::optional<Refusal> {
    if (++openings % 2 == 0) return std::nullopt;
    return Refusal{.code = ErrorCode::kUnknownOutcome};
  };
  rig.begin();
  rig.put("k", "a");
  rig.run(200);
  EXPECT_EQ(rig.result("a"), "stored");
  // And with a batch in doubt.
  rig.server.on_put = refuse_once("b", {.code = ErrorCode::kUnknownOutcome});
  rig.put("k", "b");
  rig.run(300);
  EXPECT_EQ(rig.result("b"), "stored");
  EXPECT_EQ(rig.stored(), "a b");
  EXPECT_EQ(openings, 4);
}

TEST(Producer, NoClockMakesANewDoubtAnOldOne) {
  ProducerRig rig;
  rig.clock.at = Nanos(3600 * kNanosPerSecond);
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.server.on_put = refuse_once("b", {.code = ErrorCode::kUnknownOutcome});
  rig.put("k", "b");
  rig.run(200);
  EXPECT_EQ(rig.result("b"), "stored");
  // And once more, long after a lane has ended.
  rig.cut();
  for (int i = 0; i < 15 * 60; ++i) rig.step(kNanosPerSecond);
  rig.server.on_put = refuse_once("c", {.code = ErrorCode::kUnknownOutcome});
  rig.put("k", "c");
  rig.run(200);
  EXPECT_EQ(rig.result("c"), "stored");
  EXPECT_EQ(rig.stored(), "a b c");
}

TEST(Producer, WhatIsInDoubtAtItsDeadlineIsUnknownAndKeepsItsSequence) {
  ProducerSettings settings = ProducerRig::quick();
  settings.deadline_nanos = kNanosPerSecond;
  ProducerRig rig(1, settings);
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.lag = true;
  rig.put("k", "b");
  rig.step(kNanosPerMilli);
  rig.reachable = false;
  rig.cut();
  rig.lag = false;
  rig.run(1'100);
  EXPECT_EQ(rig.result("b"), "kUnknownOutcome");
  rig.put("k", "c");
  rig.reachable = true;
  rig.run(900);
  if (rig.result("c") == "nothing") rig.run(5'000);
  EXPECT_EQ(rig.stored(), rig.result("c") == "stored" ? "a b c" : "a b");
  EXPECT_EQ(rig.result("b"), "kUnknownOutcome");
}

TEST(Producer, RecordsWaitForAStreamThatIsToCome) {
  ProducerRig rig;
  rig.begin();
  rig.put("k", "a");
  rig.run(300);
  rig.server.create("s", 2);
  rig.run(200);
  EXPECT_EQ(rig.stored(), "a");
}

TEST(Producer, AStreamThatDoesNotComeIsNotFound) {
  ProducerSettings settings = ProducerRig::quick();
  settings.deadline_nanos = kNanosPerSecond;
  ProducerRig rig(1, settings);
  rig.begin();
  rig.put("k", "a");
  rig.run(1'100);
  EXPECT_EQ(rig.result("a"), "kNotFound");
}

TEST(Producer, AStreamThatIsMadeAnewLeavesTheOldOnesDoubtUnknown) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.lag = true;
  rig.put("k", "a");
  rig.step(kNanosPerMilli);
  rig.step(kNanosPerMilli);
  rig.cut();
  rig.lag = false;
  rig.put("k", "b");
  rig.server.create("s", 1);
  rig.run(100);
  EXPECT_EQ(rig.stored().substr(rig.stored().size() - 1), "b");
  EXPECT_NE(rig.result("a"), "nothing");
  EXPECT_EQ(rig.result("b"), "stored");
}

TEST(Producer, AServerOfALaterVersionIsAsGood) {
  ProducerRig rig;
  rig.server.rewrite = [](proto::MessageKind kind, std::span<const std::byte> table) {
    return penstock::test::remade(kind, table);
  };
  rig.begin_with(3);
  rig.server.on_put = refuse_once("b", {.code = ErrorCode::kThrottled, .retry_after_ms = 10});
  for (const char* data : {"a", "b", "c"}) rig.put("k", data);
  rig.run(100);
  rig.lag = true;
  rig.put("k", "d");
  rig.step(kNanosPerMilli);
  rig.cut();
  rig.lag = false;
  for (std::uint32_t shard = 0; shard < 3; ++shard) rig.server.split("s", shard);
  rig.put("k", "e");
  rig.run(500);
  EXPECT_EQ(rig.stored(), "a b c d e");
  for (const char* data : {"a", "b", "c", "d", "e"}) EXPECT_EQ(rig.result(data), "stored") << data;
}

// A stream in a state that this client does not know takes records, as long as the server does.
TEST(Producer, AStateOfLaterIsNoObstacle) {
  ProducerRig rig;
  rig.server.rewrite = [](proto::MessageKind kind, std::span<const std::byte> table) {
    if (kind != proto::MessageKind::kMap) return penstock::test::remade(kind, table);
    return penstock::test::remade<newer::ShardMap>(
        table, [](newer::ShardMapT& map) { map.state = newer::StreamState::Later; });
  };
  rig.begin_with(2);
  rig.put("k", "a");
  rig.run(10);
  EXPECT_EQ(rig.result("a"), "stored");
}

TEST(Producer, AnErrorOfLaterIsTheRecordsResult) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.server.on_put = refuse_once("b", {.code = static_cast<ErrorCode>(4999)});
  for (const char* data : {"a", "b", "c"}) rig.put("k", data);
  rig.run(100);
  EXPECT_EQ(rig.result("b"), "kUnknown");  // its name: there is none
  EXPECT_EQ(rig.stored(), "a c");
}

// --- Without idempotence --------------------------------------------------------------------------

ProducerSettings plain() {
  ProducerSettings settings = ProducerRig::quick();
  settings.idempotent = false;
  return settings;
}

TEST(PlainProducer, LeavesNothingBehindButItsRecords) {
  ProducerRig rig(1, plain());
  rig.begin_with(1);
  std::vector<SeenPut> seen;
  rig.server.on_put = [&](const SeenPut& put) -> std::optional<Refusal> {
    seen.push_back(put);
    return std::nullopt;
  };
  rig.server.answer_delay_nanos = [] { return 50 * kNanosPerMilli; };
  for (int i = 0; i < 10; ++i) rig.put("k", std::to_string(i));
  rig.run(10);
  EXPECT_EQ(rig.stored(), "0 1 2 3 4 5 6 7");  // side by side
  rig.run(200);
  EXPECT_EQ(rig.stored(), "0 1 2 3 4 5 6 7 8 9");
  EXPECT_EQ(rig.result("9"), "stored");
  EXPECT_EQ(rig.places["9"].index, RecordIndex(9));
  EXPECT_TRUE(rig.server.streams.at("s").shards.at(0).producers.empty());
  for (const SeenPut& put : seen) {
    EXPECT_EQ(put.producer, 0U);
    EXPECT_EQ(put.epoch, 0U);
    EXPECT_EQ(put.sequence, 0U);
  }
  EXPECT_EQ(rig.engine->counters().batches_repeated, 0U);
}

TEST(PlainProducer, SendsAgainWhatGotNoAnswerAndMayStoreItTwice) {
  ProducerRig rig(1, plain());
  rig.begin_with(1);
  rig.server.answer_delay_nanos = [] { return 50 * kNanosPerMilli; };
  for (const char* data : {"a", "b"}) rig.put("k", data);
  rig.run(10);
  rig.cut();
  rig.server.answer_delay_nanos = nullptr;
  rig.put("k", "c");
  rig.run(100);
  EXPECT_EQ(rig.stored(), "a b a b c");
  for (const char* data : {"a", "b", "c"}) EXPECT_EQ(rig.result(data), "stored") << data;
  EXPECT_EQ(rig.places["a"].index, RecordIndex(2));  // the copy that was answered
  EXPECT_EQ(rig.engine->counters().batches_repeated, 2U);
}

TEST(PlainProducer, SendsAgainOnTheSameLaneWhatTheServerDoesNotKnow) {
  ProducerRig rig(1, plain());
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.server.on_put = refuse_once("b", {.code = ErrorCode::kUnknownOutcome});
  rig.heard();
  for (const char* data : {"b", "c"}) rig.put("k", data);
  rig.run(200);
  EXPECT_EQ(rig.stored(), "a c b");  // behind what was on its way
  EXPECT_EQ(rig.heard(), "Put 0 #0; Put 0 #0; Put 0 #0");
}

// Only the one that is refused is sent again: those behind it were taken.
TEST(PlainProducer, WhatIsThrottledMayComeBehindLaterOnes) {
  ProducerRig rig(1, plain());
  rig.begin_with(1);
  rig.server.on_put = refuse_once("b", {.code = ErrorCode::kThrottled, .retry_after_ms = 100});
  for (const char* data : {"a", "b", "c"}) rig.put("k", data);
  rig.run(50);
  rig.put("k", "d");
  rig.run(40);
  EXPECT_EQ(rig.stored(), "a c");  // what was not on its way waits
  rig.run(50);
  EXPECT_EQ(rig.stored(), "a c b d");
  EXPECT_EQ(rig.engine->counters().batches_repeated, 0U);
}

TEST(PlainProducer, DoubtThatIsNotResolvedByTheDeadlineIsUnknown) {
  ProducerSettings settings = plain();
  settings.deadline_nanos = kNanosPerSecond;
  ProducerRig rig(1, settings);
  rig.begin_with(1);
  rig.put("k", "first");
  rig.run(3);
  rig.lag = true;
  rig.put("k", "a");
  rig.step(kNanosPerMilli);
  rig.reachable = false;
  rig.cut();
  rig.lag = false;
  rig.put("k", "b");
  rig.run(1'100);
  EXPECT_EQ(rig.result("a"), "kUnknownOutcome");
  EXPECT_EQ(rig.result("b"), "kDeadline");
  rig.reachable = true;
  rig.run(5'000);
  EXPECT_EQ(rig.stored(), "first");  // who has heard that is not to be surprised
}

// What refuses the second copy says nothing of the first.
TEST(PlainProducer, ARefusalOfACopyIsNoCertainty) {
  ProducerRig rig(1, plain());
  rig.begin_with(1);
  rig.server.answer_delay_nanos = [] { return 50 * kNanosPerMilli; };
  rig.put("k", "a");
  rig.run(10);
  rig.cut();
  rig.server.answer_delay_nanos = nullptr;
  rig.server.on_put = refuse_once("a", {.code = ErrorCode::kTooLarge});
  rig.run(100);
  EXPECT_EQ(rig.stored(), "a");
  EXPECT_EQ(rig.result("a"), "kUnknownOutcome");
}

TEST(PlainProducer, WhatIsInDoubtWhereItsShardClosesGoesOnToTheChildrenAndStaysInDoubt) {
  ProducerRig rig(1, plain());
  rig.begin_with(1);
  rig.server.answer_delay_nanos = [] { return 50 * kNanosPerMilli; };
  rig.put("k", "a");
  rig.run(10);
  rig.cut();
  rig.server.split("s", 0);
  rig.server.answer_delay_nanos = nullptr;
  rig.server.on_put = [](const SeenPut& put) -> std::optional<Refusal> {
    if (put.shard == 0) return std::nullopt;
    return Refusal{.code = ErrorCode::kThrottled, .retry_after_ms = 10};
  };
  rig.put("k", "b");
  rig.run(500);
  EXPECT_EQ(rig.result("a"), "nothing");
  rig.engine->stop(ErrorCode::kStopping);
  EXPECT_EQ(rig.stored(), "a");
  EXPECT_EQ(rig.result("a"), "kUnknownOutcome");
  EXPECT_GT(rig.engine->counters().batches_repeated, 0U);
}

TEST(PlainProducer, ACloseMovesWhatIsNotStoredToTheChildrenInOrder) {
  ProducerRig rig(1, plain());
  rig.begin_with(1);
  rig.put("k", "a");
  rig.run(3);
  rig.server.split("s", 0);
  for (const char* data : {"b", "c", "d"}) rig.put("k", data);
  rig.run(200);
  EXPECT_EQ(rig.stored(), "a b c d");
  EXPECT_NE(rig.places["d"].shard, ShardNumber(0));
  EXPECT_EQ(rig.engine->lanes(), 1U);
}

TEST(PlainProducer, NoSilenceIsTooLong) {
  ProducerSettings settings = plain();
  settings.deadline_nanos = 3'600 * kNanosPerSecond;
  ProducerRig rig(1, settings);
  rig.begin_with(1);
  rig.put("k", "first");
  rig.run(3);
  rig.lag = true;
  rig.put("k", "a");
  rig.step(kNanosPerMilli);
  rig.reachable = false;
  rig.cut();
  rig.lag = false;
  for (int i = 0; i < 15 * 60; ++i) rig.step(kNanosPerSecond);  // longer than producers are known
  rig.reachable = true;
  rig.run(6'000);
  EXPECT_EQ(rig.stored(), "first a");
  EXPECT_EQ(rig.result("a"), "stored");
}

// --- In the end -----------------------------------------------------------------------------------

TEST(Producer, SaysOfEverythingWhatBecameOfItWhenItStops) {
  ProducerRig rig;
  rig.begin_with(1);
  rig.server.answer_delay_nanos = [] { return kNanosPerSecond; };
  for (int i = 0; i < 10; ++i) rig.put("k", std::to_string(i));
  rig.run(5);
  rig.engine->stop(ErrorCode::kStopping);
  EXPECT_EQ(rig.result("0"), "kUnknownOutcome");
  EXPECT_EQ(rig.result("9"), "kStopping");
  EXPECT_EQ(rig.buffered, 0U);
}

}  // namespace
}  // namespace penstock::client::native
