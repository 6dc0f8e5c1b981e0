// Goal: batches reach the shard that they name on whatever core, or are refused at once, and producers are
// opened there, too. Method: two data cores on one simulated disk; each case asked on both.
#include "two_cores.h"

#include <deque>

namespace penstock::ingest {
namespace {

// One batch for one shard, and its answer.
struct BatchCall {
  BatchCall(std::uint32_t shard, const std::string& text, std::uint64_t producer = 0,
            std::uint32_t sequence = 0)
      : texts{text + "0", text + "1"} {
    const std::size_t payload = 2 + texts[0].size() + texts[1].size();
    space.resize(storage::batch_bytes(2, payload) / 8);
    const auto out = std::as_writable_bytes(std::span(space));
    storage::BatchWriter writer(out, {}, 2, payload);
    for (const std::string& record : texts) {
      writer.add({.key = reinterpret_cast<const std::byte*>("k"),
                  .data = reinterpret_cast<const std::byte*>(record.data()),
                  .data_bytes = static_cast<std::uint32_t>(record.size()),
                  .key_bytes = 1,
                  .flags = 0,
                  .hash = {}});
    }
    put = {.bytes = out.first(writer.finish()).subspan(storage::kBatchHeaderBytes),
           .count = 2,
           .payload_bytes = static_cast<std::uint32_t>(payload),
           .producer = producer,
           .epoch = 1,
           .sequence = sequence};
    entry.carry(put, ShardNumber(shard));
    request.stream = kStream;
    request.entries = std::span(&entry, 1);
    request.batches = true;
    request.deadline = kFarAway;
    request.context = this;
    request.done = [](shard::PutRequest& done, Nanos) {
      ++static_cast<BatchCall*>(done.context)->answers;
    };
  }
  BatchCall(const BatchCall&) = delete;
  BatchCall& operator=(const BatchCall&) = delete;

