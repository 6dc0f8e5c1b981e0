// Goal: every message arrives once, whole and in its lane's order, credit is never exceeded, and nothing is stuck once
// all is released. Method: a client and a server joined back to back by pieces of random sizes; everything that either
// may do is done at random, by seeds.
#include "tests/unit/transport/session_pair.h"

#include <map>
#include <random>
#include <set>

namespace penstock::transport {
namespace {

using namespace test;

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
      if (!generous_ && count > 0 && !open_.empty() && random_() % 40 == 0) {
        const std::uint32_t lane = open_[random_() % open_.size()];
        if (from->session->has_lane(lane)) forget(*from, lane);
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
