// Goal: an entry is acknowledged when it is durable and never before, in the order in which it was
// taken, and every other outcome is said once. Method: one cell on the simulated disk, turn by turn.
#include "cell_rig.h"

#include <algorithm>
#include <deque>

namespace penstock::shard {
namespace {

constexpr Nanos kNever(INT64_MAX);

TEST(Cell, AcknowledgesWhatIsDurableAndNothingBefore) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  Call call(1, 3, "a", kNever);
  ASSERT_EQ(rig.take(call, key_of(1)), 3U);
  rig.turn();  // the block is under way
  EXPECT_TRUE(rig.settled_entries.empty());
  EXPECT_EQ(rig.cell->find(key_of(1))->visible, RecordIndex(0));
  EXPECT_EQ(rig.cell->find(key_of(1))->next, RecordIndex(3));
  rig.run();
  ASSERT_EQ(rig.settled_entries.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(call.entries[i].stored);
    EXPECT_EQ(call.entries[i].index, RecordIndex(i));
  }
  EXPECT_EQ(rig.all(key_of(1)), call.texts);
  rig.cut_and_restart();
  EXPECT_EQ(rig.all(key_of(1)), call.texts);
}

TEST(Cell, KeepsTheOrderInWhichItTook) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(2)).has_value());
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<std::string> expected[2];
  for (std::uint64_t serial = 1; serial <= 60; ++serial) {
    calls.push_back(
        std::make_unique<Call>(serial, 1 + serial % 7, std::to_string(serial) + ":", kNever));
    const std::uint32_t shard = serial % 2;
    ASSERT_EQ(rig.take(*calls.back(), key_of(1 + shard)), calls.back()->entries.size());
    std::ranges::copy(calls.back()->texts, std::back_inserter(expected[shard]));
    if (serial % 3 == 0) rig.turn();  // several blocks are in flight at once
  }
  rig.run();
  EXPECT_EQ(rig.all(key_of(1)), expected[0]);
  EXPECT_EQ(rig.all(key_of(2)), expected[1]);
  EXPECT_EQ(rig.settled_entries.size(), expected[0].size() + expected[1].size());
}

TEST(Cell, LimitsRefuseWhatIsAboveAndTheRestOfThatCall) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  rig.cell->find(key_of(1))->set_limits({.write_bytes = 1'000'000, .write_records = 10},
                                        rig.time.now());
  Call call(1, 30, "x", kNever);
  const std::size_t taken = rig.take(call, key_of(1));
  EXPECT_LT(taken, 30U);
  EXPECT_GE(taken, 10U);
  EXPECT_EQ(call.entries[taken].error, ErrorCode::kThrottled);
  for (std::size_t i = taken + 1; i < 30; ++i) {
    EXPECT_EQ(call.entries[i].error, ErrorCode::kThrottledInCall) << i;
  }
  EXPECT_EQ(rig.cell->counters().records_throttled, call.entries.size() - taken);
  EXPECT_EQ(rig.cell->counters().records_refused, 0U);
  rig.run();
  EXPECT_EQ(rig.all(key_of(1)).size(), taken);
  // A second later there is room again.
  rig.time.advance_to(rig.time.now() + 2 * kNanosPerSecond);
  Call later(2, 5, "y", kNever);
  EXPECT_EQ(rig.take(later, key_of(1)), 5U);
  rig.run();
}

