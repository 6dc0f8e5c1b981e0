// Goal: a session opens, waits as long as it should, gives back what it holds, and ends. Method: a server's session spoken
// to in frames written by hand, and time by hand.
#include "tests/unit/transport/session_pair.h"

namespace penstock::transport {
namespace {

using namespace test;

constexpr std::int64_t kSecond = kNanosPerSecond;

struct Server {
  explicit Server(std::uint64_t budget = 64 * kMiB) : staging(budget, 16 * kMiB) {
    SessionOptions options;
    options.server = true;
    side = std::make_unique<Side>(options, staging);
  }
  std::string says(Raw& raw, Nanos now = kStart) {
    const auto bytes = raw.out();
    EXPECT_EQ(feed(*side, bytes, 1 << 20, now), bytes.size());
    return side->told();
  }
  std::string sends() { return frames_in(take(*side->session, kStart)); }
  Session& session() { return *side->session; }
  Staging staging;
  std::unique_ptr<Side> side;
};

TEST(SessionLife, WhoIsRefusedHearsSoBehindThePreface) {
  Staging staging(96 * kKiB, 64 * kKiB);
  SessionOptions options;
  options.server = true;
  Side first(options, staging);
  Side second(options, staging);
  EXPECT_FALSE(second.session->output_pending());
  feed(second, Raw().preface().out(), 100, kStart);
  EXPECT_EQ(second.told(), "closed kOverloaded no room for another session");
  EXPECT_EQ(frames_in(take(*second.session, kStart)), "preface; close kOverloaded; ");
  EXPECT_TRUE(second.session->closed());
}

TEST(SessionLife, WantsAPrefaceAndAGreeting) {
  Server silent;
  EXPECT_EQ(silent.session().next_deadline(), kStart + 10 * kSecond);
  silent.session().tick(kStart + 10 * kSecond - 1);
  silent.side->drain();
  EXPECT_EQ(silent.side->told(), "");
  silent.session().tick(kStart + 10 * kSecond);
  silent.side->drain();
  EXPECT_EQ(silent.side->told(), "closed kIdle no preface");
  EXPECT_EQ(silent.sends(), "");

  Server rude;
  Raw r;
  rude.says(r.preface(), kStart + 5 * kSecond);
  EXPECT_EQ(rude.session().next_deadline(), kStart + 15 * kSecond);
  rude.session().tick(rude.session().next_deadline());
  rude.side->drain();
  EXPECT_EQ(rude.side->told(), "closed kIdle no greeting");
  EXPECT_EQ(rude.sends(), "preface; close kIdle; ");
}

TEST(SessionLife, HalfAMessageHasToGrow) {
  Server server;
  Raw r;
  server.says(r.preface().message(0, 0, 8).plain(FrameType::kBlocked, kSessionLane, kMiB));
  const Nanos begun = kStart + 20 * kSecond;
  server.says(r.data(1, 0, 0, 8, kMiB), begun);
  EXPECT_EQ(server.session().next_deadline(), begun + 10 * kSecond);
  // 64 KiB are growth; one byte less is none.
  server.says(r.data(1, 0, 8, 64 * kKiB - 16, kMiB), begun + 6 * kSecond);
  EXPECT_EQ(server.session().next_deadline(), begun + 10 * kSecond);
  server.says(r.data(1, 0, 64 * kKiB - 8, 8, kMiB), begun + 9 * kSecond);
  EXPECT_EQ(server.session().next_deadline(), begun + 19 * kSecond);
  server.says(r.data(1, 0, 64 * kKiB, 8, kMiB), begun + 18 * kSecond);
  server.session().tick(begun + 19 * kSecond);
  server.side->drain();
  EXPECT_EQ(server.side->told(), "closed kStalled half a message did not grow");
  EXPECT_EQ(server.session().staged_bytes(), 8U);  // lane 0's, which is not released
  EXPECT_EQ(server.staging.outstanding(), 0U);
  EXPECT_EQ(server.staging.memory().messages(), 1U);
}

TEST(SessionLife, SilenceEndsItAndPingKeepsIt) {
  Server server;
  Raw r;
  server.says(r.preface().message(0, 0, 8));
  EXPECT_EQ(server.session().next_deadline(), kStart + 60 * kSecond);
  server.says(r.plain(FrameType::kPing, 0, 9), kStart + 59 * kSecond);
  EXPECT_EQ(server.session().next_deadline(), kStart + 119 * kSecond);
  server.session().tick(kStart + 119 * kSecond);
  server.side->drain();
  EXPECT_EQ(server.side->told(), "closed kIdle silence");
}

TEST(SessionLife, AClientAsksWhetherAnybodyIsThere) {
  Staging staging(kMiB, kMiB);
  Side client(SessionOptions{}, staging);
  feed(client, Raw().preface().message(0, 0, 8).out(), 100, kStart);
  take(*client.session, kStart);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(client.session->next_deadline(), kStart + 15 * kSecond * i);
    client.session->tick(client.session->next_deadline());
    EXPECT_EQ(frames_in(take(*client.session, client.session->next_deadline())),
              "ping " + std::to_string(i) + "; ");
  }
  // Nobody: that it has asked does not keep it.
  client.session->tick(kStart + 60 * kSecond);
  client.drain();
  EXPECT_EQ(client.told(), "message 0.0 8; closed kIdle silence");
}

TEST(SessionLife, LaneZeroIsNotReadWhileItHoldsWhatItMay) {
  Server server;
  Raw r;
  r.preface();
  for (std::uint32_t i = 0; i < 3; ++i) r.message(0, i, 60'000);
  r.message(1, 0, 8);
  const auto bytes = r.out();
  const std::size_t fed = feed(*server.side, bytes, 1 << 20, kStart);
  EXPECT_LT(fed, bytes.size());
  EXPECT_EQ(server.side->told(), "message 0.0 60000; message 0.1 60000");
  EXPECT_TRUE(server.session().destination().empty());
  EXPECT_EQ(server.session().next_deadline(), Nanos(INT64_MAX));  // it is not the peer that waits
  server.side->release(0);
  server.side->drain();
  feed(*server.side, std::span(bytes).subspan(fed), 1 << 20, kStart);
  EXPECT_EQ(server.side->told(), "message 0.2 60000; message 1.0 8 opens");
}

TEST(SessionLife, ReleasedMessagesAreGrantedAgain) {
  Server server;
  Raw r;
  EXPECT_EQ(server.says(r.preface().message(1, 0, 40'000)), "message 1.0 40000 opens");
  EXPECT_EQ(server.sends(), "preface; ");
  server.side->release_all();
  EXPECT_TRUE(server.session().output_pending());
  EXPECT_EQ(server.sends(), "credit session 105536; ");
  EXPECT_FALSE(server.session().output_pending());
}

TEST(SessionLife, AResetForgetsAndGivesBack) {
  Server server;
  Raw r;
  server.says(r.preface().message(1, 0, 8).data(1, 1, 0, 8, 40'000));
  server.side->release_all();
  EXPECT_EQ(server.session().staged_bytes(), 40'000U);
  Sending answer(1, 0, 100);
  server.session().send(1, answer.message);
  EXPECT_EQ(server.says(r.reset(1)), "reset 1 kGone ");
  EXPECT_EQ(answer.done, 1);
  EXPECT_FALSE(answer.sent);
  EXPECT_EQ(server.session().staged_bytes(), 0U);
  EXPECT_EQ(server.staging.memory().messages(), 0U);
  EXPECT_FALSE(server.session().has_lane(1));
  EXPECT_EQ(server.sends(), "preface; credit session 105544; ");
}

TEST(SessionLife, WhatCrossesOurResetCountsAsTaken) {
  Server server;
  Raw r;
  server.says(r.preface().message(1, 0, 8).data(1, 1, 0, 8, 30'000));
  server.side->release_all();
  server.session().reset(1, CloseCode::kReplaced, "a newer epoch");
  EXPECT_EQ(server.sends(), "preface; credit session 95544; reset 1 kReplaced; ");
  // The rest of the one that was half here, and another: neither is heard, and both are granted again.
  EXPECT_EQ(server.says(r.data(1, 1, 8, 29'992, 30'000).message(1, 2, 50'000).message(2, 0, 8)),
            "message 2.0 8 opens");
  EXPECT_EQ(server.sends(), "credit session 145544; ");
  // Beyond its credit it may not go there either.
  EXPECT_EQ(server.says(r.data(1, 3, 0, 8, 70'000)),
            "closed kCredit a message beyond the session's credit");
}

TEST(SessionLife, AResetWhileBytesAreAwaitedWaitsForThem) {
  Server server;
  Raw r;
  server.says(r.preface().message(1, 0, 8));
  server.side->release_all();
  const auto bytes = r.data(1, 1, 0, 20'000, 20'000).message(2, 0, 8).out();
  feed(*server.side, std::span(bytes).first(kFrameHeaderBytes + 64), 1 << 20, kStart);
  const std::span<std::byte> into = server.session().destination();
  ASSERT_EQ(into.size(), 20'000U - 64);
  server.session().reset(1, CloseCode::kGone, "");
  EXPECT_EQ(server.staging.memory().messages(), 1U);  // somebody may still write there
  std::memcpy(into.data(), bytes.data() + kFrameHeaderBytes + 64, into.size());
  server.session().arrived(into.size(), kStart);
  server.side->drain();
  EXPECT_EQ(server.staging.memory().messages(), 0U);
  EXPECT_EQ(server.session().staged_bytes(), 0U);
  feed(*server.side, std::span(bytes).subspan(kFrameHeaderBytes + 20'000), 1 << 20, kStart);
  EXPECT_EQ(server.side->told(), "message 2.0 8 opens");
}

TEST(SessionLife, ASmallPieceIsCopiedAndALargeOneIsPlaced) {
  Server server;
  Raw r;
  const auto bytes = r.preface().message(1, 0, 40'000).out();
  std::size_t at = 0;
  std::size_t placed = 0;
  while (at < bytes.size()) {
    const std::span<std::byte> into = server.session().destination();
    const std::size_t take = std::min(into.size(), bytes.size() - at);
    if (into.size() < 16 * kKiB - 64 || into.size() > 16 * kKiB) placed += take;
    std::memcpy(into.data(), bytes.data() + at, take);
    server.session().arrived(take, kStart);
    at += take;
    server.side->drain();
  }
  EXPECT_EQ(placed, 40'000 - (16 * kKiB - kPrefaceBytes - kFrameHeaderBytes));
  ASSERT_EQ(server.side->messages.size(), 1U);
  EXPECT_TRUE(as_sent(server.side->messages[0]));
}

TEST(SessionLife, ManyResetsOfManyLanesLeaveNothing) {
  Server server;
  Raw r;
  r.preface().message(0, 0, 8);
  server.says(r);
  server.side->release_all();
  for (std::uint32_t lane = 1; lane <= 20'000; ++lane) {
    server.says(r.message(lane, 0, 8));
    server.side->release_all();
    if (lane % 2 == 0) server.says(r.reset(lane));
    if (lane % 2 == 1) server.session().reset(lane, CloseCode::kGone, "no such shard");
    if (lane % 500 == 0) server.sends();
  }
  EXPECT_TRUE(server.session().open());
  EXPECT_EQ(server.session().lanes(), 0U);
  EXPECT_EQ(server.session().staged_bytes(), 0U);
}

// Resets that nobody reads: they are as many as lanes, then the peer is closed.
TEST(SessionLife, ResetsThatAreNotTakenAreBounded) {
  Server server;
  Raw r;
  server.says(r.preface());
  for (std::uint32_t lane = 1; lane <= 20'000 && server.session().open(); ++lane) {
    server.says(r.message(lane, 0, 8));
    server.side->release_all();
    if (server.session().has_lane(lane)) server.session().reset(lane, CloseCode::kGone, "");
  }
  EXPECT_EQ(server.side->code, CloseCode::kTooLarge);
}

// Many that begin ten megabytes and stop: no more than the budget lies there at any time, everybody comes to their
// turn, and everybody who stopped is closed for it.
TEST(SessionLife, AThousandHalfMessagesTakeWhatTheBudgetHas) {
  constexpr std::uint32_t kSize = 10 * kMiB;
  Staging staging(256 * kMiB, 16 * kMiB);
  std::vector<std::unique_ptr<Side>> sides;
  SessionOptions options;
  options.server = true;
  Raw r;
  for (int i = 0; i < 1000; ++i) {
    sides.push_back(std::make_unique<Side>(options, staging));
    feed(*sides.back(), r.preface().message(0, 0, 8).out(), 1 << 20, kStart);
    sides.back()->release_all();
  }
  for (auto& side : sides) {
    feed(*side, r.plain(FrameType::kBlocked, kSessionLane, kSize).out(), 1 << 20, kStart);
  }
  std::size_t stalled = 0;
  std::uint64_t most = 0;
  for (std::int64_t second = 0; second < 1000 && stalled < sides.size(); ++second) {
    const Nanos now = kStart + second * kSecond;
    for (auto& side : sides) {
      if (side == nullptr) continue;
      side->session->tick(now);
      side->drain();
      if (side->code != CloseCode::kDone) {
        EXPECT_EQ(side->code, CloseCode::kStalled);
        EXPECT_EQ(side->session->staged_bytes(), 0U);
        ++stalled;
        side = nullptr;
        continue;
      }
      const std::string frames = frames_in(take(*side->session, now));
      if (frames.find("credit session " + std::to_string(kSize)) != std::string::npos) {
        feed(*side, r.data(1, 0, 0, 8, kSize).out(), 1 << 20, now);
      } else if (second % 30 == 29) {
        feed(*side, r.plain(FrameType::kPing, 0, 1).out(), 1 << 20, now);
      }
    }
    most = std::max(most, staging.memory().used());
    staging.tick(now);
    while (staging.next_woken() != nullptr) {
    }
  }
  EXPECT_EQ(stalled, sides.size());
  EXPECT_LE(most, staging.budget() * 3 / 2);
  EXPECT_GE(most, staging.budget() / 2);
  EXPECT_EQ(staging.outstanding(), 0U);
  EXPECT_EQ(staging.memory().messages(), 0U);
}

}  // namespace
}  // namespace penstock::transport
