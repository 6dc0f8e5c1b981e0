// Goal: a batch for one shard is stored as it came, once, and its result says where. Method: batches on lanes for one
// shard; the data plane answers when the test lets it.
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"

namespace penstock::test {
namespace {

using proto::MessageKind;

struct Putting {
  explicit Putting(std::uint32_t shards = 1) {
    server.data.add_stream("s", shards);
    client.greet();
  }
  const proto::PutResult* done(std::uint64_t request) {
    const Heard* heard = client.answer(request);
    if (heard == nullptr || heard->kind() != MessageKind::kPutDone) return nullptr;
    return &heard->as<proto::PutResult>();
  }
  std::string refusal(std::uint64_t request) {
    const proto::Failure* failure = client.failure(request);
    return failure == nullptr ? "none" : std::string(name(static_cast<ErrorCode>(failure->code())));
  }
  FakeDataPlane::ShardLog& log(std::uint32_t shard = 0) { return server.data.log("s", shard); }
  NativeHarness server;
  NativeClient client{server};
};

TEST(Put, IsStoredVerbatimAndToldWhere) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0);
  const auto first = make_batch({{.key = "a", .data = ""}, {.key = "ä"}, {.key = "c"}});
  const auto second = make_batch({{.key = "d", .data = std::string(1000, 'd')}});
  const std::uint64_t one = putting.client.put(lane, first);
  const std::uint64_t two = putting.client.put(lane, second);
  putting.client.carry();
  EXPECT_EQ(putting.client.answer(one), nullptr);
  EXPECT_EQ(putting.server.door.answers_owed(), 1U);  // this client's
  putting.server.data.set_wall(WallMillis(1'700'000'000'123));
  putting.client.settle();
  EXPECT_EQ(putting.server.door.answers_owed(), 0U);
  ASSERT_NE(putting.done(one), nullptr);
  EXPECT_EQ(putting.done(one)->first_index(), 0U);
  EXPECT_EQ(putting.done(one)->arrival_ms(), 1'700'000'000'123);
  EXPECT_FALSE(putting.done(one)->duplicate());
  EXPECT_EQ(putting.done(one)->records(), nullptr);
  EXPECT_EQ(putting.client.answer(one)->lane, lane);
  ASSERT_NE(putting.done(two), nullptr);
  EXPECT_EQ(putting.done(two)->first_index(), 3U);
  ASSERT_EQ(putting.log().batches.size(), 2U);
  EXPECT_EQ(putting.log().batches[0].bytes, first);
  EXPECT_EQ(putting.log().batches[1].bytes, second);
  EXPECT_EQ(putting.server.door.counters().records_in, 4U);
  EXPECT_EQ(putting.server.door.counters().batches_stored, 2U);
}

TEST(Put, OfAProducerCarriesItsSequence) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0, 7, 3);
  const auto batch = make_batch({{.key = "a"}});
  putting.client.put(lane, batch, 1);
  const std::uint64_t gap = putting.client.put(lane, batch, 3);
  putting.client.settle();
  EXPECT_EQ(putting.refusal(gap), "kSequenceGap");
  ASSERT_EQ(putting.log().batches.size(), 1U);
  EXPECT_EQ(putting.log().batches[0].producer, 7U);
  EXPECT_EQ(putting.log().batches[0].epoch, 3U);
  EXPECT_EQ(putting.log().batches[0].sequence, 1U);
}

TEST(Put, SentAgainIsStoredOnce) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0, 7, 1);
  for (std::uint32_t i = 1; i <= 9; ++i) {
    putting.client.put(lane, make_batch({{.key = "a"}}), i);
    putting.client.settle();
  }
  putting.server.advance(50);
  const std::uint64_t again = putting.client.put(lane, make_batch({{.key = "a"}}), 2);
  const std::uint64_t older = putting.client.put(lane, make_batch({{.key = "a"}}), 1);
  putting.client.settle();
  ASSERT_NE(putting.done(again), nullptr);
  EXPECT_TRUE(putting.done(again)->duplicate());
  EXPECT_EQ(putting.done(again)->first_index(), 1U);
  EXPECT_EQ(putting.done(again)->arrival_ms(), NativeHarness::kStartMillis);
  EXPECT_EQ(putting.refusal(older), "kSequenceOld");
  EXPECT_EQ(putting.log().batches.size(), 9U);
  EXPECT_EQ(putting.server.door.counters().batches_repeated, 1U);
  EXPECT_EQ(putting.server.door.counters().records_in, 9U);
}