TEST(Cell, AClosedShardSendsItsPendingEntriesElsewhereAndSaysWhereItEnds) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  Call in_flight(1, 2, "a", kNever);
  ASSERT_EQ(rig.take(in_flight, key_of(1)), 2U);
  rig.turn();
  Call pending(2, 3, "b", kNever);
  ASSERT_EQ(rig.take(pending, key_of(1)), 3U);
  CellCommand close;
  close.kind = CommandKind::kCloseShard;
  close.shard = key_of(1);
  close.control.catalogue_version = 2;
  ASSERT_TRUE(rig.command(close).has_value());
  EXPECT_EQ(close.control.index, 2U);
  for (const PutEntry& entry : in_flight.entries) EXPECT_TRUE(entry.stored);
  for (const PutEntry& entry : pending.entries) {
    EXPECT_FALSE(entry.stored);
    EXPECT_EQ(entry.error, ErrorCode::kWrongShard);
  }
  Call late(3, 1, "c", kNever);
  EXPECT_EQ(rig.take(late, key_of(1)), 0U);
  EXPECT_EQ(late.entries[0].error, ErrorCode::kWrongShard);
  TextSink sink;
  EXPECT_TRUE(rig.read(key_of(1), ReadStart::kTrimHorizon, sink).at_end);
  EXPECT_EQ(sink.texts, in_flight.texts);
  rig.cut_and_restart();
  EXPECT_EQ(rig.cell->find(key_of(1))->life, ShardLife::kClosed);
}

// What met a closed shard comes again under the serial of its call.
TEST(Cell, AShardThatOpensAgainTakesWhatItTurnedAwayWhileItWasClosed) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  ASSERT_TRUE(rig.command(CommandKind::kCloseShard, key_of(1), 2).has_value());
  Call call(1, 3, "a", kNever);
  ASSERT_EQ(rig.take(call, key_of(1)), 0U);
  for (const PutEntry& entry : call.entries) EXPECT_EQ(entry.error, ErrorCode::kWrongShard);
  EXPECT_EQ(rig.cell->counters().records_refused, 0U) << "nobody was told so";
  ASSERT_TRUE(rig.command(CommandKind::kReopenShard, key_of(1), 3).has_value());
  EXPECT_EQ(rig.take(call, key_of(1)), 3U);
  rig.run();
  EXPECT_EQ(rig.all(key_of(1)), call.texts);
}

TEST(Cell, AFailedWriteLeavesOutcomesUnknownAndTheRestReadable) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  Call good(1, 2, "a", kNever);
  ASSERT_EQ(rig.take(good, key_of(1)), 2U);
  rig.run();
  rig.storage.set_rates({.write_error = 1.0});
  Call bad(2, 2, "b", kNever);
  ASSERT_EQ(rig.take(bad, key_of(1)), 2U);
  rig.run();
  EXPECT_TRUE(rig.cell->fenced());
  for (const PutEntry& entry : bad.entries) {
    EXPECT_FALSE(entry.stored);
    EXPECT_EQ(entry.error, ErrorCode::kUnknownOutcome);
  }
  Call after(3, 1, "c", kNever);
  EXPECT_EQ(rig.take(after, key_of(1)), 0U);
  EXPECT_EQ(after.entries[0].error, ErrorCode::kFenced);
  EXPECT_EQ(rig.all(key_of(1)), good.texts);
  // A shard whose opening could not be stored: later, not never, and said at once.
  const Result<> opened = rig.command(CommandKind::kOpenShard, key_of(2));
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kFenced);
  TextSink sink;
  const ReadRequest missing = rig.read(key_of(2), ReadStart::kTrimHorizon, sink);
  ASSERT_FALSE(missing.outcome.has_value());
  EXPECT_EQ(missing.outcome.error().code, ErrorCode::kFenced);
  Call unopened(4, 1, "d", kNever);
  EXPECT_EQ(rig.take(unopened, key_of(2)), 0U);
  EXPECT_EQ(unopened.entries[0].error, ErrorCode::kFenced) << "no map will be newer";
}

