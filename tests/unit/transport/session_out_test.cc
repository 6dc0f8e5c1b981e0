// Goal: messages leave under credit, by priority and in order, without a copy, and nothing is stuck. Method: a client's
// and a server's session whose output is read as frames.
#include "tests/unit/transport/session_pair.h"

#include <map>

namespace penstock::transport {
namespace {

using namespace test;

// A client that is open and welcomed.
struct Client {
  explicit Client(std::uint64_t credit = kMiB) : side(SessionOptions{}, staging) {
    says(raw.preface().message(0, 0, 8));
    session().welcome({.credit = credit});
    EXPECT_EQ(sends(), "preface; ");
    side.release_all();
    static_cast<void>(side.told());
  }
  Session& session() { return *side.session; }
  std::string says(Raw& r) {
    feed(side, r.out(), 1 << 20, kStart);
    return side.told();
  }
  std::string sends(std::size_t bytes_max = 256 * kKiB) {
    return frames_in(take(session(), kStart, bytes_max));
  }
  Raw raw;
  Staging staging{64 * kMiB, 16 * kMiB};
  Side side;
};

TEST(SessionOut, MessagesLeaveInPiecesWithoutACopy) {
  Client client;
  const std::uint32_t lane = client.session().open_lane({.priority = Priority::kPut});
  Sending message(lane, 0, 150'001, 3);
  client.session().send(lane, message.message);
  std::span<const std::byte> spans[64];
  const std::size_t count = client.session().gather(spans, 1 << 20);
  std::size_t own = 0;
  std::vector<std::byte> all;
  for (const auto& span : std::span(spans).first(count)) {
    const bool payload =
        span.data() >= message.bytes.data() && span.data() < message.bytes.data() + 150'001;
    if (!payload) own += span.size();
    all.insert(all.end(), span.begin(), span.end());
  }
  EXPECT_EQ(own, 3 * kFrameHeaderBytes + 7);
  EXPECT_EQ(client.session().gather(spans, 1 << 20), 0U);  // not all is sent yet
  EXPECT_EQ(message.done, 0);
  client.session().sent(kStart);
  EXPECT_EQ(message.done, 1);
  EXPECT_TRUE(message.sent);
  EXPECT_EQ(frames_in(all), "data 1.0 0+65536; data 1.0 65536+65536; data 1.0 131072+18929 last; ");
  Staging staging(64 * kMiB, 16 * kMiB);
  SessionOptions options;
  options.server = true;
  Side server(options, staging);
  feed(server, Raw().preface().plain(FrameType::kBlocked, kSessionLane, kMiB).out(), 100, kStart);
  feed(server, all, 1 << 20, kStart);
  ASSERT_EQ(server.messages.size(), 1U);
  EXPECT_TRUE(as_sent(server.messages[0]));
}

TEST(SessionOut, APieceIsCutToWhatIsAskedFor) {
  Client client;
  const std::uint32_t lane = client.session().open_lane({});
  Sending message(lane, 0, 10'000);
  client.session().send(lane, message.message);
  EXPECT_EQ(client.sends(4096), "data 1.0 0+4064; data 1.0 4064+4064; data 1.0 8128+1872 last; ");
}

TEST(SessionOut, NothingIsSentBeyondCreditAndBlockedIsSaidOnce) {
  Client client(1000);
  const std::uint32_t lane = client.session().open_lane({});
  Sending first(lane, 0, 993), second(lane, 1, 100), third(lane, 2, 8);
  client.session().send(lane, first.message);
  client.session().send(lane, second.message);
  client.session().send(lane, third.message);
  EXPECT_EQ(client.sends(), "data 1.0 0+993 last; blocked session 1104; ");
  EXPECT_EQ(client.session().credit(lane), 0U);
  EXPECT_EQ(client.sends(), "");
  EXPECT_EQ(client.says(client.raw.plain(FrameType::kCredit, kSessionLane, 1096)),
            "credit session");
  EXPECT_EQ(client.sends(), "");
  client.says(client.raw.plain(FrameType::kCredit, kSessionLane, 1104));
  EXPECT_EQ(client.sends(), "data 1.1 0+100 last; blocked session 1112; ");
  // An older number is none.
  EXPECT_EQ(client.says(client.raw.plain(FrameType::kCredit, kSessionLane, 500)), "");
  client.side.session.reset();  // with the last one still queued
  EXPECT_EQ(third.done, 1);
  EXPECT_FALSE(third.sent);
}

TEST(SessionOut, SmallOnesDoNotPassALargeOneThatWaitsForCredit) {
  Client client(1000);
  const std::uint32_t large_lane = client.session().open_lane({.priority = Priority::kPut});
  const std::uint32_t small_lane = client.session().open_lane({.priority = Priority::kTail});
  Sending open_large(1, 0, 8), open_small(2, 0, 8);
  client.session().send(large_lane, open_large.message);
  client.session().send(small_lane, open_small.message);
  EXPECT_EQ(client.sends(), "data 1.0 0+8 last; data 2.0 0+8 last; ");
  Sending large(1, 1, 2000), small(2, 1, 8);
  client.session().send(large_lane, large.message);
  client.session().send(small_lane, small.message);
  EXPECT_EQ(client.sends(), "blocked session 2024; ");  // for both: the second is small
  client.says(client.raw.plain(FrameType::kCredit, kSessionLane, 2024));
  EXPECT_EQ(client.sends(), "data 2.1 0+8 last; data 1.1 0+2000 last; ");
}

TEST(SessionOut, AResetGivesBackTheCreditThatNothingWasSentFor) {
  Client client(1000);
  const std::uint32_t first = client.session().open_lane({});
  const std::uint32_t second = client.session().open_lane({});
  Sending a(first, 0, 1000), b(second, 0, 800);
  client.session().send(first, a.message);
  client.session().send(second, b.message);
  client.session().reset(first, CloseCode::kDone, "");
  EXPECT_EQ(a.done, 1);
  EXPECT_FALSE(a.sent);
  // Nobody has heard of the first lane: there is nothing to say about it.
  EXPECT_EQ(client.sends(), "data 2.0 0+800 last; ");
  client.session().reset(second, CloseCode::kDone, "");
  EXPECT_EQ(client.sends(), "reset 2 kDone; ");
  EXPECT_EQ(client.session().lanes(), 0U);
}

TEST(SessionOut, AResetOfWhoWaitsForCreditLetsTheNextThrough) {
  Client client(1000);
  const std::uint32_t large = client.session().open_lane({});
  const std::uint32_t small = client.session().open_lane({});
  Sending open_large(large, 0, 8), open_small(small, 0, 8);
  client.session().send(large, open_large.message);
  client.session().send(small, open_small.message);
  client.sends();
  Sending a(large, 1, 5000), b(small, 1, 80);
  client.session().send(large, a.message);
  client.session().send(small, b.message);
  EXPECT_EQ(client.sends(), "blocked session 5096; ");
  client.session().reset(large, CloseCode::kDone, "");
  EXPECT_EQ(client.sends(), "reset 1 kDone; data 2.1 0+80 last; ");
}

TEST(SessionOut, AResetLeavesWhatIsOnTheWayUntilItIsSent) {
  Client client;
  const std::uint32_t lane = client.session().open_lane({});
  Sending whole(lane, 0, 3000), half(lane, 1, 60'000), queued(lane, 2, 8);
  for (Sending* message : {&whole, &half, &queued}) client.session().send(lane, message->message);
  std::span<const std::byte> spans[64];
  ASSERT_GT(client.session().gather(std::span(spans), 4096), 0U);
  client.session().sent(kStart);
  EXPECT_EQ(whole.done, 1);
  ASSERT_GT(client.session().gather(std::span(spans), 4096), 0U);  // a part of the second
  client.session().reset(lane, CloseCode::kDone, "");
  EXPECT_EQ(half.done, 0);  // its bytes are in somebody's hands
  EXPECT_EQ(queued.done, 1);
  EXPECT_FALSE(queued.sent);
  client.session().sent(kStart);
  EXPECT_EQ(half.done, 1);
  EXPECT_FALSE(half.sent);
  EXPECT_EQ(client.sends(), "reset 1 kDone; ");
}

TEST(SessionOut, LanesAreAnnouncedInTheOrderOfTheirNumbers) {
  Client client;
  const std::uint32_t first = client.session().open_lane({.priority = Priority::kCatchUp});
  const std::uint32_t second = client.session().open_lane({.own_account = true});
  Sending a(first, 0, 8), b(second, 0, 8);
  client.session().grant(second, 5000);
  client.session().send(second, b.message);
  EXPECT_EQ(client.sends(), "");
  client.session().send(first, a.message);
  EXPECT_EQ(client.sends(), "data 1.0 0+8 last; data 2.0 0+8 last; credit 2 5000; ");
}

TEST(SessionOut, AServerSendsOnALaneUnderItsAccount) {
  Staging staging(64 * kMiB, 16 * kMiB);
  SessionOptions options;
  options.server = true;
  Side server(options, staging);
  Raw r;
  feed(server, r.preface().message(1, 0, 8).plain(FrameType::kCredit, 1, 100).out(), 100, kStart);
  EXPECT_EQ(server.told(), "message 1.0 8 opens; credit 1");
  server.session->set_lane(1, {.priority = Priority::kTail, .own_account = true});
  Sending a(1, 0, 90), b(1, 1, 50);
  server.session->send(1, a.message);
  server.session->send(1, b.message);
  EXPECT_EQ(frames_in(take(*server.session, kStart)),
            "preface; data 1.0 0+90 last; blocked 1 152; ");
  feed(server, r.plain(FrameType::kCredit, 1, 152).out(), 100, kStart);
  EXPECT_EQ(frames_in(take(*server.session, kStart)), "data 1.1 0+50 last; ");
  EXPECT_EQ(server.writable, std::vector<std::uint32_t>{});
  server.drain();
  EXPECT_EQ(server.writable, std::vector<std::uint32_t>{1});
}

// Two lanes of a server, both kTail, with a message each.
struct Rivals {
  explicit Rivals(std::size_t bytes) {
    feed(server, Raw().preface().message(1, 0, 8).message(2, 0, 8).out(), 100, kStart);
    for (const std::uint32_t lane : {1U, 2U}) {
      session().set_lane(lane, {.priority = Priority::kTail});
      messages.push_back(std::make_unique<Sending>(lane, 0, bytes));
      session().send(lane, messages.back()->message);
    }
  }
  Session& session() { return *server.session; }
  // Begins to send one more piece, and tells its lane and its priority: "1:3 ".
  std::string begin() {
    std::span<const std::byte> spans[64];
    std::vector<std::byte> bytes;
    const std::size_t count = session().gather(spans, kPieceBytesMax + 512);
    for (const auto& span : std::span(spans).first(count)) {
      bytes.insert(bytes.end(), span.begin(), span.end());
    }
    std::span<const std::byte> rest(bytes);
    if (decode_preface(rest.first<kPrefaceBytes>()) != 0) rest = rest.subspan(kPrefaceBytes);
    std::string told;
    while (!rest.empty()) {
      const FrameHeader h = decode(rest.first<kFrameHeaderBytes>()).header;
      rest = rest.subspan(kFrameHeaderBytes + h.payload_padded());
      if (h.type != FrameType::kData) continue;
      told += std::to_string(h.lane) + ":" + std::to_string(static_cast<int>(h.priority)) + " ";
    }
    return told;
  }
  std::string next(int pieces) {
    std::string told;
    for (; pieces > 0; --pieces) {
      told += begin();
      session().sent(kStart);
    }
    return told;
  }

  Staging staging{64 * kMiB, 16 * kMiB};
  std::vector<std::unique_ptr<Sending>> messages;  // the session's, so they end behind it
  Side server{{.server = true}, staging};
};

TEST(SessionOut, APriorityHoldsFromTheNextPieceOn) {
  Rivals rivals(8 * kMiB);
  EXPECT_EQ(rivals.next(4), "1:1 2:1 1:1 2:1 ");
  // In the middle of its message, while it waits for its turn.
  rivals.session().set_priority(1, Priority::kCatchUp);
  EXPECT_EQ(rivals.next(3), "2:1 2:1 2:1 ");
  rivals.session().set_priority(1, Priority::kTail);
  rivals.session().set_priority(2, Priority::kTail);  // what it is: it keeps its turn
  EXPECT_EQ(rivals.next(4), "2:1 1:1 2:1 1:1 ");
  // While a piece of it is on its way.
  EXPECT_EQ(rivals.begin(), "2:1 ");
  rivals.session().set_priority(2, Priority::kCatchUp);
  rivals.session().sent(kStart);
  EXPECT_EQ(rivals.next(3), "1:1 1:1 1:1 ");
  rivals.session().reset(1, CloseCode::kDone, "");
  rivals.session().set_priority(1, Priority::kPut);  // too late, and harmless
  EXPECT_EQ(rivals.next(2), "2:3 2:3 ");
}

TEST(SessionOut, WhoCatchesUpGetsAHundredthOfThePiecesAllTheSame) {
  Rivals rivals(16 * kMiB);
  rivals.session().set_priority(2, Priority::kCatchUp);
  constexpr int kPieces = 240;
  int behind = 0;
  for (int i = 0; i < kPieces; ++i) behind += rivals.next(1) == "2:3 " ? 1 : 0;
  EXPECT_GE(behind * 100, kPieces);
  EXPECT_LE(behind * 20, kPieces);
}

TEST(SessionOut, AClientHoldsAServerToTheLanesAccount) {
  Client client;
  const std::uint32_t lane = client.session().open_lane({.own_account = true});
  Sending open_it(lane, 0, 8);
  client.session().send(lane, open_it.message);
  client.session().grant(lane, 64);
  client.sends();
  EXPECT_EQ(client.says(client.raw.message(lane, 0, 60)), "message 1.0 60");
  EXPECT_EQ(client.says(client.raw.message(lane, 1, 1)),
            "closed kCredit a message beyond the lane's credit");
}

TEST(SessionOut, AServerMustNotOpenLanes) {
  Client client;
  EXPECT_EQ(client.says(client.raw.message(1, 0, 8)),
            "closed kProtocol a lane that no client has opened");
}

TEST(SessionOut, EveryPriorityThatWaitsGetsAPieceIn64) {
  Client client(1 << 30);
  std::vector<std::unique_ptr<Sending>> messages;
  std::vector<std::uint32_t> lanes;
  for (const Priority p : {Priority::kTail, Priority::kTail, Priority::kPut, Priority::kCatchUp}) {
    lanes.push_back(client.session().open_lane({.priority = p}));
    for (int i = 0; i < 2; ++i) {
      messages.push_back(std::make_unique<Sending>(lanes.back(), i, 8 * kMiB));
      client.session().send(lanes.back(), messages.back()->message);
    }
  }
  const std::string told = client.sends();
  std::map<std::string, std::size_t> last;
  std::vector<std::string> order;
  for (std::size_t at = told.find("data "); at != std::string::npos;
       at = told.find("data ", at + 1)) {
    order.push_back(told.substr(at + 5, 1));
  }
  ASSERT_EQ(order.size(), 4U * 2 * 128);
  // While the urgent two go in turn, the others get their share; the longest wait is below 64.
  std::size_t urgent = 0;
  for (std::size_t i = 4; i < 500; ++i) {
    if (order[i] == "1" || order[i] == "2") ++urgent;
    for (const char* lane : {"3", "4"}) {
      if (order[i] == lane) last[lane] = i;
      EXPECT_LT(i - (last.contains(lane) ? last[lane] : 3), 64U) << lane;
    }
    const bool in_turn = order[i] != "1" || order[i + 1] != "1";
    EXPECT_TRUE(in_turn) << i;
  }
  EXPECT_GT(urgent, 470U);
}

}  // namespace
}  // namespace penstock::transport
