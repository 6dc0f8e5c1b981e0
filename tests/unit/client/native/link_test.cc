// Goal: the link greets, is lost and comes back, with the patience that it promises, and tells its users of it.
// Method: a link joined to a server in memory, in virtual time.
#include "tests/unit/client/native/rig.h"

#include <algorithm>

namespace penstock::client::native {
namespace {

using namespace test;

struct Watcher final : LinkUser, LaneUser, RequestUser {
  explicit Watcher(Link& the_link) : link(the_link) { link.add(*this); }
  ~Watcher() override { link.remove(*this); }
  void on_open(Nanos) override { told.emplace_back("open"); }
  void on_lost(Nanos) override { told.emplace_back("lost"); }
  void on_map_changed(std::string_view stream, Nanos) override {
    told.emplace_back("changed " + std::string(stream));
  }
  void on_message(const proto::DecodedMessage& message, Nanos) override {
    told.emplace_back("message " + std::to_string(static_cast<int>(message.header.kind)));
  }
  void on_lane_end(transport::CloseCode code, bool lost, Nanos) override {
    told.emplace_back(lost ? "lane lost" : "lane " + std::string(name(code)));
  }
  void on_answer(std::uint64_t, const proto::DecodedMessage& answer, Nanos) override {
    told.emplace_back("answer " + std::to_string(static_cast<int>(answer.header.kind)));
  }
  void on_unanswered(std::uint64_t, Nanos) override { told.emplace_back("unanswered"); }
  std::string all() {
    std::string joined;
    for (const std::string& line : told) joined += (joined.empty() ? "" : "; ") + line;
    told.clear();
    return joined;
  }
  Link& link;
  std::vector<std::string> told;
};

flatbuffers::FlatBufferBuilder stream_name(const std::string& name) {
  flatbuffers::FlatBufferBuilder table;
  table.Finish(proto::CreateStreamName(table, table.CreateString(name)));
  return table;
}

TEST(Link, GreetsWithAProofAndOpens) {
  Rig rig;
  Watcher watcher(rig.link);
  rig.run(1);
  EXPECT_EQ(watcher.all(), "open");
  EXPECT_EQ(rig.heard(), "Hello");
  EXPECT_EQ(rig.link.problem(), "");
}

TEST(Link, SaysWhyItIsDeniedAndGoesOnTrying) {
  Rig rig(1, Rig::options_of("not the secret"));
  rig.run(2);
  EXPECT_FALSE(rig.link.open());
  EXPECT_EQ(rig.link.problem(), "kDenied: the proof is wrong");
  EXPECT_EQ(rig.link.problem_code(), ErrorCode::kDenied);
  rig.run(20'000);
  EXPECT_GE(std::ranges::count(rig.server.log, "Hello"), 4);
}

TEST(Link, TellsLanesAndRequestsOfTheLossBeforeItOpensAgain) {
  Rig rig;
  Watcher watcher(rig.link);
  rig.run(1);
  const std::uint32_t lane = rig.link.open_lane({}, watcher);
  ASSERT_NE(lane, 0U);
  static_cast<void>(rig.link.request(proto::MessageKind::kGetMap, stream_name("none"), watcher));
  rig.cut();
  EXPECT_EQ(watcher.all(), "open; lane lost; unanswered; lost");
  rig.run(60);
  EXPECT_EQ(watcher.all(), "open");
}

TEST(Link, AnswersGoToWhoAsked) {
  Rig rig;
  Watcher watcher(rig.link);
  rig.server.create("s", 1);
  rig.run(1);
  static_cast<void>(rig.link.request(proto::MessageKind::kGetMap, stream_name("s"), watcher));
  static_cast<void>(rig.link.request(proto::MessageKind::kGetMap, stream_name("t"), watcher));
  rig.run(1);
  rig.server.split("s", 0);
  rig.run(1);
  EXPECT_EQ(watcher.all(), "open; answer 5; answer 3; changed s");
}

TEST(Link, ALaneThatTheServerResetsEndsForItsUserAlone) {
  Rig rig;
  Watcher watcher(rig.link);
  rig.run(1);
  const std::uint32_t lane = rig.link.open_lane({.own_account = true}, watcher);
  flatbuffers::FlatBufferBuilder table;
  table.Finish(proto::CreateSubscribe(table, table.CreateString("none")));
  rig.link.send(lane, {.kind = proto::MessageKind::kSubscribe}, table);
  rig.run(1);
  EXPECT_EQ(watcher.all(), "open; lane kGone");
  EXPECT_TRUE(rig.link.open());
}

TEST(Link, WaitsAnyTimeUpToALimitThatDoubles) {
  Rig rig;
  rig.reachable = false;
  std::int64_t limit = 50 * kNanosPerMilli;
  std::int64_t longest = 0;
  for (int attempt = 0; attempt < 40; ++attempt) {
    while (!rig.link.wants_connection(rig.now())) rig.step(kNanosPerMilli);
    rig.link.on_connecting(rig.now());
    rig.link.on_disconnected("refused", rig.now());
    const std::int64_t wait = rig.link.next_deadline() - rig.now();
    EXPECT_GE(wait, 0);
    EXPECT_LE(wait, limit);
    longest = std::max(longest, wait);
    limit = std::min(limit * 2, 5 * kNanosPerSecond);
  }
  EXPECT_GT(longest, 2 * kNanosPerSecond);
  EXPECT_EQ(rig.link.problem(), "refused");
}

TEST(Link, ComesBackToAnOverloadedServerNotBeforeASecond) {
  Rig rig;
  rig.run(1);
  ASSERT_TRUE(rig.link.open());
  rig.connection->session().close(transport::CloseCode::kOverloaded, "full");
  rig.carry();
  EXPECT_FALSE(rig.link.open());
  EXPECT_EQ(rig.link.problem_code(), ErrorCode::kOverloaded);
  EXPECT_GE(rig.link.next_deadline() - rig.now(), kNanosPerSecond);
  rig.run(1'060);
  EXPECT_TRUE(rig.link.open());
}

TEST(Link, SaysThatTheServerIsFullAndComesBackNotBeforeASecond) {
  Rig rig;
  Watcher watcher(rig.link);
  rig.server.full = true;
  rig.run(1);
  EXPECT_FALSE(rig.link.open());
  EXPECT_EQ(rig.link.problem(), "kOverloaded: no room for another session");
  EXPECT_EQ(rig.link.problem_code(), ErrorCode::kOverloaded);
  EXPECT_GE(rig.link.next_deadline() - rig.now(), kNanosPerSecond);
  rig.run(900);
  EXPECT_EQ(rig.heard(), "Close kOverloaded no room for another session") << "once, and no Hello";
  rig.server.full = false;
  rig.run(160);
  EXPECT_EQ(watcher.all(), "open");
  EXPECT_EQ(rig.link.problem(), "");
}

TEST(Link, TriesTheNextEndpointWhenTheServerStops) {
  LinkOptions options = Rig::options_of(FakeServer::kSecret);
  options.endpoints.push_back({.host = "there", .port = 2, .tls = nullptr});
  Rig rig(1, options);
  rig.run(1);
  EXPECT_EQ(rig.link.endpoint().host, "here");
  rig.connection->session().close(transport::CloseCode::kStopping, "the server stops");
  rig.run(60);
  EXPECT_TRUE(rig.link.open());
  EXPECT_EQ(rig.link.endpoint().host, "there");
}

TEST(Link, GivesUpAServerThatDoesNotGreet) {
  Rig rig;
  rig.reachable = false;
  rig.step(1);
  rig.link.on_connecting(rig.now());
  rig.link.on_connected(rig.now());
  rig.run(12'100);  // of which two seconds are for CLOSE
  EXPECT_FALSE(rig.link.has_connection());
}

TEST(Link, ClosesWithAWordAndStaysClosed) {
  Rig rig;
  Watcher watcher(rig.link);
  rig.run(1);
  rig.link.close(rig.now());
  EXPECT_EQ(watcher.all(), "open; lost");
  rig.run(3'000);
  EXPECT_TRUE(rig.link.closed());
  EXPECT_EQ(rig.heard(), "Hello; Close kDone the client is done");
}

TEST(Link, KeepsASilentConnectionAlive) {
  Rig rig;
  rig.run(1);
  for (int i = 0; i < 300; ++i) rig.step(kNanosPerSecond);
  EXPECT_TRUE(rig.link.open());
  EXPECT_EQ(rig.heard(), "Hello");
}

}  // namespace
}  // namespace penstock::client::native
