// Goal: what was sealed stays as it is until the kernel has done with it, its memory is bounded, and a client gets the
// same bytes. Method: a socket in memory that holds what it is told to, and notices what was changed meanwhile.
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"
#include "tests/unit/net/native_tls.h"

namespace penstock::test {
namespace {

constexpr std::uint32_t kShards = 512;  // a map of so many is some 50 KiB

struct Holding {
  explicit Holding(bool hold = true) : server(options(hold), server_tls()) {
    server.socket.set_holding(true);
    server.data.add_stream("s", kShards);
  }
  static net::NativeOptions options(bool hold) {
    net::NativeOptions options;
    options.hold_sends = hold;
    return options;
  }
  // A map each, in a send of its own.
  void ask(NativeClient& client, int times) {
    for (; times > 0; --times) {
      const std::uint64_t request = client.get_map("s");
      client.carry();
      ASSERT_NE(client.answer(request), nullptr) << client.told;
      EXPECT_EQ(client.answer(request)->as<proto::ShardMap>().shards()->size(), kShards);
    }
  }
  NativeHarness server;
};

TEST(HeldOutput, StaysAsItIsUntilItIsReleased) {
  Holding holding;
  NativeHarness& server = holding.server;
  NativeClient client(server, NativeHarness::kTlsListener, client_tls());
  client.greet();
  EXPECT_EQ(server.socket.held(client.id()), 0U) << "little is copied";
  holding.ask(client, 3);
  EXPECT_EQ(server.socket.held(client.id()), 3U);
  EXPECT_EQ(server.door.sends_held(), 3U);
  server.socket.release(client.id(), 2);
  server.poll();
  EXPECT_EQ(server.door.sends_held(), 1U);
  // Buffers are used again, and in a ring: more than there are places for.
  for (int i = 0; i < 20; ++i) {
    holding.ask(client, 2);
    server.socket.release(client.id(), 2);
    server.poll();
  }
  server.socket.release(client.id(), 1, true);
  server.poll();
  EXPECT_EQ(server.door.sends_held(), 0U);
  EXPECT_FALSE(server.socket.spoiled());
  EXPECT_EQ(server.door.bytes().uncopied, 43U);
  EXPECT_EQ(server.door.bytes().copied, 1U);
}

TEST(HeldOutput, IsNeverMoreThanThereArePlacesFor) {
  Holding holding;
  NativeHarness& server = holding.server;
  NativeClient first(server, NativeHarness::kTlsListener, client_tls());
  NativeClient second(server, NativeHarness::kTlsListener, client_tls());
  NativeClient third(server, NativeHarness::kTlsListener, client_tls());
  for (NativeClient* client : {&first, &second, &third}) {
    client->greet();
    holding.ask(*client, 12);  // those beyond are sent by copy
  }
  EXPECT_EQ(server.socket.held(first.id()), env::kHeldSendsMax);
  EXPECT_EQ(server.socket.held(second.id()), env::kHeldSendsMax);
  EXPECT_EQ(server.socket.held(third.id()), 0U);
  EXPECT_EQ(server.door.sends_held(), net::HeldOutput::kBuffers);
  server.socket.release(second.id(), 1);
  server.poll();
  holding.ask(third, 2);
  EXPECT_EQ(server.socket.held(third.id()), 1U);
  // A connection that ends has nothing that is held.
  server.socket.vanish(first.id());
  server.poll();
  EXPECT_EQ(server.door.sends_held(), net::HeldOutput::kBuffers - env::kHeldSendsMax);
  EXPECT_FALSE(server.socket.spoiled());
}

TEST(HeldOutput, IsNotUsedUnlessAskedFor) {
  Holding holding(false);
  NativeClient client(holding.server, NativeHarness::kTlsListener, client_tls());
  client.greet();
  holding.ask(client, 3);
  EXPECT_EQ(holding.server.socket.held(client.id()), 0U);
  EXPECT_EQ(holding.server.door.bytes().uncopied, 0U);
}

}  // namespace
}  // namespace penstock::test
