// Goal: real and simulated sockets keep one contract. Method: every test runs on both, with two
// cores listening on one port; only clients and the passing of time differ.
#include "tests/unit/drivers/socket_rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <sys/resource.h>

namespace penstock::drivers {
namespace {

using env::ConnectionId;
using env::SocketEvent;
using env::SocketEventKind;

constexpr std::uint32_t kTag = 7;
constexpr std::size_t kMuch = 32 << 20;  // more than the kernel buffers for a connection

std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string pattern(std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 2654435761U >> 13);
  return text;
}

class SocketContract : public ::testing::TestWithParam<std::string> {
 protected:
  struct Peer {
    RigClient client = 0;
    ConnectionId id = ConnectionId::kNone;
    std::size_t core = 0;
  };

  void SetUp() override {
    if (GetParam() == "sim") {
      rig_ = std::make_unique<SimSocketRig>();
    } else {
      rig_ = std::make_unique<UringSocketRig>();
    }
    if (!rig_->refusal().empty()) GTEST_SKIP() << rig_->refusal();
    for (std::size_t core = 0; core < kRigCores; ++core) {
      ASSERT_TRUE(rig_->listen(core, kTag).has_value());
    }
  }

  // Turns both cores until `done`, noting what they are told.
  bool turn_until(const std::function<bool()>& done, int patience = 3000) {
    for (; patience > 0; --patience) {
      for (std::size_t core = 0; core < kRigCores; ++core) {
        rig_->socket(core).submit();
        std::array<SocketEvent, 3> out;
        const std::size_t count = rig_->socket(core).reap(out);
        for (std::size_t i = 0; i < count; ++i) {
          events_.push_back(out[i]);
          event_core_.push_back(core);
        }
      }
      if (done()) return true;
      rig_->let_time_pass();
    }
    return false;
  }
  void settle() {
    static_cast<void>(turn_until([] { return false; }, 20));
  }

  std::size_t count(SocketEventKind kind, ConnectionId id) const {
    return static_cast<std::size_t>(std::count_if(events_.begin(), events_.end(), [&](auto& e) {
      return e.kind == kind && e.connection == id;
    }));
  }
  const SocketEvent* last(SocketEventKind kind, ConnectionId id) const {
    for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
      if (event->kind == kind && event->connection == id) return &*event;
    }
    return nullptr;
  }
  bool turn_until(SocketEventKind kind, ConnectionId id) {
    const std::size_t before = count(kind, id);
    return turn_until([&] { return count(kind, id) > before; });
  }

  Peer connect() {
    const std::size_t before = events_.size();
    Peer peer;
    peer.client = rig_->connect();
    EXPECT_TRUE(turn_until([&] {
      for (std::size_t i = before; i < events_.size(); ++i) {
        if (events_[i].kind != SocketEventKind::kAccepted) continue;
        peer.id = events_[i].connection;
        peer.core = event_core_[i];
        EXPECT_EQ(events_[i].listener, kTag);
        return true;
      }
      return false;
    }));
    return peer;
  }
  env::Socket& socket(const Peer& peer) { return rig_->socket(peer.core); }

  // Reads until the client's bytes or its end are all here.
  std::string receive_all(const Peer& peer, std::size_t bytes, std::size_t buffer_bytes) {
    std::string all;
    std::vector<std::byte> buffer(buffer_bytes);
    while (all.size() < bytes) {
      socket(peer).receive(peer.id, buffer);
      if (!turn_until(SocketEventKind::kReceived, peer.id)) break;
      const std::uint32_t got = last(SocketEventKind::kReceived, peer.id)->bytes;
      if (got == 0) break;
      EXPECT_LE(got, buffer.size());
      all.append(reinterpret_cast<const char*>(buffer.data()), got);
    }
    return all;
  }

  std::unique_ptr<SocketRig> rig_;
  std::vector<SocketEvent> events_;
  std::vector<std::size_t> event_core_;
};