  std::vector<std::string> texts;
  std::vector<std::uint64_t> space;
  shard::BatchPut put;
  shard::PutEntry entry;
  shard::PutRequest request;
  int answers = 0;
};

void send(TwoCores& rig, BatchCall& call, std::uint16_t core) {
  rig.core(core).put(call.request, rig.time.now());
  EXPECT_EQ(call.answers, 0) << "never inside put";
  rig.run_until([&] { return call.answers > 0; });
  EXPECT_EQ(call.answers, 1);
}

shard::ProducerRequest open(TwoCores& rig, std::uint32_t shard, std::uint16_t core,
                            std::uint64_t producer = 7) {
  shard::ProducerRequest request;
  int answers = 0;
  request.shard = {kStream, ShardNumber(shard)};
  request.owner = CoreId(shard % 2);
  request.producer = producer;
  request.epoch = 1;
  request.context = &answers;
  request.done = [](shard::ProducerRequest& done, Nanos) { ++*static_cast<int*>(done.context); };
  rig.core(core).open_producer(request, rig.time.now());
  EXPECT_FALSE(rig.core(core).quiet());
  EXPECT_EQ(answers, 0) << "never inside open_producer";
  rig.run_until([&] { return answers > 0; });
  rig.turn();
  EXPECT_EQ(answers, 1);
  return request;
}

TEST(Producer, BatchesGoToTheShardThatTheyNameFromAnyCore) {
  TwoCores rig;
  rig.open_quarters();
  std::vector<std::string> expected[4];
  for (std::uint32_t n = 0; n < 16; ++n) {
    BatchCall call(n % 4, std::to_string(n) + ".");
    send(rig, call, static_cast<std::uint16_t>(n / 4 % 2));
    EXPECT_TRUE(call.entry.stored);
    EXPECT_EQ(call.entry.index, RecordIndex(expected[n % 4].size()));
    EXPECT_EQ(call.entry.shard_created_second, 1'700'000'000 + n % 4);
    expected[n % 4].insert(expected[n % 4].end(), call.texts.begin(), call.texts.end());
  }
  for (std::uint32_t n = 0; n < 4; ++n) EXPECT_EQ(rig.texts(n), expected[n]);
  rig.expect_nothing_left();
}

TEST(Producer, ManyBatchesOfOneCallKeepTheirOrder) {
  TwoCores rig;
  rig.open_quarters();
  std::deque<BatchCall> calls;
  std::vector<shard::PutEntry> entries(40);
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    BatchCall& call = calls.emplace_back(1U, std::to_string(i) + ".");
    entries[i].carry(call.put, ShardNumber(1));
    expected.insert(expected.end(), call.texts.begin(), call.texts.end());
  }
  BatchCall& first = calls.front();
  first.request.entries = entries;
  send(rig, first, 0);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_TRUE(entries[i].stored);
    EXPECT_EQ(entries[i].index, RecordIndex(2 * i));
  }
  EXPECT_EQ(rig.texts(1), expected);
}

// The map still shows the shard, or no longer, or never did: it is the producer who looks for another.
TEST(Producer, AClosedOrUnknownShardRefusesAtOnce) {
  for (const std::uint16_t core : {std::uint16_t{0}, std::uint16_t{1}}) {
    TwoCores rig;
    rig.open_halves();
    BatchCall unknown(9, "u");
    send(rig, unknown, core);
    EXPECT_EQ(unknown.entry.error, ErrorCode::kWrongShard);
    rig.close(1);
    BatchCall early(1, "e");
    send(rig, early, core);
    EXPECT_EQ(early.entry.error, ErrorCode::kWrongShard) << "the cell knows, the map does not";
    rig.open_children();
    rig.publish();
    BatchCall late(1, "l");
    send(rig, late, core);
    EXPECT_EQ(late.entry.error, ErrorCode::kWrongShard);
    rig.publish(rig.empty_map());
    BatchCall gone(0, "g");
    send(rig, gone, core);
    EXPECT_EQ(gone.entry.error, ErrorCode::kNotFound);
    rig.expect_nothing_left();
    EXPECT_EQ(rig.core(core).counters().entries_rerouted, 0U);
  }
}

// Pending when its shard closes: refused, where records would wait for a newer map.
TEST(Producer, ABatchThatAClosingShardTurnsAwayIsNotParked) {
  TwoCores::Options options = TwoCores::defaults();
  options.journal.depth = 1;
  TwoCores rig(options);
  rig.open_halves();
  rig.run_until([&] { return rig.cell(1).quiet(); });
  rig.gate(1).held = true;
  BatchCall in_flight(1, "f");
  rig.core(0).put(in_flight.request, rig.time.now());
  rig.turn();
  BatchCall pending(1, "p");
  rig.core(0).put(pending.request, rig.time.now());
  rig.turn();
  ASSERT_EQ(rig.cell(1).counters().records_in, 2U) << "the other waits for its block";
  shard::CellCommand close;
  close.kind = shard::CommandKind::kCloseShard;
  rig.start(close, 1, 1);
  rig.run_until([&] { return pending.answers > 0; });
  EXPECT_EQ(pending.entry.error, ErrorCode::kWrongShard);
  EXPECT_EQ(in_flight.answers, 0);
  rig.gate(1).held = false;
  rig.run_until([&] { return in_flight.answers > 0 && close.context == nullptr; });
  EXPECT_TRUE(in_flight.entry.stored);
  rig.expect_nothing_left();
}

TEST(Producer, EpochsAreOpenedOnTheShardsCoreAndOverRestarts) {
  TwoCores rig;
  rig.open_quarters();
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    const auto core = static_cast<std::uint16_t>(shard / 2);
    ASSERT_TRUE(open(rig, shard, core).outcome.has_value());
    BatchCall first(shard, "a", 7, 1);
    send(rig, first, core);
    EXPECT_TRUE(first.entry.stored);
    BatchCall again(shard, "a", 7, 1);
    send(rig, again, 1 - core);
    EXPECT_TRUE(again.entry.stored);
    EXPECT_TRUE(again.entry.repeated);
    EXPECT_EQ(again.entry.index, first.entry.index);
    BatchCall gap(shard, "c", 7, 3);
    send(rig, gap, core);
    EXPECT_EQ(gap.entry.error, ErrorCode::kSequenceGap);
    BatchCall stranger(shard, "d", 8, 1);
    send(rig, stranger, core);
    EXPECT_EQ(stranger.entry.error, ErrorCode::kProducerUnknown);
  }
  rig.expect_nothing_left();
  rig.cut_and_restart();
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    const shard::ProducerRequest known = open(rig, shard, static_cast<std::uint16_t>(shard / 2));
    ASSERT_TRUE(known.outcome.has_value());
    EXPECT_EQ(known.state.last_sequence, 1U);
    EXPECT_EQ(rig.texts(shard), (std::vector<std::string>{"a0", "a1"}));
  }
  rig.publish(rig.empty_map());
  EXPECT_EQ(open(rig, 0, 0).outcome.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(open(rig, 1, 0).outcome.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(rig.core(0).quiet());
}

}  // namespace
}  // namespace penstock::ingest