TEST(Cell, AFullBlockThatWaitsIsNoWork) {
  drivers::SimStorageOptions slow;
  slow.write_nanos_min = slow.write_nanos_max = kNanosPerSecond;
  CellRig rig(slow);
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(2)).has_value());
  std::deque<Call> calls;
  for (std::uint64_t serial = 1; serial <= 4; ++serial) {  // as many blocks as may be in flight
    calls.emplace_back(serial, 1, "a", kNever);
    ASSERT_EQ(rig.take(calls.back(), key_of(1)), 1U);
    EXPECT_GT(rig.cell->place(rig.time.now(), rig.wall()), 0U);
  }
  for (const std::uint32_t shard : {1U, 2U}) {  // more than the next one holds
    calls.emplace_back(4 + shard, 500, std::string(1000, 'b'), kNever);
    ASSERT_EQ(rig.take(calls.back(), key_of(shard)), 500U);
  }
  EXPECT_GT(rig.cell->place(rig.time.now(), rig.wall()), 0U);
  const RecordIndex next[2] = {rig.cell->find(key_of(1))->next, rig.cell->find(key_of(2))->next};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(rig.cell->place(rig.time.now(), rig.wall()), 0U);
  EXPECT_EQ(rig.cell->find(key_of(1))->next, next[0]);
  EXPECT_EQ(rig.cell->find(key_of(2))->next, next[1]);
  rig.run();
  for (const Call& call : calls) {
    for (const PutEntry& entry : call.entries) ASSERT_TRUE(entry.stored);
  }
  EXPECT_EQ(rig.all(key_of(1)).size(), 504U);
  EXPECT_EQ(rig.all(key_of(2)), calls.back().texts);
}

// Four blocks are in flight, a fifth is filled and waits: the disk never saw that one.
TEST(Cell, AFenceTellsWhatWasWrittenPerhapsFromWhatSurelyWasNot) {
  drivers::SimStorageOptions slow;
  slow.write_nanos_min = slow.write_nanos_max = kNanosPerSecond;
  CellRig rig(slow);
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  rig.storage.set_rates({.write_error = 1.0});
  std::deque<Call> flying;
  for (std::uint64_t serial = 1; serial <= 4; ++serial) {
    flying.emplace_back(serial, 1, "a", kNever);
    ASSERT_EQ(rig.take(flying.back(), key_of(1)), 1U);
    EXPECT_GT(rig.cell->place(rig.time.now(), rig.wall()), 0U);
  }
  Call waiting(5, 1200, std::string(1000, 'b'), kNever);
  ASSERT_EQ(rig.take(waiting, key_of(1)), 1200U);
  EXPECT_GT(rig.cell->place(rig.time.now(), rig.wall()), 0U);
  EXPECT_GT(rig.cell->find(key_of(1))->next.raw(), 5U) << "some of them stand in the open block";
  rig.run();
  EXPECT_TRUE(rig.cell->fenced());
  for (const Call& call : flying) EXPECT_EQ(call.entries[0].error, ErrorCode::kUnknownOutcome);
  for (const PutEntry& entry : waiting.entries) {
    EXPECT_FALSE(entry.stored);
    EXPECT_EQ(entry.error, ErrorCode::kFenced);
  }
  EXPECT_EQ(rig.cell->counters().records_unknown, 4U);
  EXPECT_EQ(rig.cell->counters().records_refused, 1200U);
  rig.storage.set_rates({});
  rig.cut_and_restart();
  for (const std::string& text : rig.all(key_of(1))) EXPECT_EQ(text.substr(0, 1), "a");
}

