// Goal: a connection is plain or TLS by its first byte, and does not stay when nothing comes of it. Method: sockets in
// memory, time by hand.
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"
#include "tests/unit/net/native_tls.h"

namespace penstock::test {
namespace {

using proto::MessageKind;
std::string preface() {
  const auto bytes = transport::encode_preface(64 * kKiB);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Connection, SpeaksTlsWhereverTheFirstByteBeginsIt) {
  for (const std::uint32_t listener :
       {NativeHarness::kPlainListener, NativeHarness::kTlsListener}) {
    NativeHarness server({}, server_tls());
    server.data.add_stream("s", 600);
    NativeClient client(server, listener, client_tls());
    client.greet();
    const std::uint64_t map = client.get_map("s");
    client.carry();
    ASSERT_NE(client.answer(map), nullptr);
    EXPECT_EQ(client.answer(map)->as<proto::ShardMap>().shards()->size(), 512U);
    EXPECT_EQ(server.door.bytes().tls_handshakes, 1U);
    EXPECT_EQ(server.door.bytes().tls_failures, 0U);
  }
}

TEST(Connection, CarriesLargeBatchesOverTls) {
  NativeHarness server({}, server_tls());
  server.data.add_stream("s", 1);
  NativeClient client(server, NativeHarness::kTlsListener, client_tls());
  client.greet();
  const std::uint32_t lane = client.put_lane("s", 0);
  const auto batch = make_batch({{.key = "a", .data = std::string(1'000'000, 'x')}});
  const std::uint64_t request = client.put(lane, batch);
  client.settle();
  ASSERT_NE(client.answer(request), nullptr) << client.told;
  EXPECT_EQ(client.answer(request)->kind(), MessageKind::kPutDone);
  EXPECT_EQ(server.data.log("s", 0).batches.at(0).bytes, batch);
}

TEST(Connection, AProofIsGoodOnOneTlsConnectionAlone) {
  NativeHarness server({}, server_tls());
  NativeClient client(server, NativeHarness::kTlsListener, client_tls());
  client.carry();
  client.say_hello({.zero_channel = true});  // as it would be on plain TCP
  client.carry();
  EXPECT_EQ(client.told,
            "closed kDenied the access key, its proof or the client's clock is wrong; ");
}

TEST(Connection, ReadsTlsByteByByte) {
  NativeHarness server({}, server_tls());
  server.socket.set_receive_max(1);
  NativeClient client(server, NativeHarness::kTlsListener, client_tls());
  client.greet();
  EXPECT_EQ(client.told, "");
}

TEST(Connection, ReadsPlainBytesOneByOne) {
  NativeHarness server;
  server.socket.set_receive_max(1);
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.greet();
  const std::uint32_t lane = client.put_lane("s", 0);
  const std::uint64_t request = client.put(lane, make_batch({{.key = "a"}}));
  client.settle();
  ASSERT_NE(client.answer(request), nullptr);
  EXPECT_EQ(client.answer(request)->kind(), MessageKind::kPutDone);
}

TEST(Connection, RefusesPlainBytesWhereTheyAreNotAllowed) {
  NativeHarness server({}, server_tls());
  NativeClient client(server, NativeHarness::kTlsListener);
  client.carry();
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(client.told, "");
  EXPECT_EQ(server.door.bytes().bytes_out, 0U);
  EXPECT_EQ(server.door.bytes().refused, 1U);
}

TEST(Connection, RefusesTlsWhereThereIsNone) {
  NativeHarness server;
  NativeClient client(server, NativeHarness::kPlainListener, client_tls());
  client.carry();
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(server.door.bytes().refused, 1U);
}

TEST(Connection, RefusesWhatIsNeither) {
  NativeHarness server({}, server_tls());
  for (const std::string_view first : {"GET / HTTP/1.1\r\n\r\n", "p", "\x15", "\x17"}) {
    const env::ConnectionId id = server.socket.connect();
    server.socket.give(id, first);
    server.poll();
    server.poll();
    EXPECT_FALSE(server.socket.open(id)) << first;
    EXPECT_EQ(server.socket.taken(id), "");
  }
  EXPECT_EQ(server.door.bytes().refused, 4U);
}

TEST(Connection, APrefaceOfAnotherProtocolIsNotAnswered) {
  NativeHarness server;
  const env::ConnectionId id = server.socket.connect();
  server.socket.give(id, std::string("PWP/2\r\n\0", 8) + preface().substr(8));
  server.poll();
  server.poll();
  server.pass(2500);
  EXPECT_FALSE(server.socket.open(id));
  EXPECT_EQ(server.socket.taken(id), "");
}

TEST(Connection, ATlsHandshakeThatFailsIsCountedAndClosed) {
  NativeHarness server({}, server_tls());
  const env::ConnectionId id = server.socket.connect();
  server.socket.give(id, std::string("\x16\x03\x01\x00\x20", 5) + std::string(64, 'x'));
  for (int i = 0; i < 4; ++i) server.poll();
  EXPECT_FALSE(server.socket.open(id));
  EXPECT_EQ(server.door.bytes().tls_failures, 1U);
  EXPECT_EQ(server.door.bytes().tls_handshakes, 0U);
}

TEST(Connection, TlsThatEndsInTheMiddleIsClosed) {
  NativeHarness server({}, server_tls());
  NativeClient client(server, NativeHarness::kTlsListener, client_tls());
  client.greet();
  server.socket.end(client.id());
  server.poll();
  server.poll();
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(server.door.counters().sessions_open, 0U);
}

// --- Silence ------------------------------------------------------------------------------------

TEST(Connection, OneThatSaysNothingIsCut) {
  NativeHarness server;
  const env::ConnectionId id = server.socket.connect();
  server.poll();
  server.pass(9500);
  EXPECT_TRUE(server.socket.open(id));
  server.pass(1000);
  EXPECT_FALSE(server.socket.open(id));
  EXPECT_EQ(server.door.counters().sessions_open, 0U);
}

TEST(Connection, OneThatStopsWithinItsPrefaceIsCut) {
  NativeHarness server({}, server_tls());
  const env::ConnectionId plain = server.socket.connect();
  const env::ConnectionId tls = server.socket.connect();
  server.socket.give(plain, preface().substr(0, 15));
  server.socket.give(tls, std::string("\x16\x03\x01", 3));
  server.poll();
  server.pass(9500);
  EXPECT_TRUE(server.socket.open(plain));
  EXPECT_TRUE(server.socket.open(tls));
  server.pass(3500);
  EXPECT_FALSE(server.socket.open(plain));
  EXPECT_FALSE(server.socket.open(tls));
  EXPECT_EQ(server.socket.taken(plain), "");
}

TEST(Connection, AHelloHasTenSecondsFromThePrefacesEnd) {
  NativeHarness server;
  const env::ConnectionId slow = server.socket.connect();
  server.socket.give(slow, preface().substr(0, 8));
  server.poll();
  server.pass(8000);
  // Its preface ends only now: time for its Hello begins.
  NativeClient prompt(server);
  prompt.carry();
  server.socket.give(slow, preface().substr(8));
  server.poll();
  server.pass(9000);
  prompt.greet();
  EXPECT_TRUE(server.socket.open(slow));
  EXPECT_EQ(server.socket.taken(slow).size(), transport::kPrefaceBytes);
  server.pass(4000);
  EXPECT_FALSE(server.socket.open(slow));
  EXPECT_NE(server.socket.taken(slow).find("greeting"), std::string::npos);
  EXPECT_TRUE(prompt.connected());
}

TEST(Connection, SilenceOfAMinuteEndsIt) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  server.pass(59'000);
  EXPECT_TRUE(client.connected());
  server.pass(1500);
  client.carry();
  EXPECT_EQ(client.told, "closed kIdle silence; ");
  server.pass(2500);
  EXPECT_FALSE(client.connected());
}

TEST(Connection, OneThatTakesNothingIsCutAllTheSame) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  server.socket.set_stalled(true);
  client.say(0, static_cast<MessageKind>(999));
  client.carry();
  server.pass(70'000);  // its answer never went out, nor can a CLOSE
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(server.door.counters().sessions_open, 0U);
}

TEST(Connection, OneThatOnlyTalksAndTakesNothingIsCut) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  server.socket.set_stalled(true);
  for (int i = 0; i < 45 && client.connected(); ++i) {
    client.say(0, static_cast<MessageKind>(999));
    client.carry();
    server.pass(1000);
  }
  EXPECT_FALSE(client.connected());  // after 30 s, however much it has to say
}

TEST(Connection, OneThatTakesItAfterAllHearsWhyItEnds) {
  for (const auto& tls : {std::shared_ptr<transport::TlsContext>(), client_tls()}) {
    NativeHarness server({}, server_tls());
    NativeClient client(server, NativeHarness::kPlainListener, tls);
    client.greet();
    server.socket.set_stalled(true);
    client.say(0, static_cast<MessageKind>(999));
    client.carry();
    server.pass(29'500);
    EXPECT_TRUE(client.connected());
    server.pass(1000);
    server.socket.set_stalled(false);
    client.carry();
    EXPECT_EQ(client.count(MessageKind::kFailed), 1U);  // what was begun goes out first
    EXPECT_EQ(client.told, "closed kSlow what it is owed is not taken; ");
    server.pass(2500);
    EXPECT_FALSE(client.connected());
  }
}

TEST(Connection, APeerThatClosesIsNotKept) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  client.session().close(transport::CloseCode::kDone, "enough");
  client.carry();
  server.pass(2500);
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(server.door.counters().violations, 0U);
}

// --- Sessions ------------------------------------------------------------------------------------

constexpr std::string_view kNoRoom = "closed kOverloaded no room for another session; ";

// A server with room for two sessions, which are there.
struct FullServer {
  explicit FullServer(std::shared_ptr<const transport::TlsContext> tls = nullptr)
      : server(room_for_two(), std::move(tls)) {
    first.greet();
    second.greet();
  }
  static net::NativeOptions room_for_two() {
    net::NativeOptions options;
    options.sessions_max = 2;
    return options;
  }
  NativeHarness server;
  NativeClient first{server};
  NativeClient second{server};
};

TEST(Connection, WhoComesBeyondTheSessionsHearsThatThereIsNoRoom) {
  for (const auto& tls : {std::shared_ptr<transport::TlsContext>(), client_tls()}) {
    FullServer full(server_tls());
    NativeHarness& server = full.server;
    const std::uint64_t staging = server.door.staging_used();
    NativeClient third(server, NativeHarness::kPlainListener, tls);
    third.carry();
    EXPECT_EQ(third.told, kNoRoom);
    EXPECT_TRUE(third.connected()) << "it may still have to read that";
    EXPECT_EQ(server.door.staging_used(), staging);
    EXPECT_EQ(server.door.counters().sessions_refused, 1U);
    EXPECT_EQ(server.door.counters().sessions_open, 2U);
    // There is room again when one has gone, though this one still lingers.
    server.socket.vanish(full.first.id());
    server.poll();
    NativeClient fourth(server, NativeHarness::kPlainListener, tls);
    fourth.greet();
    server.socket.end(third.id());
    server.poll();
    server.poll();
    EXPECT_FALSE(third.connected());
    EXPECT_EQ(server.door.counters().sessions, 3U);
    EXPECT_EQ(server.door.counters().sessions_open, 2U);
    EXPECT_EQ(server.door.counters().sessions_refused, 1U);
    EXPECT_EQ(server.door.counters().violations, 0U);
  }
}

TEST(Connection, OneThatIsTurnedAwayMaySpeakFirstAndIsNotHeard) {
  FullServer full;
  NativeHarness& server = full.server;
  const env::ConnectionId id = server.socket.connect();
  server.socket.give(id, preface() + std::string(100'000, '\x01'));
  for (int i = 0; i < 1000; ++i) server.poll();
  EXPECT_NE(server.socket.taken(id).find("no room for another session"), std::string::npos);
  EXPECT_EQ(server.socket.unread(id), 0U) << "what is not read would cost it the answer";
  server.pass(2500);
  EXPECT_FALSE(server.socket.open(id));
  EXPECT_TRUE(full.first.connected());
}

TEST(Connection, OnlySoManyAtOnceHearThatThereIsNoRoom) {
  constexpr std::size_t kPlaces = net::NativeDoor::kTurnedAwayMax;
  FullServer full;
  NativeHarness& server = full.server;
  const auto open = [&](const std::vector<env::ConnectionId>& ids) {
    return static_cast<std::size_t>(
        std::ranges::count_if(ids, [&](const auto id) { return server.socket.open(id); }));
  };
  std::vector<env::ConnectionId> silent;
  for (std::size_t i = 0; i < kPlaces + 4; ++i) silent.push_back(server.socket.connect());
  server.poll();
  server.poll();
  EXPECT_EQ(open(silent), kPlaces);
  EXPECT_EQ(server.door.counters().sessions_refused, kPlaces + 4);
  server.pass(1500);
  NativeClient unheard(server);
  unheard.carry();
  EXPECT_FALSE(unheard.connected());
  EXPECT_EQ(unheard.told, "");
  // Each keeps its place for the time of a preface.
  server.pass(1000);
  EXPECT_EQ(open(silent), 0U);
  NativeClient heard(server);
  heard.carry();
  EXPECT_EQ(heard.told, kNoRoom);
  EXPECT_EQ(server.door.counters().sessions_refused, kPlaces + 6);
  EXPECT_EQ(server.door.counters().sessions_open, 2U);
}

TEST(Connection, NoMoreHearThatThereIsNoRoomThanSoManyInAQuarterOfASecond) {
  FullServer full;
  NativeHarness& server = full.server;
  server.pass(250);
  for (std::uint32_t i = 0; i < net::NativeDoor::kTurnedAwayPerTick; ++i) {
    NativeClient one(server);
    one.carry();
    EXPECT_EQ(one.told, kNoRoom);
    server.socket.end(one.id());
    server.poll();
    server.poll();
    EXPECT_FALSE(one.connected());
  }
  NativeClient unheard(server);
  unheard.carry();
  EXPECT_FALSE(unheard.connected());
  EXPECT_EQ(unheard.told, "");
  server.pass(250);
  NativeClient heard(server);
  heard.carry();
  EXPECT_EQ(heard.told, kNoRoom);
}

TEST(Connection, WhoIsTurnedAwayDoesNotHoldUpAStop) {
  FullServer full;
  NativeHarness& server = full.server;
  const env::ConnectionId silent = server.socket.connect();
  server.poll();
  server.door.begin_drain();
  server.pass(8'000);
  EXPECT_FALSE(server.socket.open(silent));
  EXPECT_TRUE(server.door.drained());
}

TEST(Connection, WithoutStagingMemoryForItASessionHearsWhy) {
  net::NativeOptions options;
  options.staging_bytes = 128 * kKiB;
  options.session.message_max = 128 * kKiB;
  NativeHarness server(options);
  NativeClient first(server);
  NativeClient second(server);
  NativeClient third(server);
  first.greet();
  second.greet();
  third.carry();
  EXPECT_EQ(third.told, "closed kOverloaded no room for another session; ");
  EXPECT_LE(server.door.staging_used(), options.staging_bytes);
}

}  // namespace
}  // namespace penstock::test