TEST_P(SocketContract, CarriesBytesBothWays) {
  const Peer peer = connect();
  EXPECT_FALSE(socket(peer).peer(peer.id).empty());
  const std::string up = pattern(300'000);
  rig_->send(peer.client, up);
  EXPECT_EQ(receive_all(peer, up.size(), 5000), up);

  const std::string down = pattern(700'001);
  socket(peer).send(peer.id, as_bytes(down));
  std::string got;
  EXPECT_TRUE(turn_until([&] {
    got += rig_->take(peer.client);
    return got.size() >= down.size() && count(SocketEventKind::kSent, peer.id) == 1;
  }));
  EXPECT_EQ(got, down);
  EXPECT_EQ(last(SocketEventKind::kSent, peer.id)->bytes, down.size());
}

TEST_P(SocketContract, SendsPiecesThatLieApart) {
  const Peer peer = connect();
  const std::string down = pattern(12'000'003);
  std::vector<std::span<const std::byte>> pieces;
  std::size_t at = 0;
  for (std::size_t i = 0; i + 1 < env::kSendPiecesMax; ++i) {
    const std::size_t bytes = i % 3 == 0 ? 1 : 7'919 * i;
    pieces.push_back(as_bytes(down).subspan(at, bytes));
    at += bytes;
  }
  pieces.push_back(as_bytes(down).subspan(at));
  for (int round = 1; round <= 2; ++round) {
    socket(peer).send(peer.id, pieces);
    settle();  // more than the kernel takes at once
    std::string got;
    EXPECT_TRUE(turn_until([&] {
      got += rig_->take(peer.client);
      return got.size() >= down.size() &&
             std::cmp_equal(count(SocketEventKind::kSent, peer.id), round);
    }));
    EXPECT_TRUE(got == down);
    EXPECT_EQ(last(SocketEventKind::kSent, peer.id)->bytes, down.size());
  }
  socket(peer).send(peer.id, as_bytes("alone"));
  EXPECT_TRUE(turn_until([&] { return rig_->take(peer.client) == "alone"; }));
}

TEST_P(SocketContract, ReleasesWhatWasHeldBehindItsEnd) {
  const Peer peer = connect();
  const std::string down = pattern(5'000'001);
  std::size_t released = 0;
  std::size_t seen = 0;
  const auto releases = [&] {
    for (; seen < events_.size(); ++seen) {
      const SocketEvent& event = events_[seen];
      if (event.kind != SocketEventKind::kReleased) continue;
      released += event.released;
      EXPECT_LE(released, count(SocketEventKind::kSent, peer.id));
      EXPECT_EQ(event.uncopied, 0U) << "the peer is on this machine";
    }
    return released;
  };
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{100'000}, down.size()}) {
    const std::size_t before = releases();
    socket(peer).send_held(peer.id, as_bytes(down).first(bytes));
    std::string got;
    EXPECT_TRUE(turn_until([&] {
      got += rig_->take(peer.client);
      return got.size() == bytes && releases() > before;
    }));
    EXPECT_TRUE(got == down.substr(0, bytes));
    EXPECT_EQ(releases(), before + 1);
    socket(peer).send(peer.id, as_bytes("held sends and others in turn"));
    EXPECT_TRUE(turn_until([&] { return !rig_->take(peer.client).empty(); }));
    settle();
    EXPECT_EQ(releases(), before + 1);
  }
}

TEST_P(SocketContract, ReceiveAndSendAreUnderWayTogether) {
  const Peer peer = connect();
  std::vector<std::byte> buffer(64);
  socket(peer).receive(peer.id, buffer);
  for (int round = 1; round <= 20; ++round) {
    const std::string down = "answer " + std::to_string(round);
    socket(peer).send(peer.id, as_bytes(down));
    ASSERT_TRUE(turn_until(SocketEventKind::kSent, peer.id));
    std::string got;
    ASSERT_TRUE(turn_until([&] {
      got += rig_->take(peer.client);
      return got == down;
    }));
  }
  EXPECT_EQ(count(SocketEventKind::kReceived, peer.id), 0U);
  rig_->send(peer.client, "x");
  EXPECT_TRUE(turn_until(SocketEventKind::kReceived, peer.id));
  EXPECT_EQ(last(SocketEventKind::kReceived, peer.id)->bytes, 1U);
}

TEST_P(SocketContract, PeerEndsItsSideAndIsStillAnswered) {
  const Peer peer = connect();
  rig_->send(peer.client, "last words");
  rig_->end(peer.client);
  EXPECT_EQ(receive_all(peer, SIZE_MAX, 4), "last words");
  EXPECT_EQ(last(SocketEventKind::kReceived, peer.id)->bytes, 0U);
  socket(peer).send(peer.id, as_bytes("answer"));
  ASSERT_TRUE(turn_until(SocketEventKind::kSent, peer.id));
  socket(peer).close(peer.id);
  std::string got;
  EXPECT_TRUE(turn_until([&] {
    got += rig_->take(peer.client);
    return rig_->at_end(peer.client) && count(SocketEventKind::kClosed, peer.id) == 1;
  }));
  EXPECT_EQ(got, "answer");
  EXPECT_EQ(last(SocketEventKind::kClosed, peer.id)->error, 0);
  EXPECT_EQ(rig_->open_connections(), 0U);
}

TEST_P(SocketContract, CloseIsToldOnceAndLast) {
  const Peer peer = connect();
  std::vector<std::byte> buffer(64);
  socket(peer).receive(peer.id, buffer);
  settle();
  rig_->send(peer.client, "too late");
  socket(peer).close(peer.id);
  socket(peer).close(peer.id);
  ASSERT_TRUE(turn_until(SocketEventKind::kClosed, peer.id));
  EXPECT_EQ(last(SocketEventKind::kClosed, peer.id)->error, 0);

  // The id is stale: nothing that is done with it has an effect.
  socket(peer).receive(peer.id, buffer);
  socket(peer).send(peer.id, as_bytes("nobody"));
  socket(peer).close(peer.id);
  EXPECT_TRUE(socket(peer).peer(peer.id).empty());
  settle();
  EXPECT_EQ(count(SocketEventKind::kClosed, peer.id), 1U);
  EXPECT_EQ(count(SocketEventKind::kReceived, peer.id), 0U);
  EXPECT_EQ(count(SocketEventKind::kSent, peer.id), 0U);

  // And its core does not give it to the next connection.
  Peer next = connect();
  for (int tries = 0; next.core != peer.core && tries < 30; ++tries) {
    socket(next).close(next.id);
    next = connect();
  }
  ASSERT_EQ(next.core, peer.core);
  EXPECT_NE(next.id, peer.id);
}

TEST_P(SocketContract, CloseEndsASendThatIsStuck) {
  const Peer peer = connect();
  const std::string much(kMuch, 'm');
  socket(peer).send(peer.id, as_bytes(much));
  settle();
  EXPECT_EQ(count(SocketEventKind::kSent, peer.id), 0U);
  socket(peer).close(peer.id);
  EXPECT_TRUE(turn_until(SocketEventKind::kClosed, peer.id));
  settle();
  EXPECT_EQ(count(SocketEventKind::kSent, peer.id), 0U);
  EXPECT_EQ(count(SocketEventKind::kClosed, peer.id), 1U);
}

TEST_P(SocketContract, ResetByThePeerEndsTheConnection) {
  const Peer peer = connect();
  std::vector<std::byte> buffer(64);
  socket(peer).receive(peer.id, buffer);
  settle();
  rig_->reset(peer.client);
  ASSERT_TRUE(turn_until(SocketEventKind::kClosed, peer.id));
  EXPECT_EQ(last(SocketEventKind::kClosed, peer.id)->error, ECONNRESET);
  settle();
  EXPECT_EQ(count(SocketEventKind::kClosed, peer.id), 1U);
}

TEST_P(SocketContract, PeerThatIsNotReadMustWait) {
  const Peer peer = connect();
  rig_->send(peer.client, pattern(kMuch));
  // A kernel lets its buffers grow for a while, later where the machine is busy.
  std::size_t stuck = kMuch;
  int alike = 0;
  for (int i = 0; i < 50 && alike < 2; ++i) {
    settle();
    const std::size_t unsent = rig_->unsent(peer.client);
    alike = unsent == stuck ? alike + 1 : 0;
    stuck = unsent;
  }
  EXPECT_EQ(alike, 2) << "it goes on sending";
  EXPECT_GT(stuck, 0U);
  EXPECT_EQ(receive_all(peer, kMuch, 1 << 20), pattern(kMuch));
  EXPECT_EQ(rig_->unsent(peer.client), 0U);
}

TEST_P(SocketContract, SlowReaderHoldsTheSendBack) {
  const Peer peer = connect();
  const std::string much = pattern(kMuch);
  socket(peer).send(peer.id, as_bytes(much));
  settle();
  EXPECT_EQ(count(SocketEventKind::kSent, peer.id), 0U);
  std::string got;
  EXPECT_TRUE(turn_until([&] {
    got += rig_->take(peer.client);
    return got.size() >= much.size() && count(SocketEventKind::kSent, peer.id) == 1;
  }));
  EXPECT_TRUE(got == much);
}

TEST_P(SocketContract, BeyondTheLimitConnectionsAreClosedAtOnce) {
  std::vector<RigClient> clients;
  for (std::size_t i = 0; i < 3 * kRigCores * kRigConnections; ++i) {
    clients.push_back(rig_->connect());
  }
  // How connections are dealt to the cores is chance: all are accepted or turned away.
  EXPECT_TRUE(
      turn_until([&] { return rig_->open_connections() + rig_->over_limit() == clients.size(); }));
  EXPECT_LE(rig_->open_connections(), kRigCores * kRigConnections);
  EXPECT_GE(rig_->over_limit(), clients.size() - kRigCores * kRigConnections);
  std::size_t ended = 0;
  EXPECT_TRUE(turn_until([&] {
    ended = 0;
    for (const RigClient client : clients) {
      EXPECT_TRUE(rig_->take(client).empty());
      if (rig_->at_end(client) || rig_->error(client) != 0) ++ended;
    }
    return ended == rig_->over_limit();
  }));

  // A place that becomes free is given away again.
  const std::size_t accepted = static_cast<std::size_t>(
      std::count_if(events_.begin(), events_.end(),
                    [](const SocketEvent& e) { return e.kind == SocketEventKind::kAccepted; }));
  ASSERT_EQ(accepted, rig_->open_connections());
  for (std::size_t i = 0; i < accepted; ++i) {
    rig_->socket(event_core_[i]).close(events_[i].connection);
  }
  EXPECT_TRUE(turn_until([&] { return rig_->open_connections() == 0; }));
  connect();
}

TEST_P(SocketContract, StopsListeningAndGoesOnServing) {
  const Peer peer = connect();
  rig_->socket(0).stop_listening();
  rig_->socket(1).stop_listening();
  settle();
  const RigClient refused = rig_->connect();
  EXPECT_TRUE(turn_until([&] {
    static_cast<void>(rig_->take(refused));
    return rig_->error(refused) == ECONNREFUSED;
  }));
  rig_->send(peer.client, "still here");
  EXPECT_EQ(receive_all(peer, 10, 100), "still here");
}

INSTANTIATE_TEST_SUITE_P(Both, SocketContract, ::testing::Values("sim", "uring"),
                         [](const auto& which) { return which.param; });

// What only the kernel can do to us.
class UringSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!rig_.refusal().empty()) GTEST_SKIP() << rig_.refusal();
    ASSERT_TRUE(rig_.listen(0, kTag).has_value());
  }
  bool turn_until(const std::function<bool()>& done) {
    for (int patience = 3000; patience > 0; --patience) {
      rig_.socket(0).submit();
      std::array<SocketEvent, 8> out;
      static_cast<void>(rig_.socket(0).reap(out));
      if (done()) return true;
      rig_.let_time_pass();
    }
    return false;
  }
  UringSocketRig rig_;
};