// A slow device: many turns pass between two blocks.
TEST(Cell, WhatComesWhileBlocksMustWaitIsOneFrame) {
  drivers::SimStorageOptions slow;
  slow.write_nanos_min = slow.write_nanos_max = 4 * kNanosPerMilli;
  CellRig rig(slow);
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  const storage::JournalMetrics before = rig.cell->journal_metrics();
  std::deque<Call> calls;
  std::vector<std::string> expected;
  for (std::uint64_t serial = 1; serial <= 1000; ++serial) {
    calls.emplace_back(serial, 1, std::string(300, 'a') + std::to_string(serial), kNever);
    ASSERT_EQ(rig.take(calls.back(), key_of(1)), 1U);
    expected.push_back(calls.back().texts[0]);
    rig.turn();
    rig.time.advance_to(rig.time.now() + 20'000);
  }
  rig.run();
  EXPECT_EQ(rig.all(key_of(1)), expected);
  const storage::JournalMetrics after = rig.cell->journal_metrics();
  EXPECT_EQ(after.frames - before.frames, after.blocks - before.blocks);
}

// Of a cell whose pending entries leave it in each way there is: what counts them is right again, and
// so the next ones wait for a block to leave, or not, as before.
TEST(Cell, WhatDoesNotWaitAnyMoreIsNotCounted) {
  drivers::SimStorageOptions slow;
  slow.write_nanos_min = slow.write_nanos_max = 10 * kNanosPerSecond;
  CellRig rig(slow);
  for (const std::uint32_t shard : {1U, 2U}) {
    ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(shard)).has_value());
  }
  std::deque<Call> calls;
  for (std::uint64_t serial = 1; serial <= 4; ++serial) {
    calls.emplace_back(serial, 1, "a", kNever);
    ASSERT_EQ(rig.take(calls.back(), key_of(1)), 1U);
    EXPECT_GT(rig.cell->place(rig.time.now(), rig.wall()), 0U);
  }
  const std::string text(1000, 'b');
  // Those that are late, and those of a shard that closes.
  const Nanos deadline = rig.time.now() + kNanosPerSecond;
  calls.emplace_back(5, 100, text, deadline);
  ASSERT_EQ(rig.take(calls.back(), key_of(1)), 100U);
  rig.time.advance_to(deadline + 1);
  rig.cell->expire(rig.time.now());
  EXPECT_EQ(rig.settled_entries.size(), 100U);
  calls.emplace_back(6, 100, text, kNever);
  ASSERT_EQ(rig.take(calls.back(), key_of(2)), 100U);
  CellCommand close;
  close.kind = CommandKind::kCloseShard;
  close.shard = key_of(2);
  close.control.catalogue_version = 2;
  rig.cell->command(close, rig.time.now(), rig.wall());
  EXPECT_EQ(rig.settled_entries.size(), 200U);
  // Less than a block.
  calls.emplace_back(7, 100, text, kNever);
  ASSERT_EQ(rig.take(calls.back(), key_of(1)), 100U);
  static_cast<void>(rig.cell->place(rig.time.now(), rig.wall()));
  EXPECT_EQ(rig.cell->find(key_of(1))->next, RecordIndex(4));
  // More than a block: what is above that is placed.
  calls.emplace_back(8, 50, text, kNever);
  ASSERT_EQ(rig.take(calls.back(), key_of(1)), 50U);
  static_cast<void>(rig.cell->place(rig.time.now(), rig.wall()));
  EXPECT_GT(rig.cell->find(key_of(1))->next, RecordIndex(4));
  rig.run();
  EXPECT_EQ(rig.cell->find(key_of(1))->next, RecordIndex(154));
  EXPECT_EQ(rig.all(key_of(1)).size(), 154U);
}

TEST(Cell, AnEntryPastItsDeadlineIsUnknownInFlightAndRefusedBefore) {
  drivers::SimStorageOptions slow;
  slow.write_nanos_min = slow.write_nanos_max = 10 * kNanosPerSecond;
  CellRig rig(slow);
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  const Nanos deadline = rig.time.now() + kNanosPerSecond;
  Call flying(1, 2, "a", deadline);
  ASSERT_EQ(rig.take(flying, key_of(1)), 2U);
  rig.turn();
  Call waiting(2, 2, "b", deadline);
  ASSERT_EQ(rig.take(waiting, key_of(1)), 2U);
  rig.time.advance_to(deadline + 1);
  rig.cell->expire(rig.time.now());
  ASSERT_EQ(rig.settled_entries.size(), 4U);
  for (const PutEntry& entry : flying.entries) EXPECT_EQ(entry.error, ErrorCode::kUnknownOutcome);
  for (const PutEntry& entry : waiting.entries) EXPECT_EQ(entry.error, ErrorCode::kOverloaded);
  rig.run();
  EXPECT_EQ(rig.settled_entries.size(), 4U) << "nobody is told twice";
  EXPECT_EQ(rig.all(key_of(1)), flying.texts) << "0 or 1 copy: here 1; the refused ones never";
}

