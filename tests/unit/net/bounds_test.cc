// Goal: nothing that a client does, or leaves undone, takes more of the server's memory than it may have, or others'
// service. Method: clients that ask and do not take, that begin and do not end, in number.
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"
#include "tests/unit/net/native_tls.h"

namespace penstock::test {
namespace {

using proto::MessageKind;

std::string frame(std::uint32_t lane, std::uint32_t number, std::uint32_t size,
                  std::string_view piece) {
  transport::FrameHeader header{.type = transport::FrameType::kData,
                                .last = piece.size() == size,
                                .length = static_cast<std::uint32_t>(piece.size())};
  header.lane = lane;
  header.message_number = number;
  header.message_bytes = size;
  const auto bytes = transport::encode(header);
  std::string out(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  out += piece;
  out.resize(round_up(out.size(), std::size_t{8}));
  return out;
}
std::string blocked(std::uint64_t wish) {
  transport::FrameHeader header{.type = transport::FrameType::kBlocked};
  header.lane = transport::kSessionLane;
  header.value = wish;
  const auto bytes = transport::encode(header);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Those that begin 10 MiB and stop.
TEST(Bounds, AThousandHalfMessages) {
  constexpr std::uint32_t kMessage = 10 * kMiB;
  net::NativeOptions options;
  options.staging_bytes = 128 * kMiB;
  NativeHarness server(options);
  server.data.add_stream("s", 1);
  std::vector<std::unique_ptr<NativeClient>> stuck;
  for (int i = 0; i < 1000; ++i) {
    stuck.push_back(std::make_unique<NativeClient>(server));
    stuck.back()->greet();
  }
  NativeClient honest(server);
  honest.greet();
  const std::uint32_t lane = honest.put_lane("s", 0);
  for (const auto& client : stuck) {
    server.socket.give(client->id(), blocked(kMessage));
    server.poll();
    ASSERT_LE(server.door.staging_used(), options.staging_bytes);
  }
  const std::string piece(64 * kKiB, 'x');
  // Whoever has been granted its credit begins; those who have not break the rule and are closed, one by one.
  std::size_t begun = 0;
  for (const auto& client : stuck) {
    server.socket.give(client->id(), frame(1, 0, kMessage, piece));
    client->carry();
    if (client->told.empty()) ++begun;
    ASSERT_LE(server.door.staging_used(), options.staging_bytes);
  }
  EXPECT_GT(begun, 0U);
  EXPECT_LE(begun, options.staging_bytes / kMessage + 1);
  const std::uint64_t request = honest.put(lane, make_batch({{.key = "a"}}));
  honest.settle();
  ASSERT_NE(honest.answer(request), nullptr) << honest.told;
  EXPECT_EQ(honest.answer(request)->kind(), MessageKind::kPutDone);
  // Those that have begun and do not go on give way.
  server.pass(12'500);
  const std::uint64_t large =
      honest.put(lane, make_batch({{.key = "a", .data = std::string(1'000'000, 'x')}}));
  honest.settle();
  ASSERT_NE(honest.answer(large), nullptr) << honest.told;
  EXPECT_EQ(honest.answer(large)->kind(), MessageKind::kPutDone);
  EXPECT_EQ(server.door.counters().sessions_open, 1U);
}

TEST(Bounds, AMessageBeyondTheCreditCloses) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  server.socket.give(client.id(), frame(1, 0, 64 * kKiB + 8, std::string(64, 'x')));
  client.carry();
  EXPECT_TRUE(client.told.starts_with("closed kCredit")) << client.told;
  EXPECT_EQ(server.door.counters().violations, 1U);
}

TEST(Bounds, MoreLanesThanAllowedClose) {
  net::NativeOptions options;
  options.session.lanes_max = 4;
  NativeHarness server(options);
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.greet();
  for (int i = 0; i < 4; ++i) static_cast<void>(client.put_lane("s", 0));
  EXPECT_EQ(client.session().open_lane({}), 0U);
  server.socket.give(client.id(), frame(5, 0, 64, std::string(64, '\0')));
  client.carry();
  EXPECT_TRUE(client.told.starts_with("closed kTooLarge")) << client.told;
}

TEST(Bounds, LanesOfAllSessionsAreBounded) {
  net::NativeOptions options;
  options.lanes_max = 6;
  options.lanes_always = 2;
  NativeHarness server(options);
  server.data.add_stream("s", 1);
  NativeClient greedy(server);
  greedy.greet();
  for (int i = 0; i < 6; ++i) static_cast<void>(greedy.put_lane("s", 0));
  const std::uint32_t seventh = greedy.session().open_lane({});
  greedy.open_put(seventh, "s", 0);
  greedy.carry();
  EXPECT_TRUE(greedy.told.starts_with("reset 7 kOverloaded")) << greedy.told;
  NativeClient modest(server);
  modest.greet();
  for (int i = 0; i < 2; ++i) static_cast<void>(modest.put_lane("s", 0));
  // Whoever goes leaves them to others.
  greedy.session().close(transport::CloseCode::kDone, "");
  greedy.carry();
  for (int i = 0; i < 4; ++i) static_cast<void>(modest.put_lane("s", 0));
}

// Nobody knows who it is: not even half a message may lie there.
TEST(Bounds, NoLaneBeforeHello) {
  NativeHarness server;
  NativeClient client(server);
  client.carry();  // its preface
  server.socket.give(client.id(), frame(1, 0, 64, std::string(8, 'x')));
  client.carry();
  EXPECT_EQ(client.told, "closed kProtocol a lane before Hello; ");
}

// One that asks on and takes nothing: sooner or later nothing more is read of it.
template <class Ask>
void expect_held_up(NativeHarness& server, NativeClient& client, Ask ask) {
  server.socket.set_stalled(true);
  bool held = false;
  for (int i = 0; i < 20'000 && !held && client.connected(); ++i) {
    ask();
    client.carry();
    held = server.socket.unread(client.id()) > 0;
  }
  EXPECT_TRUE(held || !client.connected()) << "everything was read, and its answers kept";
  // Whoever takes what it is owed is read on.
  NativeClient other(server);
  server.socket.set_stalled(false);
  for (int i = 0; i < 400; ++i) {
    server.poll();
    client.carry();
  }
  EXPECT_EQ(server.socket.unread(client.id()), 0U);
  EXPECT_EQ(client.told, "");
  other.greet();
}

TEST(Bounds, AnswersOnLaneZeroThatNobodyTakes) {
  NativeHarness server;
  server.data.add_stream("s", 512);
  NativeClient client(server);
  client.greet();
  expect_held_up(server, client, [&] { client.get_map("s"); });
}

TEST(Bounds, RefusalsThatNobodyTakes) {
  NativeHarness server;
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.greet();
  expect_held_up(server, client, [&] { client.say(0, static_cast<MessageKind>(999)); });
}

TEST(Bounds, AnswersOverTlsThatNobodyTakes) {
  NativeHarness server({}, server_tls());
  server.data.add_stream("s", 512);
  NativeClient client(server, NativeHarness::kTlsListener, client_tls());
  client.greet();
  expect_held_up(server, client, [&] { client.get_map("s"); });
}

TEST(Bounds, MapChangesThatNobodyTakes) {
  NativeHarness server;
  for (int i = 0; i < 200; ++i) server.data.add_stream("s" + std::to_string(i), 1);
  NativeClient client(server);
  client.greet();
  for (int i = 0; i < 200; ++i) {
    client.get_map("s" + std::to_string(i));
    client.carry();
  }
  client.heard.clear();
  server.socket.set_stalled(true);
  for (int round = 0; round < 300; ++round) {
    for (int i = 0; i < 200; i += 10) {
      server.data.change("s" + std::to_string(i),
                         [](route::StreamRoute& stream) { ++stream.retention_hours; });
    }
    server.poll();
    for (int i = 0; i < 200; i += 10) {
      server.data.change("s" + std::to_string(i),
                         [](route::StreamRoute& stream) { --stream.retention_hours; });
    }
    server.poll();
  }
  server.socket.set_stalled(false);
  for (int i = 0; i < 50; ++i) client.carry();
  // Of each stream it has heard, but not of every change of its map.
  const std::size_t told = client.count(MessageKind::kMapChanged);
  EXPECT_GE(told, 20U);
  EXPECT_LT(told, 300U * 20);
  EXPECT_EQ(client.told, "");
}

TEST(Bounds, OpeningsThatAreResetAtOnce) {
  net::NativeOptions options;
  options.staging_bytes = options.session.message_max = 128 * kKiB;
  NativeHarness server(options);
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.greet();
  // Each leaves a request with the shard, and a message's memory with that: so its credit bounds them.
  for (int i = 0; i < 5000; ++i) {
    const std::uint32_t lane = client.session().open_lane({});
    client.open_put(lane, "s", 0, 7, static_cast<std::uint32_t>(i) + 1);
    client.carry();
    client.session().reset(lane, transport::CloseCode::kDone, "");
    client.carry();
  }
  EXPECT_LE(server.data.waiting(), options.staging_bytes / 64);
  client.settle();
  EXPECT_EQ(client.told, "");
}

}  // namespace
}  // namespace penstock::test