TEST_F(UringSocketTest, PortOfAnotherProcessIsInUse) {
  // A listener that this process has not shared stands for another process's.
  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ASSERT_EQ(::setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(at);
  ASSERT_EQ(::bind(other, reinterpret_cast<sockaddr*>(&at), length), 0);
  ASSERT_EQ(::listen(other, 1), 0);
  ASSERT_EQ(::getsockname(other, reinterpret_cast<sockaddr*>(&at), &length), 0);
  const Result<> refused = rig_.uring(1).listen("127.0.0.1", ntohs(at.sin_port), kTag);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kAddressInUse);
  ::close(other);
  EXPECT_TRUE(rig_.uring(1).listen("127.0.0.1", ntohs(at.sin_port), kTag).has_value());
}

TEST_F(UringSocketTest, NothingGoesWithoutACopyToThisMachine) {
  const RigClient client = rig_.connect();
  const std::string down = pattern(300'000);
  std::array<SocketEvent, 8> out;
  std::size_t released = 0;
  std::string got;
  for (int patience = 3000; patience > 0 && released < 5; --patience) {
    rig_.socket(0).submit();
    const std::size_t count = rig_.socket(0).reap(out);
    for (const SocketEvent& event : std::span(out).first(count)) {
      released += event.released;
      const bool next =
          event.kind == SocketEventKind::kReleased || event.kind == SocketEventKind::kAccepted;
      if (next && released < 5) rig_.socket(0).send_held(event.connection, as_bytes(down));
    }
    got += rig_.take(client);
    rig_.let_time_pass();
  }
  EXPECT_EQ(released, 5U);
  EXPECT_EQ(rig_.uring(0).counters().uncopied, 0U);
}

TEST_F(UringSocketTest, ListensOnVersionSixAndRefusesNames) {
  const Result<> six = rig_.uring(0).listen("::1", 0, kTag + 1);
  if (six) {
    EXPECT_NE(rig_.uring(0).port(kTag + 1), 0);
  } else {
    EXPECT_EQ(six.error().code, ErrorCode::kSystem);  // a machine without IPv6
  }
  EXPECT_EQ(rig_.uring(0).listen("localhost", 0, kTag).error().code, ErrorCode::kMalformed);
}

TEST_F(UringSocketTest, WithoutDescriptorsAcceptingPausesAndGoesOn) {
  const RigClient first = rig_.connect();
  const RigClient second = rig_.connect();
  ASSERT_EQ(rig_.error(first), 0);
  ASSERT_EQ(rig_.error(second), 0);
  static_cast<void>(rig_.socket(0).peer(ConnectionId::kNone));
  // The kernel goes by the limit of the moment at which the accept is put on the ring.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  rig_.socket(0).submit();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(turn_until([&] { return rig_.uring(0).counters().accept_pauses > 0; }));
  EXPECT_EQ(rig_.uring(0).counters().accepted, 0U);
  EXPECT_TRUE(turn_until([&] { return rig_.uring(0).counters().accepted == 2; }));
}

}  // namespace
}  // namespace penstock::drivers