// A block lists entries shard by shard, a shard by arrival: neither is the order of deadlines.
TEST(Cell, AnEntryBehindOneThatMayWaitLongerKeepsItsDeadline) {
  drivers::SimStorageOptions slow;
  slow.write_nanos_min = slow.write_nanos_max = 10 * kNanosPerSecond;
  CellRig rig(slow);
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(2)).has_value());
  const Nanos soon = rig.time.now() + kNanosPerSecond;
  const Nanos late = rig.time.now() + 5 * kNanosPerSecond;
  Call patient(1, 2, "a", late);
  Call urgent(2, 2, "b", soon);
  ASSERT_EQ(rig.take(patient, key_of(1)), 2U);
  ASSERT_EQ(rig.take(urgent, key_of(2)), 2U);
  rig.turn();
  // As one that comes again by a newer map, behind those that came meanwhile.
  Call pending_patient(3, 1, "c", late);
  Call pending_urgent(4, 2, "d", soon);
  ASSERT_EQ(rig.take(pending_patient, key_of(1)), 1U);
  ASSERT_EQ(rig.take(pending_urgent, key_of(1)), 2U);
  rig.time.advance_to(soon + 1);
  rig.cell->expire(rig.time.now());
  ASSERT_EQ(rig.settled_entries.size(), 4U);
  for (const PutEntry& entry : urgent.entries) EXPECT_EQ(entry.error, ErrorCode::kUnknownOutcome);
  for (const PutEntry& entry : pending_urgent.entries) {
    EXPECT_EQ(entry.error, ErrorCode::kOverloaded);
  }
  rig.run();
  EXPECT_EQ(rig.settled_entries.size(), 7U);
  for (const PutEntry& entry : patient.entries) EXPECT_TRUE(entry.stored);
  EXPECT_TRUE(pending_patient.entries[0].stored);
  EXPECT_EQ(rig.all(key_of(1)), (std::vector<std::string>{"a0", "a1", "c0"}));
  EXPECT_EQ(rig.all(key_of(2)), urgent.texts);
}

TEST(Cell, ExpiryHidesWhatIsTooOldAndNothingYounger) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  Call old(1, 3, "a", kNever);
  ASSERT_EQ(rig.take(old, key_of(1)), 3U);
  rig.run();
  rig.time.advance_to(rig.time.now() + kNanosPerSecond);
  rig.turn();
  Call young(2, 3, "b", kNever);
  ASSERT_EQ(rig.take(young, key_of(1)), 3U);
  rig.run();
  CellCommand expire;
  expire.kind = CommandKind::kExpire;
  expire.horizons = {{StreamUid(1), RetentionMillis(rig.time.now().raw() / kNanosPerMilli - 500)}};
  ASSERT_TRUE(rig.command(expire).has_value());
  EXPECT_EQ(rig.all(key_of(1)), young.texts);
  EXPECT_EQ(rig.cell->find(key_of(1))->trim, RecordIndex(3));
}