TEST(Put, ARefusalTakesNoNumberAndWhatFollowsMeetsAGap) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0, 7, 1);
  const std::uint64_t bad = putting.client.put(lane, make_batch({{.key = ""}}), 1);
  const std::uint64_t behind = putting.client.put(lane, make_batch({{.key = "b"}}), 2);
  putting.client.settle();
  EXPECT_EQ(putting.refusal(bad), "kMalformed");
  EXPECT_EQ(putting.refusal(behind), "kSequenceGap");
  const std::uint64_t good = putting.client.put(lane, make_batch({{.key = "a"}}), 1);
  putting.client.settle();
  EXPECT_NE(putting.done(good), nullptr);
}

TEST(Put, ThrottledSaysWhenToComeAgain) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0);
  for (const ErrorCode code : {ErrorCode::kThrottled, ErrorCode::kJournalFull, ErrorCode::kFenced,
                               ErrorCode::kUnknownOutcome, ErrorCode::kStopping}) {
    putting.log().refuse_puts = code;
    putting.log().admit = 0;
    const std::uint64_t request = putting.client.put(lane, make_batch({{.key = "a"}}));
    putting.client.settle();
    EXPECT_EQ(putting.refusal(request), name(code));
    const bool waiting_helps = code == ErrorCode::kThrottled;
    EXPECT_EQ(putting.client.failure(request)->retry_after_ms() > 0, waiting_helps);
  }
  EXPECT_EQ(putting.server.door.counters().batches_refused, 5U);
  EXPECT_EQ(putting.client.told, "");
}

TEST(Put, DataIsAtMostTheStreamsLimit) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0);
  putting.server.data.change("s",
                             [](route::StreamRoute& stream) { stream.record_bytes_max = 100; });
  const auto of = [](std::size_t bytes) {
    return make_batch({{.key = "a"}, {.key = "b", .data = std::string(bytes, 'x')}});
  };
  const std::uint64_t good = putting.client.put(lane, of(100));
  const std::uint64_t bad = putting.client.put(lane, of(101));
  putting.client.settle();
  EXPECT_NE(putting.done(good), nullptr);
  EXPECT_EQ(putting.refusal(bad), "kTooLarge");
  EXPECT_EQ(putting.client.failure(bad)->record(), 1U);
}

TEST(Put, WhatIsNoBatchAtAllClosesTheSession) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0);
  putting.client.put(lane, std::vector(64, std::byte{0xEE}));
  putting.client.carry();
  EXPECT_EQ(putting.client.told, "closed kProtocol a message's header or table is malformed; ");
}

TEST(Put, OfALengthThatIsNoMultipleOf8IsRefused) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0);
  auto batch = make_batch({{.key = "a"}});
  batch.resize(batch.size() + 4);
  const std::uint64_t request = putting.client.put(lane, batch);
  putting.client.settle();
  EXPECT_EQ(putting.refusal(request), "kMalformed");
}

// --- Where a batch belongs ------------------------------------------------------------------------

TEST(Put, HashesLieWithinTheShardItsEdgesIncluded) {
  Putting putting(2);
  const auto shards = putting.server.data.routes()->find("s")->shards;
  const std::uint32_t lower = putting.client.put_lane("s", 0);
  const std::uint32_t upper = putting.client.put_lane("s", 1);
  const auto at = [&](std::uint32_t lane, base::HashKey hash) {
    return putting.client.put(
        lane, make_batch({{.key = "a", .flags = net::kExplicitHash, .hash = hash}}));
  };
  const std::uint64_t good[] = {at(lower, {}), at(lower, shards[0].end), at(upper, shards[1].begin),
                                at(upper, base::kHashKeyMax)};
  const std::uint64_t bad[] = {at(lower, shards[1].begin), at(upper, shards[0].end),
                               at(lower, base::kHashKeyMax), at(upper, {})};
  putting.client.settle();
  for (const std::uint64_t request : good) EXPECT_NE(putting.done(request), nullptr);
  for (const std::uint64_t request : bad) {
    EXPECT_EQ(putting.refusal(request), "kWrongShard");
    EXPECT_EQ(putting.client.failure(request)->record(), 0U);
  }
}

