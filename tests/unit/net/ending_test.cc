// Goal: lanes and connections may end with batches under way: what was asked is carried out, its bytes stay until then,
// and nobody is told who is not there. Method: a data plane that answers late.
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"

namespace penstock::test {
namespace {

using proto::MessageKind;
using transport::CloseCode;

struct Ending {
  explicit Ending(const net::NativeOptions& options = {}) : server(options) {
    server.data.add_stream("s", 2);
    client.greet();
  }
  std::string key(std::uint32_t shard) {
    const auto& route = server.data.routes()->find("s")->shards[shard];
    return key_in(route.begin, route.end);
  }
  std::vector<std::byte> batch(std::size_t bytes = 10) {
    return make_batch({{.key = key(0), .data = std::string(bytes, 'x')}});
  }
  NativeHarness server;
  NativeClient client{server};
};

TEST(Ending, ALaneThatIsResetLetsItsBatchesFinish) {
  Ending ending;
  const std::uint32_t lane = ending.client.put_lane("s", 0);
  const std::uint32_t other = ending.client.put_lane("s", 0);
  const auto batch = ending.batch(30'000);
  const std::uint64_t lost = ending.client.put(lane, batch);
  const std::uint64_t kept = ending.client.put(other, ending.batch());
  ending.client.carry();
  ending.client.session().reset(lane, CloseCode::kDone, "");
  ending.client.carry();
  // Others use the memory that was freed, not that which is still needed.
  for (int i = 0; i < 20; ++i) ending.client.put(other, ending.batch(30'000));
  ending.client.settle();
  EXPECT_EQ(ending.server.data.log("s", 0).batches.at(0).bytes, batch);
  EXPECT_EQ(ending.client.answer(lost), nullptr);
  ASSERT_NE(ending.client.answer(kept), nullptr);
  EXPECT_EQ(ending.client.told, "");
}

TEST(Ending, AMixedBatchOfALaneThatIsResetFinishesToo) {
  Ending ending;
  const std::uint32_t lane = ending.client.put_lane("s", UINT32_MAX);
  ending.client.put(lane, make_batch({{.key = ending.key(0)}, {.key = ending.key(1)}}));
  ending.client.carry();
  ending.client.session().reset(lane, CloseCode::kDone, "");
  ending.client.settle();
  EXPECT_EQ(ending.server.data.log("s", 0).records.size(), 1U);
  EXPECT_EQ(ending.server.data.log("s", 1).records.size(), 1U);
  EXPECT_EQ(ending.client.count(MessageKind::kPutDone), 0U);
}

TEST(Ending, CreditComesBackOnceTheOutcomeIsKnown) {
  Ending ending;
  const std::uint32_t lane = ending.client.put_lane("s", 0);
  ending.client.put(lane, ending.batch(40'000));
  ending.client.carry();
  ending.client.session().reset(lane, CloseCode::kDone, "");
  ending.client.settle();
  const std::uint32_t next = ending.client.put_lane("s", 0);
  const std::uint64_t request = ending.client.put(next, ending.batch(60'000));
  ending.client.settle();
  ASSERT_NE(ending.client.answer(request), nullptr);
  EXPECT_EQ(ending.client.answer(request)->kind(), MessageKind::kPutDone);
}

TEST(Ending, AnAnswerThatIsBeingSentSurvivesTheReset) {
  Ending ending;
  const std::uint32_t lane = ending.client.put_lane("s", 0);
  ending.client.put(lane, ending.batch());
  ending.client.put(lane, ending.batch());
  ending.client.carry();
  ending.server.socket.set_stalled(true);
  ending.server.run();
  ending.client.session().reset(lane, CloseCode::kDone, "");
  ending.client.carry();
  ending.server.socket.set_stalled(false);
  ending.client.settle();
  EXPECT_EQ(ending.client.told, "");
  const std::uint32_t next = ending.client.put_lane("s", 0);
  EXPECT_GT(next, lane);
}

TEST(Ending, AConnectionThatVanishesLetsItsBatchesFinish) {
  Ending ending;
  const std::uint32_t whole = ending.client.put_lane("s", 0);
  const std::uint32_t mixed = ending.client.put_lane("s", UINT32_MAX);
  const auto batch = ending.batch(30'000);
  ending.client.put(whole, batch);
  ending.client.put(mixed, make_batch({{.key = ending.key(1)}}));
  ending.client.carry();
  ending.server.socket.vanish(ending.client.id());
  ending.server.poll();
  EXPECT_EQ(ending.server.door.counters().sessions_open, 0U);
  NativeClient other(ending.server);
  other.greet();
  other.get_map("s");
  other.carry();
  ending.server.run();
  EXPECT_EQ(ending.server.data.log("s", 0).batches.at(0).bytes, batch);
  EXPECT_EQ(ending.server.data.log("s", 1).records.size(), 1U);
  ending.server.poll();
  EXPECT_EQ(ending.server.door.staging_used(), 64U * kKiB);  // the other's
}

TEST(Ending, AClientThatClosesIsToldNothingMore) {
  Ending ending;
  const std::uint32_t lane = ending.client.put_lane("s", 0);
  const std::uint64_t request = ending.client.put(lane, ending.batch());
  ending.client.carry();
  ending.client.session().close(CloseCode::kDone, "");
  ending.client.settle();
  EXPECT_EQ(ending.client.answer(request), nullptr);
  EXPECT_EQ(ending.server.data.log("s", 0).batches.size(), 1U);
  ending.server.pass(2500);
  EXPECT_FALSE(ending.client.connected());
}

TEST(Ending, AHalfClosedConnectionIsOver) {
  Ending ending;
  const std::uint32_t lane = ending.client.put_lane("s", 0);
  ending.client.put(lane, ending.batch());
  ending.client.carry();
  ending.server.socket.end(ending.client.id());
  ending.server.poll();
  ending.server.poll();
  EXPECT_FALSE(ending.client.connected());
  ending.server.run();
  EXPECT_EQ(ending.server.data.log("s", 0).batches.size(), 1U);
}

TEST(Ending, HalfAMessageIsForgottenWithItsLane) {
  Ending ending;
  const std::uint32_t lane = ending.client.put_lane("s", 0);
  const std::uint64_t before = ending.server.door.staging_used();
  transport::FrameHeader header{.type = transport::FrameType::kData, .length = 8};
  header.lane = lane;
  header.message_number = 1;
  header.message_bytes = 1000;
  const auto frame = transport::encode(header);
  ending.server.socket.give(ending.client.id(),
                            {reinterpret_cast<const char*>(frame.data()), frame.size()});
  ending.server.poll();
  ending.server.socket.vanish(ending.client.id());
  ending.server.poll();
  ending.server.poll();
  EXPECT_EQ(before, 64U * kKiB);
  EXPECT_EQ(ending.server.door.staging_used(), 0U);
}

TEST(Ending, WhatHoldsASessionUpIsItsOwnAlone) {
  net::NativeOptions options;
  options.sessions_max = 2;
  Ending ending(options);
  const std::uint32_t lane = ending.client.put_lane("s", 0);
  ending.client.put(lane, ending.batch());
  ending.client.carry();
  ending.server.socket.vanish(ending.client.id());
  ending.server.poll();
  NativeClient second(ending.server);
  second.greet();
  // The one that has gone still counts: what it asked is under way.
  NativeClient third(ending.server);
  third.carry();
  EXPECT_EQ(third.told, "closed kOverloaded no room for another session; ");
  ending.server.run();
  ending.server.poll();
  NativeClient fourth(ending.server);
  fourth.greet();
}

TEST(Ending, ResultsComeInWhateverOrderTheShardsGiveThem) {
  Ending ending;
  const std::uint32_t lane = ending.client.put_lane("s", UINT32_MAX);
  std::vector<std::uint64_t> requests;
  for (int i = 0; i < 5; ++i) {
    requests.push_back(ending.client.put(lane, make_batch({{.key = std::to_string(i)}})));
  }
  ending.client.carry();
  for (int i = 0; i < 5; ++i) ending.server.data.answer_newest_put(ending.server.now);
  ending.client.heard.clear();
  ending.client.carry();
  ASSERT_EQ(ending.client.heard.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(ending.client.heard[i]->message.header.request, requests[4 - i]);
    EXPECT_EQ(ending.client.heard[i]->message.header.sequence, 0U);
  }
}

// A server that is killed, or that has waited long enough at its stop, ends with what is under way.
TEST(Ending, TheDoorEndsWithAllKindsOfOperationsUnderWay) {
  Ending ending;
  const std::uint32_t lane = ending.client.put_lane("s", 0);
  ending.server.keep_unanswered = true;
  ending.client.put(lane, ending.batch(30'000));
  ending.client.open_put(ending.client.session().open_lane({}), "s", 0, 7, 1);
  flatbuffers::FlatBufferBuilder subscription;
  const proto::Position from{0, 0, proto::From::Horizon};
  subscription.Finish(
      proto::CreateSubscribe(subscription, subscription.CreateString("s"), 1, &from, 64 * kKiB));
  const std::uint32_t reading = ending.client.session().open_lane({.own_account = true});
  ending.client.say(reading, MessageKind::kSubscribe, &subscription);
  flatbuffers::FlatBufferBuilder call;
  call.Finish(
      proto::CreateAdmin(call, proto::AdminOperation::DeleteStream, call.CreateString("s")));
  ending.client.say(0, MessageKind::kAdmin, &call);
  ending.client.carry();
  EXPECT_EQ(ending.server.data.waiting(), 3U);
  EXPECT_EQ(ending.server.door.answers_owed(), 1U);  // and ends here, in good order
}

}  // namespace
}  // namespace penstock::test