// Control frames go on where records are refused, until the reserve is used up, too. Then they are told
// so: what waited for ever would hold the catalogue, and with it the snapshot that makes room.
TEST(Cell, WhereEvenTheReserveIsUsedUpCommandsAreRefusedUntilASnapshotMakesRoom) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  std::deque<Call> calls;
  for (;;) {
    Call& call = calls.emplace_back(calls.size() + 1, 100, std::string(900, 'x'), kNever);
    if (rig.take(call, key_of(1)) == 0) break;
    rig.run();
  }
  EXPECT_EQ(calls.back().entries[0].error, ErrorCode::kJournalFull);
  // The reserve is free still; what tells of the cell says that it refuses puts all the same.
  EXPECT_EQ(rig.cell->journal_metrics().slots_free, 1U);
  EXPECT_TRUE(rig.cell->full());
  CellCommand described;
  ASSERT_TRUE(rig.command(described).has_value());
  EXPECT_TRUE(described.full);
  const auto decision = [] {
    CellCommand command;
    command.kind = CommandKind::kCatalogue;
    command.body.assign(200, std::byte{1});
    return command;
  };
  Result<> outcome;
  std::size_t stored = 0;
  for (; stored < 5000; ++stored) {
    const int finished = rig.commands_finished;
    CellCommand command = decision();
    outcome = rig.command(command);
    ASSERT_EQ(rig.commands_finished, finished + 1);
    if (!outcome) break;
  }
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, ErrorCode::kJournalFull);
  EXPECT_GT(stored, 100U);
  EXPECT_TRUE(rig.cell->quiet()) << "or no drain would end";
  // Several at once: each hears it.
  CellCommand together[3] = {decision(), decision(), decision()};
  const int finished = rig.commands_finished;
  for (CellCommand& command : together) rig.cell->command(command, rig.time.now(), rig.wall());
  rig.run();
  EXPECT_EQ(rig.commands_finished, finished + 3);
  // A snapshot says what the control frames said, and their segments are of no use any more.
  CellCommand state;
  state.kind = CommandKind::kDescribe;
  ASSERT_TRUE(rig.command(state).has_value());
  CellCommand recycle;
  recycle.kind = CommandKind::kRecycle;
  for (const storage::SegmentSummary& segment : state.spent) {
    if (segment.runs.empty()) recycle.segments.push_back(segment.number);
  }
  ASSERT_FALSE(recycle.segments.empty());
  std::erase_if(state.snapshot.segments, [&](SegmentNumber number) {
    return std::ranges::find(recycle.segments, number) != recycle.segments.end();
  });
  storage::Snapshot snapshot;
  snapshot.cells.push_back(state.snapshot);
  ASSERT_TRUE(rig.store->write_snapshot(snapshot).has_value());
  ASSERT_TRUE(rig.command(recycle).has_value());
  CellCommand again = decision();
  EXPECT_TRUE(rig.command(again).has_value());
}

// A cell that its records have filled. `calls` keeps what it took.
void fill(CellRig& rig, std::deque<Call>& calls) {
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  while (!rig.cell->full()) {
    Call& call = calls.emplace_back(calls.size() + 1, 100, std::string(900, 'x'), kNever);
    static_cast<void>(rig.take(call, key_of(1)));
    rig.run();
  }
  while (!calls.back().entries.back().stored) calls.pop_back();
  rig.settled_entries.clear();
}

void tell_room(CellRig& rig, bool coming) {
  CellCommand tell;
  tell.room_coming = coming;
  rig.cell->command(tell, rig.time.now(), rig.wall());
  rig.turn();
}

TEST(Cell, PutsWaitForASlotThatIsComingAndAreStoredInOrder) {
  CellRig rig;
  std::deque<Call> calls;
  fill(rig, calls);
  std::vector<std::string> texts = rig.all(key_of(1));
  tell_room(rig, true);
  EXPECT_FALSE(rig.cell->full());
  Call first(1000, 3, "first", kNever);
  Call second(1001, 3, "second", kNever);
  ASSERT_EQ(rig.take(first, key_of(1)), 3U);
  rig.turn();
  ASSERT_EQ(rig.take(second, key_of(1)), 3U);
  for (int i = 0; i < 10; ++i) {
    rig.time.advance_to(rig.time.now() + kNanosPerMilli);
    rig.turn();
  }
  EXPECT_TRUE(rig.settled_entries.empty()) << "nothing is said before there is room";
  EXPECT_FALSE(rig.cell->quiet());
  storage::Store::NewSlot slot;
  while (!slot.ready) {
    auto step = rig.store->grow(CellId(0), kMiB);
    ASSERT_TRUE(step.has_value());
    slot = *step;
  }
  CellCommand add;
  add.kind = CommandKind::kAddSlot;
  add.slot_file = slot.file;
  add.slot = slot.slot;
  ASSERT_TRUE(rig.command(add).has_value());
  ASSERT_EQ(rig.settled_entries.size(), 6U);
  for (const PutEntry* entry : rig.settled_entries) EXPECT_TRUE(entry->stored);
  texts.insert(texts.end(), first.texts.begin(), first.texts.end());
  texts.insert(texts.end(), second.texts.begin(), second.texts.end());
  EXPECT_EQ(rig.all(key_of(1)), texts);
}

