// Goal: memory for deliveries goes to who waits for it in turn, whatever others do with theirs. Method: a door with
// memory for two deliveries; readers that take, that do not, and that are gone.
#include "tests/unit/net/reading_server.h"

namespace penstock::test {
namespace {

using proto::MessageKind;
using Texts = std::vector<std::string>;

net::NativeOptions for_two() {
  net::NativeOptions options;
  options.delivery_bytes = 2 * 256 * kKiB;
  return options;
}

// A client's credit for nothing but a few bytes: it holds what was read for it.
constexpr std::uint64_t kTooLittle = 80;

class ReaderMemory : public ::testing::Test {
 protected:
  // `count` batches of 50 KB in shard 0.
  void store(int count) {
    for (int i = 0; i < count; ++i) texts_.push_back(std::to_string(i) + std::string(50'000, '.'));
    writer_.store(0, texts_);
  }
  ReadingServer server_{for_two()};
  Reader writer_{server_};
  Texts texts_;
};

TEST_F(ReaderMemory, ServesFiftyInTurn) {
  store(30);
  std::vector<std::unique_ptr<Reader>> readers;
  std::vector<std::vector<std::uint32_t>> lanes(10);
  for (std::size_t i = 0; i < 10; ++i) {
    readers.push_back(std::make_unique<Reader>(server_));
    for (int k = 0; k < 5; ++k) lanes[i].push_back(readers[i]->subscribe(0, kHorizon));
  }
  for (int round = 0; round < 40; ++round) {
    for (const auto& reader : readers) reader->settle();
  }
  for (std::size_t i = 0; i < 10; ++i) {
    for (const std::uint32_t lane : lanes[i]) EXPECT_TRUE(readers[i]->texts(lane) == texts_) << i;
    EXPECT_EQ(readers[i]->told, "");
  }
  EXPECT_EQ(server_.door->delivery_used(), 0U);
}

TEST_F(ReaderMemory, OfOneWhoDoesNotTakeIsHisForThirtySeconds) {
  store(1);
  const std::uint32_t lane = writer_.subscribe(0, kHorizon, kTooLittle);
  writer_.settle();
  EXPECT_GT(server_.door->delivery_used(), 0U);
  writer_.wait(29'000);
  EXPECT_EQ(writer_.told, "");
  writer_.wait(2'000);
  EXPECT_EQ(writer_.told, "reset " + std::to_string(lane) + " kSlow; ");
  EXPECT_EQ(server_.door->delivery_used(), 0U);
  EXPECT_EQ(server_.door->counters().readers_slow, 1U);
}

TEST_F(ReaderMemory, IsTakenFromTheSlowWhereOthersWait) {
  store(10);
  Reader slow(server_);
  const std::uint32_t one = slow.subscribe(0, kHorizon, kTooLittle);
  const std::uint32_t two = slow.subscribe(0, kHorizon, kTooLittle);
  slow.settle();
  slow.wait(10'000);
  EXPECT_EQ(slow.told, "") << "nobody waits";
  const std::uint32_t lane = writer_.subscribe(0, kHorizon);
  writer_.settle();
  EXPECT_TRUE(writer_.texts(lane).empty());
  writer_.wait(6'000);  // 2 s, and one for each 64 KiB
  slow.carry();
  for (const std::uint32_t held : {one, two}) {
    EXPECT_NE(slow.told.find("reset " + std::to_string(held) + " kSlow; "), std::string::npos);
  }
  writer_.wait(1'000);
  EXPECT_TRUE(writer_.texts(lane) == texts_);
}

TEST_F(ReaderMemory, IsNotKeptByTheGone) {
  store(10);
  {
    Reader holds(server_);
    holds.subscribe(0, kHorizon, kTooLittle);
    holds.subscribe(0, kHorizon, kTooLittle);
    holds.settle();
    Reader waits(server_);
    for (int i = 0; i < 10; ++i) waits.subscribe(0, kHorizon);
    for (int i = 0; i < 10; ++i) waits.get(waits.session().open_lane({}), 0, kHorizon);
    waits.settle();
    Reader resets(server_);
    const std::uint32_t lane = resets.subscribe(0, kHorizon);
    resets.settle();
    resets.session().reset(lane, transport::CloseCode::kDone, "");
    resets.carry();
    server_.socket.vanish(waits.id());
    server_.socket.vanish(resets.id());
    server_.socket.vanish(holds.id());
  }
  const std::uint32_t lane = writer_.subscribe(0, kHorizon);
  writer_.settle();
  writer_.wait(500);
  EXPECT_TRUE(writer_.texts(lane) == texts_);
  EXPECT_EQ(server_.door->delivery_used(), 0U);
}

TEST_F(ReaderMemory, WaitsNoLongerThanTheDoor) {
  store(10);
  Reader holds(server_);
  holds.subscribe(0, kHorizon, kTooLittle);
  holds.subscribe(0, kHorizon, kTooLittle);
  holds.settle();
  writer_.subscribe(0, kHorizon);
  writer_.get(writer_.session().open_lane({}), 0, kHorizon);
  writer_.settle();
  server_.begin_drain();
  for (int i = 0; i < 100; ++i) {
    holds.wait(50);
    writer_.wait(50);
  }
  EXPECT_TRUE(server_.door->drained());
}

// What is on its way to a client that takes nothing holds memory, too.
TEST(ReaderMemoryOfOne, IsTakenFromWhoseConnectionStalls) {
  net::NativeOptions options;
  options.delivery_bytes = 256 * kKiB;
  ReadingServer server(options);
  Reader stalled(server);
  Reader other(server);
  const std::uint32_t puts = other.put_lane("s", 0);
  stalled.subscribe(0, kHorizon);
  stalled.settle();
  server.socket.set_stalled(true);  // all but who is let
  const auto let = [&](int times) {
    for (int i = 0; i < times; ++i) {
      server.pass(50);
      server.socket.take(other.id());
      other.carry();
    }
  };
  const Texts texts(4, std::string(50'000, 'x'));
  other.put(puts, batch_in(0, texts));
  let(10);
  EXPECT_GT(server.door->delivery_used(), 0U);
  const std::uint32_t lane = other.subscribe(0, kHorizon);
  let(240);
  EXPECT_TRUE(other.texts(lane) == texts);
  EXPECT_FALSE(stalled.connected());
  EXPECT_EQ(server.door->counters().readers_slow, 1U);
}

// As large as a message may be: more than a delivery's memory at first.
TEST(ReaderMemoryOfOne, HoldsTheLargestBatch) {
  ReadingServer server({}, roomy(64 * kMiB));
  Reader client(server);
  const Texts large(16, std::string(1'048'000, 'l'));
  client.store(1, {"before"});
  client.store_batch(1, batch_in(1, large));
  client.store(1, {"behind"});
  const std::uint32_t one = client.subscribe(1, kHorizon);
  const std::uint32_t two = client.subscribe(1, at(3));
  const Heard* got = client.got(1, at(1), {.bytes = 1, .records = 15});
  client.wait(3'000);
  ASSERT_NE(got, nullptr);
  ASSERT_EQ(got->kind(), MessageKind::kGot);
  EXPECT_TRUE(Reader::texts_of(*got) == Texts(large.begin(), large.end() - 1));
  EXPECT_EQ(client.texts(one).size(), 18U);
  EXPECT_EQ(client.texts(two).size(), 15U);
  EXPECT_EQ(client.told, "");
  EXPECT_EQ(server.door->delivery_used(), 0U);
}

}  // namespace
}  // namespace penstock::test
