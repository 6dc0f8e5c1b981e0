// Goal: a client learns a stream's shards, page by page, and hears once of every change. Method: streams that are
// changed under a client that has asked for their maps.
#include "tests/unit/net/native_harness.h"

#include <set>

namespace penstock::test {
namespace {

using proto::MessageKind;

struct Asking {
  explicit Asking(const std::string& stream = "s", std::uint32_t shards = 2) {
    server.data.add_stream(stream, shards);
    client.greet();
    client.heard.clear();
  }
  const Heard* map(const std::string& stream, std::uint32_t from = 0) {
    const std::uint64_t request = client.get_map(stream, from);
    client.carry();
    return client.answer(request);
  }
  // Names told to have changed since the last call, each once.
  std::string changes() {
    client.carry();
    std::set<std::string> names;
    for (const auto& one : client.heard) {
      if (one->kind() != MessageKind::kMapChanged) continue;
      EXPECT_EQ(one->message.header.request, 0U);
      EXPECT_EQ(one->lane, 0U);
      EXPECT_EQ(one->message.header.map_epoch, server.data.routes()->epoch);
      EXPECT_TRUE(names.insert(one->as<proto::StreamName>().name()->str()).second);
    }
    client.heard.clear();
    std::string told;
    for (const std::string& name : names) told += name + ";";
    return told;
  }
  NativeHarness server;
  NativeClient client{server};
};

TEST(Maps, TellAStreamsShards) {
  Asking asking;
  asking.server.data.change("s", [](route::StreamRoute& stream) {
    stream.retention_hours = 48;
    stream.record_bytes_max = 2048;
    stream.shards[1].core = CoreId(7);
  });
  asking.server.data.split("s", 0, {.high = 1ULL << 62U, .low = 0});
  const Heard* heard = asking.map("s");
  ASSERT_NE(heard, nullptr);
  ASSERT_EQ(heard->kind(), MessageKind::kMap);
  const auto& map = heard->as<proto::ShardMap>();
  const route::StreamRoute& stream = *asking.server.data.routes()->find("s");
  EXPECT_EQ(map.name()->str(), "s");
  EXPECT_EQ(map.stream(), stream.uid.raw());
  EXPECT_EQ(map.epoch(), asking.server.data.routes()->epoch);
  EXPECT_EQ(map.state(), proto::StreamState::Active);
  EXPECT_EQ(map.record_bytes_max(), 2048U);
  EXPECT_EQ(map.retention_hours(), 48U);
  EXPECT_FALSE(map.more());
  ASSERT_EQ(map.shards()->size(), 4U);
  for (std::uint32_t i = 0; i < 4; ++i) {
    const proto::Shard& told = *map.shards()->Get(i);
    const route::ShardRoute& shard = stream.shards[i];
    EXPECT_EQ(told.number(), i);
    EXPECT_EQ(told.begin()->high(), shard.begin.high);
    EXPECT_EQ(told.begin()->low(), shard.begin.low);
    EXPECT_EQ(told.end()->high(), shard.end.high);
    EXPECT_EQ(told.end()->low(), shard.end.low);
    EXPECT_EQ(told.open(), i != 0);
    EXPECT_EQ(told.created_second(), shard.created_second);
    EXPECT_EQ(told.parent(), i < 2 ? UINT32_MAX : 0);
    EXPECT_EQ(told.adjacent_parent(), UINT32_MAX);
    EXPECT_EQ(told.core(), i == 1 ? 7 : 0);
  }
}

TEST(Maps, ComeInPagesOf512Shards) {
  Asking asking("s", 1030);
  std::uint32_t next = 0;
  for (const std::uint32_t size : {512U, 512U, 6U}) {
    const Heard* heard = asking.map("s", next);
    ASSERT_NE(heard, nullptr) << asking.client.told;
    EXPECT_LE(heard->bytes.size() * 8, 64U * kKiB);  // what lane 0 takes
    const auto& map = heard->as<proto::ShardMap>();
    ASSERT_EQ(map.shards()->size(), size);
    for (std::uint32_t i = 0; i < size; ++i) EXPECT_EQ(map.shards()->Get(i)->number(), next + i);
    next += size;
    EXPECT_EQ(map.more(), next < 1030);
  }
  const Heard* behind = asking.map("s", next);
  EXPECT_EQ(behind->as<proto::ShardMap>().shards()->size(), 0U);
  EXPECT_FALSE(behind->as<proto::ShardMap>().more());
  EXPECT_EQ(asking.map("s", UINT32_MAX)->as<proto::ShardMap>().shards()->size(), 0U);
}

TEST(Maps, APageOfExactly512IsTheLast) {
  Asking asking("s", 512);
  EXPECT_FALSE(asking.map("s")->as<proto::ShardMap>().more());
}

TEST(Maps, PagesPassOverShardsThatAreGone) {
  Asking asking("s", 5);
  asking.server.data.expire_shard("s", 2);
  const auto* heard = asking.map("s", 2);
  const auto& map = heard->as<proto::ShardMap>();
  ASSERT_EQ(map.shards()->size(), 2U);
  EXPECT_EQ(map.shards()->Get(0)->number(), 3U);
}

TEST(Maps, OfAStreamThatIsNot) {
  Asking asking;
  flatbuffers::FlatBufferBuilder nameless;
  nameless.Finish(proto::CreateStreamName(nameless));
  const std::uint64_t none = asking.client.say(0, MessageKind::kGetMap, &nameless);
  asking.map("t");
  EXPECT_EQ(asking.client.count(MessageKind::kFailed), 2U);
  EXPECT_EQ(asking.client.failure(none)->code(), static_cast<std::uint32_t>(ErrorCode::kNotFound));
}

TEST(Maps, AChangeIsToldOnce) {
  Asking asking;
  asking.server.data.add_stream("t", 1);
  static_cast<void>(asking.map("s"));
  EXPECT_EQ(asking.changes(), "");
  asking.server.data.split("s", 0, {.high = 1ULL << 62U, .low = 0});
  EXPECT_EQ(asking.changes(), "s;");
  EXPECT_EQ(asking.changes(), "");
  // Others' changes, and changes of streams that it has not asked for, are nothing to it.
  asking.server.data.split("t", 0, {.high = 1ULL << 62U, .low = 0});
  EXPECT_EQ(asking.changes(), "");
  static_cast<void>(asking.map("t"));
  static_cast<void>(asking.map("s"));
  asking.server.data.merge("s", 2, 3);
  asking.server.data.split("t", 2, {.high = 1ULL << 63U | 1ULL << 62U, .low = 0});
  EXPECT_EQ(asking.changes(), "s;t;");
}

TEST(Maps, ChangesAreToldWithinTheTurn) {
  Asking asking;
  static_cast<void>(asking.map("s"));
  asking.server.data.split("s", 0, {.high = 1ULL << 62U, .low = 0});
  EXPECT_EQ(asking.server.door.next_deadline(), Nanos{0});
  EXPECT_EQ(asking.changes(), "s;");
  EXPECT_GT(asking.server.door.next_deadline(), asking.server.now);
}

// A newer route may well lie where an older one has lain.
TEST(Maps, ChangesInQuickSuccessionAreNotTakenForNone) {
  Asking asking;
  for (int round = 0; round < 32; ++round) {
    static_cast<void>(asking.map("s"));
    asking.changes();
    for (int i = 0; i < 2; ++i) {
      asking.server.data.change("s", [&](route::StreamRoute& stream) { ++stream.retention_hours; });
    }
    ASSERT_EQ(asking.changes(), "s;") << round;
  }
}

TEST(Maps, AStreamThatGoesAndComesAgainHasChangedTwice) {
  Asking asking;
  static_cast<void>(asking.map("s"));
  asking.server.data.remove_stream("s");
  EXPECT_EQ(asking.changes(), "s;");
  asking.server.data.add_stream("other", 1);
  EXPECT_EQ(asking.changes(), "");
  asking.server.data.add_stream("s", 1);
  EXPECT_EQ(asking.changes(), "s;");
}

TEST(Maps, EveryClientThatAskedIsTold) {
  Asking asking;
  NativeClient second(asking.server);
  NativeClient third(asking.server);
  second.greet();
  third.greet();
  static_cast<void>(asking.map("s"));
  second.get_map("s");
  second.carry();
  asking.server.data.split("s", 1, {.high = 3ULL << 62U, .low = 0});
  EXPECT_EQ(asking.changes(), "s;");
  second.carry();
  third.carry();
  EXPECT_EQ(second.count(MessageKind::kMapChanged), 1U);
  EXPECT_EQ(third.count(MessageKind::kMapChanged), 0U);
}

TEST(Maps, AChangeIsToldToAClientThatTakesItsTime) {
  Asking asking;
  static_cast<void>(asking.map("s"));
  asking.client.heard.clear();
  asking.server.socket.set_stalled(true);
  for (int i = 0; i < 3; ++i) {
    asking.server.data.change("s", [](route::StreamRoute& stream) { ++stream.retention_hours; });
    asking.server.poll();
  }
  asking.server.socket.set_stalled(false);
  asking.client.carry();
  EXPECT_EQ(asking.client.count(MessageKind::kMapChanged), 3U);
}

}  // namespace
}  // namespace penstock::test
