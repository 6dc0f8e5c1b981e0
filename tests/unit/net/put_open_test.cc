// Goal: a lane for puts is made by OpenPut alone, and says what the server knows of its producer. Method: lanes opened
// well and badly over shards that are open, closed and gone.
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"

namespace penstock::test {
namespace {

using proto::MessageKind;

constexpr std::uint32_t kAnyShard = UINT32_MAX;

struct Opening {
  Opening() {
    server.data.add_stream("s", 2);
    client.greet();
  }
  std::uint32_t lane() { return client.session().open_lane({}); }
  // What OpenPut on a new lane is told: "opened", "opened closed", or the error.
  std::string open(const std::string& stream, std::uint32_t shard, std::uint64_t producer = 0,
                   std::uint32_t epoch = 0) {
    last = lane();
    request = client.open_put(last, stream, shard, producer, epoch);
    client.settle();
    const Heard* heard = client.answer(request);
    if (heard == nullptr) return client.told;
    if (const proto::Failure* failure = client.failure(request)) {
      return std::string(name(static_cast<ErrorCode>(failure->code())));
    }
    EXPECT_EQ(heard->lane, last);
    return opened().closed() ? "opened closed" : "opened";
  }
  const proto::PutOpened& opened() { return client.answer(request)->as<proto::PutOpened>(); }
  // What a good batch for shard 0 is told on a lane.
  std::string put(std::uint32_t on, std::uint32_t sequence = 0) {
    const auto& shard = server.data.routes()->find("s")->shards[0];
    const std::uint64_t asked =
        client.put(on, make_batch({{.key = key_in(shard.begin, shard.end)}}), sequence);
    client.settle();
    if (client.answer(asked) == nullptr) return client.told;
    const proto::Failure* failure = client.failure(asked);
    return failure == nullptr ? "done" : std::string(name(static_cast<ErrorCode>(failure->code())));
  }
  NativeHarness server;
  NativeClient client{server};
  std::uint32_t last = 0;
  std::uint64_t request = 0;
};

TEST(OpenPut, MakesALaneForOneShardOrForAny) {
  Opening opening;
  EXPECT_EQ(opening.open("s", 1), "opened");
  EXPECT_EQ(opening.opened().stream(), opening.server.data.routes()->find("s")->uid.raw());
  EXPECT_EQ(opening.opened().last(), 0U);
  EXPECT_EQ(opening.opened().window()->size(), 0U);
  EXPECT_EQ(opening.open("s", kAnyShard), "opened");
}

TEST(OpenPut, NamesWhatIsThere) {
  Opening opening;
  EXPECT_EQ(opening.open("t", 0), "kNotFound");
  EXPECT_EQ(opening.open("", 0), "kNotFound");
  EXPECT_EQ(opening.open("s", 2), "kNotFound");
  EXPECT_EQ(opening.open("s", kAnyShard - 1), "kNotFound");
  EXPECT_EQ(opening.open("s", kAnyShard, 7, 1), "kMalformed");
  EXPECT_EQ(opening.client.told, "");
}

TEST(OpenPut, ALaneThatWasNotOpenedTakesNoBatches) {
  Opening opening;
  EXPECT_EQ(opening.open("t", 0), "kNotFound");
  EXPECT_EQ(opening.put(opening.last), "kConflict");
  EXPECT_EQ(opening.put(opening.lane()), "kConflict");
  EXPECT_EQ(opening.client.told, "");
}

TEST(OpenPut, ABatchBeforePutOpenedIsRefused) {
  Opening opening;
  const std::uint32_t lane = opening.lane();
  const std::uint64_t request = opening.client.open_put(lane, "s", 0, 7, 1);
  opening.client.carry();
  EXPECT_EQ(opening.client.answer(request), nullptr);  // the shard has not said yet
  const std::uint64_t early = opening.client.put(lane, make_batch({{.key = "a"}}), 1);
  opening.client.carry();
  ASSERT_NE(opening.client.failure(early), nullptr);
  EXPECT_EQ(opening.client.failure(early)->code(),
            static_cast<std::uint32_t>(ErrorCode::kConflict));
  opening.client.settle();
  EXPECT_EQ(opening.client.answer(request)->kind(), MessageKind::kPutOpened);
  EXPECT_EQ(opening.put(lane, 1), "done");
}

TEST(OpenPut, IsTheFirstMessageOfItsLaneOrBreaksTheRules) {
  {
    Opening opening;
    EXPECT_EQ(opening.open("s", 0), "opened");
    opening.client.open_put(opening.last, "s", 1);
    opening.client.carry();
    EXPECT_EQ(opening.client.told,
              "closed kProtocol OpenPut is not the first message of its lane; ");
  }
  {
    Opening opening;
    const std::uint32_t lane = opening.lane();
    EXPECT_EQ(opening.put(lane), "kConflict");
    opening.client.open_put(lane, "s", 0);
    opening.client.carry();
    EXPECT_TRUE(opening.client.told.starts_with("closed kProtocol"));
    EXPECT_EQ(opening.server.door.counters().violations, 1U);
  }
}

TEST(OpenPut, DoesNotBelongOnLaneZero) {
  Opening opening;
  const std::uint64_t request = opening.client.open_put(0, "s", 0);
  opening.client.carry();
  ASSERT_NE(opening.client.failure(request), nullptr);
  EXPECT_EQ(opening.client.failure(request)->code(),
            static_cast<std::uint32_t>(ErrorCode::kUnsupported));
}

// --- Producers --------------------------------------------------------------------------------

TEST(OpenPut, TellsAProducerWhatIsStored) {
  Opening opening;
  EXPECT_EQ(opening.open("s", 0, 7, 1), "opened");
  for (std::uint32_t i = 1; i <= 11; ++i) {
    opening.server.advance(10);
    EXPECT_EQ(opening.put(opening.last, i), "done");
  }
  EXPECT_EQ(opening.open("s", 0, 7, 1), "opened");
  EXPECT_EQ(opening.opened().last(), 11U);
  ASSERT_EQ(opening.opened().window()->size(), 8U);
  for (std::uint32_t i = 0; i < 8; ++i) {
    EXPECT_EQ(opening.opened().window()->Get(i)->first_index(), 3 + i);
    EXPECT_EQ(opening.opened().window()->Get(i)->arrival_ms(),
              NativeHarness::kStartMillis + 10 * (4 + i));
  }
}

TEST(OpenPut, ALaterEpochFencesAnEarlierOne) {
  Opening opening;
  EXPECT_EQ(opening.open("s", 0, 7, 1), "opened");
  const std::uint32_t first = opening.last;
  EXPECT_EQ(opening.put(first, 1), "done");
  EXPECT_EQ(opening.open("s", 0, 7, 2), "opened");
  EXPECT_EQ(opening.opened().last(), 0U);
  EXPECT_EQ(opening.put(first, 2), "kProducerFenced");
  EXPECT_EQ(opening.open("s", 0, 7, 1), "kProducerFenced");
  EXPECT_EQ(opening.put(opening.last, 1), "kConflict");
  EXPECT_EQ(opening.open("s", 1, 7, 1), "opened");  // another shard's is another matter
}

TEST(OpenPut, AnOpeningMayBeResetWhileItIsUnderWay) {
  Opening opening;
  const std::uint32_t lane = opening.lane();
  const std::uint64_t request = opening.client.open_put(lane, "s", 0, 7, 1);
  opening.client.carry();
  opening.client.session().reset(lane, transport::CloseCode::kDone, "");
  opening.client.settle();
  EXPECT_EQ(opening.client.answer(request), nullptr);
  EXPECT_EQ(opening.client.told, "");
  EXPECT_EQ(opening.server.data.log("s", 0).producers.at(7).epoch, 1U);
}

TEST(OpenPut, AConnectionMayGoWhileAnOpeningIsUnderWay) {
  Opening opening;
  opening.client.open_put(opening.lane(), "s", 0, 7, 1);
  opening.client.carry();
  opening.server.socket.vanish(opening.client.id());
  opening.server.poll();
  EXPECT_EQ(opening.server.data.waiting(), 1U);
  opening.server.run();
  opening.server.poll();
  EXPECT_EQ(opening.server.door.staging_used(), 0U);
}

// --- Closed shards ----------------------------------------------------------------------------

TEST(OpenPut, OfAClosedShardResolvesWhatWasInDoubt) {
  Opening opening;
  EXPECT_EQ(opening.open("s", 0, 7, 1), "opened");
  EXPECT_EQ(opening.put(opening.last, 1), "done");
  opening.server.data.split("s", 0, {.high = 1ULL << 62U, .low = 0});
  EXPECT_EQ(opening.put(opening.last, 2), "kWrongShard");
  EXPECT_EQ(opening.open("s", 0, 7, 1), "opened closed");
  EXPECT_EQ(opening.opened().last(), 1U);
  EXPECT_EQ(opening.put(opening.last, 2), "kWrongShard");
  EXPECT_EQ(opening.open("s", 0, 8, 1), "kProducerUnknown");
}

// A split that is given up opens the shard again.
TEST(OpenPut, OfAShardWhoseCloseNoMapShowsIsRefused) {
  Opening opening;
  EXPECT_EQ(opening.open("s", 0, 7, 1), "opened");
  opening.server.data.close_unpublished("s", 0);
  EXPECT_EQ(opening.open("s", 0, 7, 1), "kWrongShard");
  EXPECT_EQ(opening.open("s", 0, 8, 1), "kWrongShard");
  opening.server.data.split("s", 0, {.high = 1ULL << 62U, .low = 0});
  EXPECT_EQ(opening.open("s", 0, 7, 1), "opened closed");
}

TEST(OpenPut, OfAClosedShardSaysSoWithoutAProducerToo) {
  Opening opening;
  opening.server.data.split("s", 0, {.high = 1ULL << 62U, .low = 0});
  EXPECT_EQ(opening.open("s", 0), "opened closed");
  EXPECT_EQ(opening.put(opening.last), "kWrongShard");
  EXPECT_EQ(opening.open("s", kAnyShard), "opened");
}

}  // namespace
}  // namespace penstock::test
