// Goal: a session begins with a Hello that proves who it is, and with nothing else. Method: clients that greet as
// PROTOCOL.md §4 and §7 say, and others that are wrong in one thing.
#include "tests/unit/net/native_harness.h"

namespace penstock::test {
namespace {

using proto::MessageKind;

// What a Hello of these words is told: "Welcome", or how the connection ends.
std::string greeted_with(const HelloWords& words) {
  NativeHarness server;
  NativeClient client(server);
  const std::uint64_t request = client.say_hello(words);
  client.carry();
  const Heard* heard = client.answer(request);
  if (heard == nullptr) return client.told;
  return heard->kind() == MessageKind::kWelcome && client.told.empty() ? "Welcome" : "?";
}

constexpr std::string_view kDenied =
    "closed kDenied the access key, its proof or the client's clock is wrong; ";

TEST(Greeting, WelcomeSaysWhatMayBeDone) {
  net::NativeOptions options;
  options.server = "penstock 9";
  options.core = CoreId(3);
  options.session.lanes_max = 77;
  options.session.idle_nanos = 5 * kNanosPerSecond;
  NativeHarness server(options);
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.carry();
  EXPECT_TRUE(client.heard.empty());
  const std::uint64_t request = client.say_hello();
  client.carry();
  const Heard* heard = client.answer(request);
  ASSERT_NE(heard, nullptr) << client.told;
  ASSERT_EQ(heard->kind(), MessageKind::kWelcome);
  EXPECT_EQ(heard->lane, 0U);
  EXPECT_EQ(heard->message.header.map_epoch, server.data.routes()->epoch);
  const auto& welcome = heard->as<proto::Welcome>();
  EXPECT_EQ(welcome.version(), 1U);
  EXPECT_EQ(welcome.server()->str(), "penstock 9");
  EXPECT_EQ(welcome.core(), 3U);
  EXPECT_EQ(welcome.message_max(), 16U * kMiB);
  EXPECT_EQ(welcome.lanes_max(), 77U);
  EXPECT_EQ(welcome.credit(), 64U * kKiB);
  EXPECT_EQ(welcome.idle_ms(), 5000U);
  EXPECT_EQ(welcome.server_time_ms(), NativeHarness::kStartMillis);
}

TEST(Greeting, SessionsHaveNumbersOfTheirOwn) {
  NativeHarness server;
  NativeClient first(server);
  NativeClient second(server);
  first.greet();
  second.greet();
  EXPECT_NE(first.heard.at(0)->as<proto::Welcome>().session(),
            second.heard.at(0)->as<proto::Welcome>().session());
  EXPECT_EQ(server.door.counters().sessions_open, 2U);
}

TEST(Greeting, VersionOneHasToBeAmongThoseOffered) {
  constexpr std::string_view kOther = "closed kVersion this server speaks version 1; ";
  EXPECT_EQ(greeted_with({.version_min = 0, .version_max = 1}), "Welcome");
  EXPECT_EQ(greeted_with({.version_min = 1, .version_max = 65'535}), "Welcome");
  EXPECT_EQ(greeted_with({.version_min = 2, .version_max = 3}), kOther);
  EXPECT_EQ(greeted_with({.version_min = 0, .version_max = 0}), kOther);
  EXPECT_EQ(greeted_with({.version_min = 2, .version_max = 0}), kOther);
}

TEST(Greeting, TheSecretHasToBeTheKeys) {
  EXPECT_EQ(greeted_with({.secret = "another secret"}), kDenied);
  EXPECT_EQ(greeted_with({.secret = ""}), kDenied);
  EXPECT_EQ(greeted_with({.access_key = "AKIASOMEBODY"}), kDenied);
  EXPECT_EQ(greeted_with({.access_key = ""}), kDenied);
  EXPECT_EQ(greeted_with({.access_key = std::string(kAccessKey) + '\0'}), kDenied);
}

TEST(Greeting, ATemporaryKeyIsNotTakenWithoutItsToken) {
  EXPECT_EQ(greeted_with({.access_key = "TEMPORARY"}), kDenied);
}

TEST(Greeting, ANonceHas16To64Bytes) {
  EXPECT_EQ(greeted_with({.nonce_bytes = 0}), kDenied);
  EXPECT_EQ(greeted_with({.nonce_bytes = 15}), kDenied);
  EXPECT_EQ(greeted_with({.nonce_bytes = 16}), "Welcome");
  EXPECT_EQ(greeted_with({.nonce_bytes = 64}), "Welcome");
  EXPECT_EQ(greeted_with({.nonce_bytes = 65}), kDenied);
  EXPECT_EQ(greeted_with({.nonce_bytes = 60'000}), kDenied);
}

TEST(Greeting, TheClocksAreWithinFiveMinutes) {
  EXPECT_EQ(greeted_with({.clock_ahead_ms = 300'000}), "Welcome");
  EXPECT_EQ(greeted_with({.clock_ahead_ms = 300'001}), kDenied);
  EXPECT_EQ(greeted_with({.clock_ahead_ms = -300'000}), "Welcome");
  EXPECT_EQ(greeted_with({.clock_ahead_ms = -300'001}), kDenied);
  EXPECT_EQ(greeted_with({.clock_ahead_ms = INT64_MAX - NativeHarness::kStartMillis}), kDenied);
  EXPECT_EQ(greeted_with({.clock_ahead_ms = INT64_MIN}), kDenied);
}

TEST(Greeting, AHelloWithoutAProofIsDenied) {
  for (const bool with_key : {false, true}) {
    NativeHarness server;
    NativeClient client(server);
    flatbuffers::FlatBufferBuilder table;
    const auto key = table.CreateString(std::string(kAccessKey));
    table.Finish(
        proto::CreateHello(table, 1, 1, 0, with_key ? key : 0, 0, server.data.wall().raw(), 0));
    client.say(0, MessageKind::kHello, &table);
    client.carry();
    EXPECT_EQ(client.told, kDenied);
    EXPECT_EQ(server.door.counters().denied, 1U);
    EXPECT_EQ(server.door.counters().violations, 0U);
  }
}

TEST(Greeting, WhoIsDeniedGetsNothingElseAndIsCutOff) {
  NativeHarness server;
  server.data.add_stream("s", 1);
  NativeClient client(server);
  client.say_hello({.secret = "wrong"});
  const std::uint64_t map = client.get_map("s");
  client.carry();
  EXPECT_EQ(client.answer(map), nullptr);
  EXPECT_TRUE(client.connected());  // so that it can read why
  server.pass(2500);
  EXPECT_FALSE(client.connected());
}

TEST(Greeting, NothingComesBeforeHello) {
  constexpr std::string_view kFirst = "closed kProtocol the first message is not Hello; ";
  NativeHarness server;
  server.data.add_stream("s", 1);
  {
    NativeClient client(server);
    client.get_map("s");
    client.carry();
    EXPECT_EQ(client.told, kFirst);
  }
  {
    NativeClient client(server);
    client.say(0, static_cast<MessageKind>(999));
    client.carry();
    EXPECT_EQ(client.told, kFirst);
  }
  {
    // An impatient one, that sends on a lane before it knows its credit.
    NativeClient client(server);
    client.session().welcome({.credit = 64 * kKiB});
    const std::uint32_t lane = client.session().open_lane({});
    client.open_put(lane, "s", 0);
    client.carry();
    EXPECT_EQ(client.told, kFirst);
    EXPECT_TRUE(client.heard.empty());
  }
  EXPECT_EQ(server.door.counters().violations, 3U);
}

TEST(Greeting, HelloBelongsOnLaneZero) {
  NativeHarness server;
  NativeClient client(server);
  client.session().welcome({.credit = 64 * kKiB});
  const std::uint32_t lane = client.session().open_lane({});
  client.say_hello({}, lane);
  client.carry();
  EXPECT_EQ(client.told, "closed kProtocol the first message is not Hello; ");
}

TEST(Greeting, ASecondHelloBreaksTheRules) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  client.say_hello();
  client.carry();
  EXPECT_EQ(client.told, "closed kProtocol a second Hello; ");
  EXPECT_EQ(server.door.counters().violations, 1U);
}

TEST(Greeting, KindsThatTheServerDoesNotKnowAreAnsweredSo) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  const std::uint32_t lane = client.session().open_lane({});
  for (const std::uint16_t kind :
       {std::uint16_t{0}, std::uint16_t{9}, std::uint16_t{50}, std::uint16_t{65'535}}) {
    for (const std::uint32_t on : {0U, lane}) {
      const std::uint64_t request = client.say(on, static_cast<MessageKind>(kind));
      client.carry();
      const proto::Failure* failure = client.failure(request);
      ASSERT_NE(failure, nullptr) << kind << client.told;
      EXPECT_EQ(failure->code(), static_cast<std::uint32_t>(ErrorCode::kUnsupported));
      EXPECT_FALSE(failure->text()->str().empty());
    }
  }
  EXPECT_EQ(client.told, "");
}

TEST(Greeting, WhatAServerSaysIsNotForAClientToSay) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  flatbuffers::FlatBufferBuilder table;
  table.Finish(proto::CreateAdminResult(table));
  const std::uint64_t request = client.say(0, MessageKind::kAdminDone, &table);
  client.carry();
  ASSERT_NE(client.failure(request), nullptr);
  EXPECT_EQ(client.failure(request)->code(), static_cast<std::uint32_t>(ErrorCode::kUnsupported));
}

TEST(Greeting, AMalformedTableClosesTheSession) {
  NativeHarness server;
  NativeClient client(server);
  client.greet();
  const std::vector<std::byte> junk(64, std::byte{0xEE});
  client.say(0, MessageKind::kGetMap, nullptr, junk);  // no table, an attachment that may not be
  client.carry();
  EXPECT_EQ(client.told, "closed kProtocol a message's header or table is malformed; ");
  EXPECT_EQ(server.door.counters().violations, 1U);
}

}  // namespace
}  // namespace penstock::test
