// Goal: messages leave under credit, by priority and in order, without a copy, and nothing is stuck. Method: a client's
// and a server's session whose output is read as frames; then both joined back to back, by seeds.
#include "tests/unit/transport/session_pair.h"

#include <map>
#include <random>
#include <set>

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

// --- Both, joined ----------------------------------------------------------------------------------

// Everything at random: sizes, parts, priorities, releases, resets from both sides, grants, pieces of bytes.
class Joined {
 public:
  Joined(unsigned seed, std::size_t piece_max)
      : random_(seed), piece_max_(piece_max), server_staging_(24 * kMiB, 16 * kMiB) {
    SessionOptions options;
    options.server = true;
    server_ = std::make_unique<Side>(options, server_staging_);
    client_ = std::make_unique<Side>(SessionOptions{}, client_staging_);
    for (Side* side : {server_.get(), client_.get()}) {
      side->on_message = [this, side](SessionEvent& event) { return heard(*side, event); };
      side->on_event = [this, side](const SessionEvent& event) { note(*side, event); };
    }
    send(*client_, 0, 40);
    carry();
    send(*server_, 0, 40);
    carry();
    client_->session->welcome({.credit = 64 * kKiB});
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      act();
      if (random_() % 3 == 0) carry();
    }
    // All is released and granted from now on: nothing is stuck.
    generous_ = true;
    for (int i = 0; i < 4000 && !testing::Test::HasFailure(); ++i) {
      server_->release_all();
      client_->release_all();
      for (const std::uint32_t lane : open_) grant(lane, 64 * kMiB);
      if (carry() == 0 && server_->messages.empty() && client_->messages.empty()) break;
    }
    for (const auto& [key, sending] : sendings_) {
      EXPECT_EQ(sending->done, 1) << "lane " << std::get<1>(key) << " message " << std::get<2>(key);
    }
    for (const auto& [key, heard] : heard_) {
      const auto& [from_server, lane] = key;
      if (reset_.contains(lane)) continue;
      EXPECT_EQ(heard, (sent_[key])) << "lane " << lane;
    }
    EXPECT_EQ(server_->session->staged_bytes(), 0U);
    EXPECT_EQ(server_staging_.memory().messages(), 0U);
    EXPECT_EQ(client_staging_.memory().messages(), 0U);
    EXPECT_TRUE(server_->session->open());
    EXPECT_TRUE(client_->session->open());
    const std::uint64_t left = server_staging_.outstanding();
    EXPECT_LE(left, server_staging_.session_share());
    server_.reset();
    EXPECT_EQ(server_staging_.outstanding(), 0U);
    client_.reset();
  }

 private:
  using Key = std::tuple<bool, std::uint32_t, std::uint32_t>;  // from the server, lane, number
  using LaneKey = std::pair<bool, std::uint32_t>;

  bool from_server(const Side& side) const { return &side == server_.get(); }

  std::size_t size() {
    if (random_() % 400 == 0) return 16 * kMiB - random_() % 9;
    return 1 + random_() % (2 * kMiB >> random_() % 20);
  }

  void send(Side& side, std::uint32_t lane, std::size_t bytes) {
    const bool server = from_server(side);
    const std::uint32_t number = sent_[{server, lane}]++;
    auto sending = std::make_unique<Sending>(lane, number, bytes, 1 + random_() % 8);
    side.session->send(lane, sending->message);
    sendings_[{server, lane, number}] = std::move(sending);
  }

  void grant(std::uint32_t lane, std::uint64_t more) {
    if (lane == 0 || lane % 3 != 0 || !client_->session->has_lane(lane)) return;
    granted_[lane] += more;
    client_->session->grant(lane, granted_[lane]);
  }

  void act() {
    const std::uint32_t lane = open_.empty() ? 0 : open_[random_() % open_.size()];
    switch (random_() % 12) {
      case 0:
        if (open_.size() < 30) {
          const auto priority = static_cast<Priority>(random_() % kPriorities);
          const bool own = client_lanes_ % 3 == 2;  // every third
          const std::uint32_t opened =
              client_->session->open_lane({.priority = priority, .own_account = own});
          ++client_lanes_;
          ASSERT_EQ(opened, client_lanes_);
          open_.push_back(opened);
          send(*client_, opened, 1 + random_() % 2000);
        }
        break;
      case 1:
        if (random_() % 8 == 0 && lane != 0) forget(*client_, lane);
        break;
      case 2:
        if (random_() % 8 == 0 && lane != 0 && server_->session->has_lane(lane)) {
          forget(*server_, lane);
        }
        break;
      case 3:
      case 4:
      case 5:
        if (lane != 0) send(*client_, lane, size());
        break;
      case 6:
      case 7:
        if (lane != 0 && server_->session->has_lane(lane)) send(*server_, lane, size());
        break;
      case 8:
        grant(lane, random_() % (4 * kMiB));
        break;
      case 9:
        if (random_() % 4 == 0)
          send(random_() % 2 == 0 ? *client_ : *server_, 0, 1 + random_() % 60'000);
        break;
      default:
        for (Side* side : {server_.get(), client_.get()}) {
          if (!side->messages.empty()) side->release(random_() % side->messages.size());
        }
    }
  }

  void forget(Side& side, std::uint32_t lane) {
    reset_.insert(lane);
    side.session->reset(lane, CloseCode::kGone, "no more");
    if (!from_server(side)) std::erase(open_, lane);
  }

  bool heard(Side& side, SessionEvent& event) {
    const IncomingMessage& message = event.message;
    const LaneKey key{!from_server(side), message.lane};
    EXPECT_EQ(message.number, heard_[key]++) << "lane " << message.lane;
    EXPECT_TRUE(as_sent(message)) << "lane " << message.lane;
    const auto sending = sendings_.find({key.first, message.lane, message.number});
    EXPECT_NE(sending, sendings_.end());
    if (sending == sendings_.end()) return false;
    EXPECT_EQ(sending->second->bytes.size(), message.size);
    if (event.opened) {
      server_->session->set_lane(message.lane, {.priority = static_cast<Priority>(random_() % 4),
                                                .own_account = message.lane % 3 == 0});
    }
    if (message.lane == 0 || generous_) {  // at once
      side.session->release(event.message);
      return true;
    }
    return false;
  }

  void note(Side& side, const SessionEvent& event) {
    EXPECT_NE(event.kind, SessionEventKind::kClosed) << name(event.code) << " " << event.reason;
    if (event.kind == SessionEventKind::kReset && !from_server(side)) std::erase(open_, event.lane);
  }

  // Moves some of what each has to send; how much.
  std::size_t carry() {
    std::size_t moved = 0;
    for (auto [from, to] :
         {std::pair{client_.get(), server_.get()}, {server_.get(), client_.get()}}) {
      std::span<const std::byte> spans[64];
      const std::size_t count = from->session->gather(std::span(spans).first(10 + random_() % 55),
                                                      2048 + random_() % (512 * kKiB));
      for (const auto& span : std::span(spans).first(count)) {
        std::span<const std::byte> rest = span;
        while (!rest.empty()) {
          const std::size_t piece = 1 + random_() % piece_max_;
          const std::size_t take = std::min(piece, rest.size());
          EXPECT_EQ(feed(*to, rest.first(take), piece, kStart), take);
          if (testing::Test::HasFailure()) return 0;
          rest = rest.subspan(take);
        }
        moved += span.size();
      }
      if (count > 0) from->session->sent(kStart);
      from->drain();
    }
    while (server_staging_.next_woken() != nullptr) {
    }
    return moved;
  }

  std::mt19937_64 random_;
  std::size_t piece_max_;
  bool generous_ = false;
  Staging server_staging_;
  Staging client_staging_{64 * kMiB, 16 * kMiB};
  std::map<Key, std::unique_ptr<Sending>> sendings_;
  std::map<LaneKey, std::uint32_t> sent_, heard_;
  std::map<std::uint32_t, std::uint64_t> granted_;
  std::set<std::uint32_t> reset_;
  std::vector<std::uint32_t> open_;  // as the client sees it
  std::uint32_t client_lanes_ = 0;
  std::unique_ptr<Side> server_;
  std::unique_ptr<Side> client_;
};

TEST(SessionJoined, EveryMessageArrivesOnceWholeAndInOrder) {
  for (unsigned seed = 1; seed <= 12 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Joined(seed, seed % 3 == 0 ? 100 : 300'000).run(1500);
  }
}

TEST(SessionJoined, ByteByByte) {
  for (unsigned seed = 100; seed < 102 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Joined(seed, 1).run(60);
  }
}

}  // namespace
}  // namespace penstock::transport
