// Goal: a server that stops says so, answers what is under way where that is soon, and is not held up by anybody. Method:
// clients in every state when the drain begins; time by hand.
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"

namespace penstock::test {
namespace {

using proto::MessageKind;

constexpr std::string_view kStops = "closed kStopping the server stops; ";

TEST(Drain, TellsIdleClientsAtOnce) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  EXPECT_FALSE(server.door.drained());
  server.door.begin_drain();
  EXPECT_FALSE(server.socket.listening());
  EXPECT_LE(server.door.next_deadline(), server.now);
  client.carry();
  EXPECT_EQ(client.told, kStops);
  EXPECT_FALSE(server.door.drained());
  server.pass(2500);
  EXPECT_FALSE(client.connected());
  EXPECT_TRUE(server.door.drained());
}

TEST(Drain, WithoutClientsItIsDoneAtOnce) {
  NativeHarness server;
  server.door.begin_drain();
  EXPECT_TRUE(server.door.drained());
}

TEST(Drain, AnswersWhatIsUnderWayFirst) {
  NativeHarness server;
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.greet();
  const std::uint32_t lane = client.put_lane("s", 0);
  const std::uint64_t request = client.put(lane, make_batch({{.key = "a"}}));
  client.carry();
  server.door.begin_drain();
  server.pass(1000);
  client.carry();
  EXPECT_EQ(client.told, "");
  EXPECT_EQ(server.door.answers_owed(), 1U);
  server.run();
  client.carry();
  ASSERT_NE(client.answer(request), nullptr);
  EXPECT_EQ(client.answer(request)->kind(), MessageKind::kPutDone);
  server.pass(250);
  client.carry();
  EXPECT_EQ(client.told, kStops);
}

TEST(Drain, AnAnswerThatWaitsToBeSentIsSent) {
  NativeHarness server;
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.greet();
  const std::uint32_t lane = client.put_lane("s", 0);
  server.socket.set_stalled(true);
  client.get_map("s");
  const std::uint64_t request = client.put(lane, make_batch({{.key = "a"}}));
  client.carry();
  server.run();  // its answer waits behind the map, which is being sent
  server.door.begin_drain();
  server.pass(500);
  server.socket.set_stalled(false);
  client.carry();
  ASSERT_NE(client.answer(request), nullptr);
  EXPECT_EQ(client.answer(request)->kind(), MessageKind::kPutDone);
  server.pass(500);
  client.carry();
  EXPECT_EQ(client.told, kStops);
}

TEST(Drain, CutsALateClientAfterFiveSeconds) {
  NativeHarness server;
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.greet();
  const std::uint32_t lane = client.put_lane("s", 0);
  const std::uint64_t request = client.put(lane, make_batch({{.key = "a"}}));
  client.carry();
  server.door.begin_drain();
  server.pass(4750);
  client.carry();
  EXPECT_EQ(client.told, "");
  server.pass(750);
  client.carry();
  EXPECT_EQ(client.told, kStops);
  server.pass(2500);
  EXPECT_FALSE(client.connected());
  // Its batch may still be stored, and the door must still be there.
  EXPECT_FALSE(server.door.drained());
  server.run();
  server.poll();
  EXPECT_TRUE(server.door.drained());
  EXPECT_EQ(client.answer(request), nullptr);
}

TEST(Drain, HelloWhileStoppingIsTurnedAway) {
  NativeHarness server;
  NativeClient client(server);
  client.carry();
  server.door.begin_drain();
  client.say_hello();
  client.carry();
  EXPECT_EQ(client.told, kStops);
  EXPECT_EQ(client.count(MessageKind::kWelcome), 0U);
}

TEST(Drain, WhoIsAcceptedTooLateIsClosed) {
  NativeHarness server;
  server.door.begin_drain();
  NativeClient client(server);
  client.carry();
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(server.door.counters().sessions_refused, 1U);
}

TEST(Drain, IsNotHeldUpByHalfOpenConnections) {
  NativeHarness server;
  const env::ConnectionId silent = server.socket.connect();
  const env::ConnectionId half = server.socket.connect();
  server.socket.give(half, "PWP/1");
  server.poll();
  server.door.begin_drain();
  server.pass(5500);
  EXPECT_FALSE(server.socket.open(silent));
  EXPECT_FALSE(server.socket.open(half));
  EXPECT_TRUE(server.door.drained());
}

TEST(Drain, IsNotHeldUpByOneThatTakesNothing) {
  NativeHarness server;
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.greet();
  server.socket.set_stalled(true);
  client.get_map("s");
  client.carry();
  server.door.begin_drain();
  server.pass(10'000);
  EXPECT_FALSE(client.connected());
  EXPECT_TRUE(server.door.drained());
}

TEST(Drain, IsNotHeldUpByOneThatGoesOnPutting) {
  NativeHarness server;
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.greet();
  const std::uint32_t lane = client.put_lane("s", 0);
  client.put(lane, make_batch({{.key = "a"}}));
  client.carry();
  server.door.begin_drain();
  for (int i = 0; i < 40 && client.told.empty(); ++i) {
    client.put(lane, make_batch({{.key = "a"}}));
    client.carry();
    server.data.run(server.now);
    client.put(lane, make_batch({{.key = "a"}}));
    client.carry();
    server.pass(250);
  }
  client.carry();
  EXPECT_EQ(client.told, kStops);
  EXPECT_LT(server.now - Nanos{1'000'000'000}, 6 * kNanosPerSecond);
}

}  // namespace
}  // namespace penstock::test