TEST(Cell, IsQuietOnceAllThatWaitedForASlotWasRefused) {
  CellRig rig;
  std::deque<Call> calls;
  fill(rig, calls);
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(2)).has_value());
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(3)).has_value());
  tell_room(rig, true);
  const Nanos soon = rig.time.now() + 10 * kNanosPerMilli;
  Call first(1000, 2, "first", soon);
  Call patient(1001, 1, "patient", soon + 10 * kNanosPerMilli);
  Call last(1002, 1, "last", soon);
  ASSERT_EQ(rig.take(first, key_of(1)), 2U);
  ASSERT_EQ(rig.take(patient, key_of(2)), 1U);
  ASSERT_EQ(rig.take(last, key_of(3)), 1U);
  rig.time.advance_to(soon + 1);
  rig.cell->expire(rig.time.now());
  rig.turn();
  EXPECT_EQ(rig.settled_entries.size(), 3U);
  EXPECT_FALSE(rig.cell->quiet());
  Call again(1003, 1, "again", soon + 10 * kNanosPerMilli);
  ASSERT_EQ(rig.take(again, key_of(3)), 1U);
  rig.time.advance_to(soon + 11 * kNanosPerMilli);
  rig.cell->expire(rig.time.now());
  rig.turn();
  EXPECT_EQ(rig.settled_entries.size(), 5U);
  EXPECT_TRUE(rig.cell->quiet()) << "room is still coming, and nobody waits for it";
}

TEST(Cell, PutsThatWaitForASlotAreRefusedAtTheirDeadlineOrWhenNoneIsComing) {
  CellRig rig;
  std::deque<Call> calls;
  fill(rig, calls);
  tell_room(rig, true);
  Call late(1000, 2, "late", rig.time.now() + 10 * kNanosPerMilli);
  Call patient(1001, 2, "patient", kNever);
  ASSERT_EQ(rig.take(late, key_of(1)), 2U);
  ASSERT_EQ(rig.take(patient, key_of(1)), 2U);
  ProducerRequest opening;
  opening.shard = key_of(1);
  opening.producer = 7;
  rig.open(opening);
  ProducerRequest hasty;
  hasty.shard = key_of(1);
  hasty.producer = 8;
  hasty.deadline = rig.time.now() + 10 * kNanosPerMilli;
  rig.open(hasty);
  rig.time.advance_to(rig.time.now() + 20 * kNanosPerMilli);
  rig.cell->expire(rig.time.now());
  rig.turn();
  ASSERT_EQ(rig.settled_entries.size(), 2U);
  for (const PutEntry& entry : late.entries) {
    EXPECT_FALSE(entry.stored);
    EXPECT_EQ(entry.error, ErrorCode::kJournalFull);
  }
  ASSERT_EQ(rig.answered.size(), 1U);
  EXPECT_EQ(hasty.outcome.error().code, ErrorCode::kJournalFull);
  tell_room(rig, false);
  EXPECT_EQ(rig.settled_entries.size(), 4U);
  EXPECT_EQ(patient.entries[0].error, ErrorCode::kJournalFull);
  ASSERT_EQ(rig.answered.size(), 2U);
  EXPECT_EQ(opening.outcome.error().code, ErrorCode::kJournalFull);
  EXPECT_TRUE(rig.cell->quiet());
  Call refused(1002, 1, "refused", kNever);
  EXPECT_EQ(rig.take(refused, key_of(1)), 0U) << "at once";
}

