// Goal: who breaks a rule of PROTOCOL.md §1–§3 is closed with the code that it names, and who keeps them is not.
// Method: a server's session, spoken to in frames written by hand; once in one piece, once byte by byte.
#include "tests/unit/transport/session_pair.h"

namespace penstock::transport {
namespace {

using namespace test;

class Rules : public testing::TestWithParam<std::size_t> {
 protected:
  // What the server made of it.
  std::string server_hears(Raw& raw) { return server_hears(raw, SessionOptions{}); }
  std::string server_hears(Raw& raw, SessionOptions options) {
    options.server = true;
    Side side(options, staging_);
    feed(side, raw.out(), GetParam(), kStart);
    sent_ = frames_in(take(*side.session, kStart));
    const std::string told = side.told();
    side.release_all();
    EXPECT_TRUE(side.code == CloseCode::kDone || side.session->staged_bytes() == 0);
    return told;
  }
  Raw raw() {
    Raw r;
    r.preface();
    return r;
  }
  Staging staging_{64 * kMiB, 16 * kMiB};
  std::string sent_;
};

TEST_P(Rules, MessagesComeInTheOrderOfTheirLastBytes) {
  Raw r = raw();
  r.message(0, 0, 40).data(1, 0, 0, 16, 24).message(5, 0, 1000).data(1, 0, 16, 8, 24);
  r.message(1, 1, 8).message(5, 1, 1);
  EXPECT_EQ(
      server_hears(r),
      "message 0.0 40; message 5.0 1000 opens; message 1.0 24 opens; message 1.1 8; message 5.1 1");
}

TEST_P(Rules, LaneNumbersAscend) {
  Raw r = raw();
  r.message(2, 0, 8).message(7, 0, 8);
  EXPECT_EQ(server_hears(r), "message 2.0 8 opens; message 7.0 8 opens");
  // One below the highest is taken for one that was reset: passed over.
  r = raw();
  r.message(7, 0, 8).message(2, 0, 8).message(7, 1, 8);
  EXPECT_EQ(server_hears(r), "message 7.0 8 opens; message 7.1 8");
}

TEST_P(Rules, WhatIsNoPrefaceGetsNoAnswer) {
  Raw r;
  r.bytes(std::string_view("GET / HTTP/1.1\r\n\r\n") |
          std::views::transform([](char c) { return static_cast<std::byte>(c); }));
  EXPECT_EQ(server_hears(r), "closed kProtocol no preface of this protocol");
  EXPECT_EQ(sent_, "");
}

TEST_P(Rules, BreakersAreClosedWithTheCodeThatIsNamed) {
  struct Case {
    const char* expected;
    std::function<void(Raw&)> say;
  };
  const Case cases[] = {
      {"closed kProtocol a message out of order", [](Raw& r) { r.message(0, 1, 8); }},
      {"closed kProtocol a message out of order", [](Raw& r) { r.data(0, 0, 8, 8, 24); }},
      {"closed kProtocol a lane begins within a message", [](Raw& r) { r.message(1, 1, 8); }},
      {"closed kProtocol a lane begins within a message", [](Raw& r) { r.data(1, 0, 8, 8, 24); }},
      {"closed kProtocol a piece that does not follow the one before",
       [](Raw& r) { r.data(1, 0, 0, 8, 24).data(1, 0, 16, 8, 24); }},
      {"closed kProtocol a piece that does not follow the one before",
       [](Raw& r) { r.data(1, 0, 0, 8, 24).data(1, 0, 0, 8, 24); }},
      {"closed kProtocol a piece that does not follow the one before",
       [](Raw& r) { r.data(1, 0, 0, 8, 24).data(1, 1, 8, 8, 24); }},
      {"closed kProtocol a piece that does not follow the one before",
       [](Raw& r) { r.data(1, 0, 0, 8, 24).data(1, 0, 8, 8, 32); }},
      {"closed kProtocol DATA without a payload", [](Raw& r) { r.data(1, 0, 0, 0, 24); }},
      {"closed kProtocol a piece is no multiple of 8", [](Raw& r) { r.data(1, 0, 0, 9, 24); }},
      {"closed kProtocol a message too large for lane 0",
       [](Raw& r) { r.data(0, 0, 0, 8, 64 * kKiB + 1); }},
      {"closed kTooLarge a message above the limit",
       [](Raw& r) { r.data(1, 0, 0, 8, 16 * kMiB + 1); }},
      {"closed kTooLarge a frame above the limit",
       [](Raw& r) { r.data(1, 0, 0, 64 * kKiB + 8, kMiB); }},
      {"closed kCredit a message beyond the session's credit",
       [](Raw& r) { r.data(1, 0, 0, 8, 64 * kKiB + 1); }},
      {"closed kCredit a message beyond the session's credit",
       [](Raw& r) { r.data(1, 0, 0, 8, 40 * kKiB).data(2, 0, 0, 8, 24 * kKiB + 1); }},
      {"closed kProtocol a frame of no known type",
       [](Raw& r) { r.bytes(FrameBytes{std::byte{8}}); }},
      {"closed kProtocol RESET of a lane that always is", [](Raw& r) { r.reset(0); }},
      {"closed kProtocol a payload where there is none",
       [](Raw& r) { r.frame({.type = FrameType::kPing, .length = 8}); }},
  };
  for (const Case& c : cases) {
    Raw r = raw();
    c.say(r);
    const std::string expected = c.expected;
    EXPECT_EQ(server_hears(r), expected);
    const std::string code = expected.substr(7, expected.find(' ', 7) - 7);
    EXPECT_EQ(sent_, "preface; close " + code + "; ");
  }
}

TEST_P(Rules, AsManyLanesAsAllowedMayBeOpen) {
  SessionOptions options;
  options.lanes_max = 3;
  Raw r = raw();
  for (std::uint32_t lane = 1; lane <= 3; ++lane) r.message(lane, 0, 8);
  r.reset(2).message(4, 0, 8).message(5, 0, 8);
  EXPECT_EQ(server_hears(r, options),
            "message 1.0 8 opens; message 2.0 8 opens; message 3.0 8 opens; reset 2 kGone ; "
            "message 4.0 8 opens; closed kTooLarge more lanes than allowed");
}

TEST_P(Rules, FramesOfLaterVersionsArePassedOver) {
  Raw r = raw();
  FrameBytes later{std::byte{200}, std::byte{77}, std::byte{5}};
  later[4] = std::byte{13};
  r.bytes(later).bytes(std::array<std::byte, 16>{}).message(1, 0, 8);
  EXPECT_EQ(server_hears(r), "message 1.0 8 opens");
}

TEST_P(Rules, LaneZeroHoldsAsManyOpenRequestsAsAllowed) {
  SessionOptions options;
  options.control_waiting_max = 2;
  Raw r = raw();
  r.message(0, 0, 8).message(0, 1, 8).message(0, 2, 8);
  EXPECT_EQ(
      server_hears(r, options),
      "message 0.0 8; message 0.1 8; closed kProtocol more open requests than allowed on lane 0");
}

TEST_P(Rules, AFloodOfPingsGetsTheLatestAnswer) {
  Raw r = raw();
  for (std::uint64_t i = 1; i <= 10'000; ++i) r.plain(FrameType::kPing, 0, i);
  EXPECT_EQ(server_hears(r), "");
  EXPECT_EQ(sent_, "preface; pong 10000; ");
}

TEST_P(Rules, FloodsOfCreditAndBlockedCostNothing) {
  Raw r = raw();
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    r.plain(FrameType::kBlocked, kSessionLane, 64 * kKiB + i * 8);
    r.plain(FrameType::kCredit, kSessionLane, i);
    r.plain(FrameType::kCredit, 9, i);
    r.plain(FrameType::kBlocked, 9, i);
    r.reset(9);
  }
  EXPECT_EQ(server_hears(r), "");
  EXPECT_EQ(sent_, "preface; credit session 73536; ");
}

TEST_P(Rules, ThePeersCloseEndsIt) {
  Raw r = raw();
  FrameHeader h{.type = FrameType::kClose};
  h.code = CloseCode::kStopping;
  r.message(1, 0, 8).frame(h).message(1, 1, 8);
  EXPECT_EQ(server_hears(r), "message 1.0 8 opens; closed by peer kStopping ");
  EXPECT_EQ(sent_, "preface; ");
}

INSTANTIATE_TEST_SUITE_P(Pieces, Rules, testing::Values(1, 13, 1 << 20));

}  // namespace
}  // namespace penstock::transport