TEST(Put, ToAShardThatHasClosedNamesTheNewestMap) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0);
  putting.server.data.split("s", 0, {.high = 1ULL << 63U, .low = 0});
  const std::uint64_t request = putting.client.put(lane, make_batch({{.key = "a"}}));
  putting.client.settle();
  EXPECT_EQ(putting.refusal(request), "kWrongShard");
  EXPECT_EQ(putting.client.answer(request)->message.header.map_epoch,
            putting.server.data.routes()->epoch);
  EXPECT_EQ(putting.server.data.waiting(), 0U);
}

TEST(Put, ToAShardThatClosesMeanwhile) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0);
  const std::uint64_t request = putting.client.put(lane, make_batch({{.key = "a"}}));
  putting.client.carry();
  putting.server.data.close_unpublished("s", 0);
  putting.client.settle();
  EXPECT_EQ(putting.refusal(request), "kWrongShard");
}

TEST(Put, ToAStreamThatIsGoneEndsTheLane) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0);
  const std::uint32_t other = putting.client.put_lane("s", UINT32_MAX);
  const std::uint64_t under_way = putting.client.put(lane, make_batch({{.key = "a"}}));
  putting.client.carry();
  putting.server.data.remove_stream("s");
  putting.server.data.add_stream("s", 1);  // of the same name, but not the same
  const std::uint64_t late = putting.client.put(lane, make_batch({{.key = "b"}}));
  putting.client.put(other, make_batch({{.key = "b"}}));
  putting.client.settle();
  EXPECT_EQ(putting.client.told, "reset " + std::to_string(lane) + " kGone; reset " +
                                     std::to_string(other) + " kGone; ");
  EXPECT_EQ(putting.client.answer(late), nullptr);
  EXPECT_EQ(putting.client.answer(under_way), nullptr);
  EXPECT_TRUE(putting.log().batches.empty());
  const std::uint32_t anew = putting.client.put_lane("s", 0);
  const std::uint64_t request = putting.client.put(anew, make_batch({{.key = "b"}}));
  putting.client.settle();
  EXPECT_NE(putting.done(request), nullptr);
}

// --- How many ------------------------------------------------------------------------------------

void expect_room_for(std::uint32_t batches, std::uint64_t producer) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0, producer, 1);
  for (std::uint32_t i = 1; i <= batches; ++i) {
    putting.client.put(lane, make_batch({{.key = "a"}}), i);
  }
  putting.client.carry();
  EXPECT_EQ(putting.client.told, "");
  putting.client.settle();
  EXPECT_EQ(putting.client.count(MessageKind::kPutDone), batches);
  // Another as many, and one more than may be.
  for (std::uint32_t i = 1; i <= batches + 1; ++i) {
    putting.client.put(lane, make_batch({{.key = "a"}}), batches + i);
  }
  putting.client.carry();
  EXPECT_EQ(putting.client.told,
            "closed kProtocol too many batches without a result on one lane; ");
  EXPECT_EQ(putting.server.data.waiting(), batches);
  EXPECT_EQ(putting.server.door.counters().violations, 1U);
  putting.server.run();  // their outcomes find nobody
  EXPECT_EQ(putting.log().batches.size(), 2 * batches);
}

TEST(Put, SixtyFourWaitWithoutAProducer) { expect_room_for(64, 0); }
TEST(Put, EightWaitWithAProducer) { expect_room_for(8, 7); }

TEST(Put, WhatIsRefusedAtOnceDoesNotWait) {
  Putting putting;
  const std::uint32_t lane = putting.client.put_lane("s", 0, 7, 1);
  for (int i = 0; i < 20; ++i) putting.client.put(lane, make_batch({{.key = ""}}), 1);
  putting.client.settle();
  EXPECT_EQ(putting.client.count(MessageKind::kFailed), 20U);
  EXPECT_EQ(putting.client.told, "");
}

TEST(Put, LanesWaitEachForItself) {
  Putting putting;
  std::vector<std::uint32_t> lanes;
  for (int i = 0; i < 20; ++i) {
    lanes.push_back(putting.client.put_lane("s", 0, static_cast<std::uint64_t>(i) + 1, 1));
  }
  for (std::uint32_t sequence = 1; sequence <= 8; ++sequence) {
    for (const std::uint32_t lane : lanes) {
      putting.client.put(lane, make_batch({{.key = "a"}}), sequence);
    }
  }
  putting.client.settle();
  EXPECT_EQ(putting.client.count(MessageKind::kPutDone), 160U);
  EXPECT_EQ(putting.client.told, "");
}

}  // namespace
}  // namespace penstock::test