TEST(Cell, NobodyWaitsForASlotOfWhichNothingIsHeardAnyMore) {
  CellRig rig;
  std::deque<Call> calls;
  fill(rig, calls);
  tell_room(rig, true);
  Call waits(1000, 2, "waits", kNever);
  ASSERT_EQ(rig.take(waits, key_of(1)), 2U);
  rig.turn();
  EXPECT_TRUE(rig.settled_entries.empty());
  rig.time.advance_to(rig.time.now() + 6 * kNanosPerSecond);
  rig.turn();
  EXPECT_EQ(rig.settled_entries.size(), 2U);
  EXPECT_EQ(waits.entries[0].error, ErrorCode::kJournalFull);
  EXPECT_TRUE(rig.cell->full()) << "and so it is told";
}

// As recovery leaves a shard whose OPEN is lost and whose records are not.
TEST(Cell, AShardKnownByItsRecordsAloneLearnsTheRestFromALaterOpen) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  Call call(1, 3, "a", kNever);
  ASSERT_EQ(rig.take(call, key_of(1)), 3U);
  rig.run();
  Shard& shard = *rig.cell->find(key_of(1));
  shard.created_second = 0;
  shard.end = {};
  shard.catalogue_version = 0;
  CellCommand open;
  open.kind = CommandKind::kOpenShard;
  open.shard = key_of(1);
  open.control.catalogue_version = 9;
  open.control.created_second = 1'700'000'000;
  open.control.range_end[0] = open.control.range_end[1] = UINT64_MAX;
  ASSERT_TRUE(rig.command(open).has_value());
  EXPECT_EQ(shard.created_second, 1'700'000'000);
  EXPECT_EQ(shard.end, base::kHashKeyMax);
  EXPECT_EQ(shard.next, RecordIndex(3)) << "its numbers go on";
  EXPECT_EQ(rig.all(key_of(1)), call.texts);
}

// A description goes by mail every second: what is stored must not make it long.
TEST(Cell, DescribesOnlySegmentsThatNobodyNeeds) {
  CellRig rig;
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(1)).has_value());
  ASSERT_TRUE(rig.command(CommandKind::kOpenShard, key_of(2)).has_value());
  std::deque<Call> calls;
  const auto seal_two_more = [&] {
    const std::uint64_t until = rig.cell->journal_metrics().segments + 2;
    while (rig.cell->journal_metrics().segments < until) {
      Call& call = calls.emplace_back(calls.size() + 1, 40, std::string(900, 'x'), kNever);
      ASSERT_EQ(rig.take(call, key_of(1 + calls.size() % 2)), 40U);
      rig.run();
    }
  };
  const auto spent = [&] {
    CellCommand describe;
    describe.kind = CommandKind::kDescribe;
    EXPECT_TRUE(rig.command(describe).has_value());
    EXPECT_EQ(describe.snapshot.segments.size(), 2U) << "all of them, for the snapshot";
    std::vector<SegmentNumber> numbers;
    for (const storage::SegmentSummary& segment : describe.spent) {
      EXPECT_EQ(segment.runs.size(), 2U);
      numbers.push_back(segment.number);
    }
    return numbers;
  };
  const auto trim = [&](std::uint32_t shard, RecordIndex until) {
    CellCommand order;
    order.kind = CommandKind::kTrimShard;
    order.shard = key_of(shard);
    order.control.catalogue_version = 5;
    order.control.index = until.raw();
    ASSERT_TRUE(rig.command(order).has_value());
  };
  seal_two_more();
  EXPECT_TRUE(spent().empty());
  trim(1, rig.cell->find(key_of(1))->visible);
  EXPECT_TRUE(spent().empty()) << "the other shard's records are left";
  const RecordIndex half(rig.cell->find(key_of(2))->visible.raw() / 2 + 60);
  trim(2, half);
  EXPECT_EQ(spent(), std::vector{SegmentNumber(1)});
  trim(2, RecordIndex(UINT64_MAX));  // it leaves altogether
  EXPECT_EQ(spent(), (std::vector{SegmentNumber(1), SegmentNumber(2)}));
}

}  // namespace
}  // namespace penstock::shard
