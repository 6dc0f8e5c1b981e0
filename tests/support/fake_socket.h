// Sockets without a network: a test plays the peers. Bytes given by a peer wait until a receive is
// posted, as a kernel would keep them; a send completes when the test lets it, and so is a held one released.
//
// Owner      the test, one thread
#pragma once

#include "env/socket.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::test {

class FakeSocket final : public env::Socket {
 public:
  // The peers' side.
  env::ConnectionId connect(std::uint32_t listener = 0) {
    const auto id = static_cast<env::ConnectionId>(++next_id_);
    peers_[id];
    events_.push_back(
        {.kind = env::SocketEventKind::kAccepted, .connection = id, .listener = listener});
    return id;
  }
  void give(env::ConnectionId id, std::string_view bytes) {
    peers_[id].incoming.append(bytes);
    deliver(id);
  }
  void end(env::ConnectionId id) {
    peers_[id].ended = true;
    deliver(id);
  }
  // The peer's machine is gone: kClosed without asking.
  void vanish(env::ConnectionId id) { close(id); }
  void vanish_all() {
    for (const auto& [id, peer] : peers_) close(id);
  }
  // What has been sent to the peer since the last call.
  std::string taken(env::ConnectionId id) {
    std::string out;
    out.swap(peers_[id].outgoing);
    return out;
  }
  [[nodiscard]] bool open(env::ConnectionId id) const { return !peers_.at(id).closed; }
  // Whether bytes could be received now.
  [[nodiscard]] bool reading(env::ConnectionId id) const { return !peers_.at(id).into.empty(); }
  [[nodiscard]] std::size_t unread(env::ConnectionId id) const {
    return peers_.at(id).incoming.size();
  }
  // At most so many bytes a receive; peers that take nothing.
  void set_receive_max(std::size_t bytes) { receive_max_ = bytes; }
  void set_stalled(bool stalled) {
    stalled_ = stalled;
    for (auto& [id, peer] : peers_) complete_send(id);
  }
  // All the same, this one takes what is being sent to it now.
  void take(env::ConnectionId id) { finish_send(id); }
  // Held sends are released only by `release`, the oldest of one connection first.
  void set_holding(bool holding) { holding_ = holding; }
  void release(env::ConnectionId id, std::size_t count, bool copied = false) {
    Peer& peer = peers_[id];
    for (; count > 0 && !peer.held.empty(); --count) {
      let_go(peer);
      events_.push_back({.kind = env::SocketEventKind::kReleased,
                         .connection = id,
                         .released = 1,
                         .uncopied = 1,
                         .copied = std::uint8_t{copied}});
    }
  }
  [[nodiscard]] std::size_t held(env::ConnectionId id) const { return peers_.at(id).held.size(); }
  // Bytes were used again while they were held, or too many sends were.
  [[nodiscard]] bool spoiled() const { return spoiled_; }
  [[nodiscard]] bool listening() const { return listening_; }

  // env::Socket
  Result<> listen(std::string_view, std::uint16_t, std::uint32_t) override { return {}; }
  void stop_listening() override { listening_ = false; }
  void receive(env::ConnectionId id, std::span<std::byte> into) override {
    peers_[id].into = into;
    deliver(id);
  }
  void send(env::ConnectionId id, std::span<const std::byte> bytes) override {
    peers_[id].sending = bytes;
    complete_send(id);
  }
  void send(env::ConnectionId id, std::span<const std::span<const std::byte>> pieces) override {
    Peer& peer = peers_[id];
    peer.joined.clear();
    for (const auto piece : pieces)
      peer.joined.insert(peer.joined.end(), piece.begin(), piece.end());
    send(id, std::span<const std::byte>(peer.joined));
  }
  void send_held(env::ConnectionId id, std::span<const std::byte> bytes) override {
    Peer& peer = peers_[id];
    if (peer.closed) return;
    spoiled_ = spoiled_ || peer.held.size() == env::kHeldSendsMax;
    peer.held.push_back({bytes, {bytes.begin(), bytes.end()}});
    send(id, bytes);
  }
  void close(env::ConnectionId id) override {
    Peer& peer = peers_[id];
    if (peer.closed) return;
    while (!peer.held.empty()) let_go(peer);
    peer.closed = true;
    peer.into = {};
    peer.sending = {};
    events_.push_back({.kind = env::SocketEventKind::kClosed, .connection = id});
  }
  std::string peer(env::ConnectionId) override { return "127.0.0.1:1"; }
  void submit() override {}
  std::size_t reap(std::span<env::SocketEvent> out) override {
    const std::size_t count = std::min(out.size(), events_.size());
    std::copy_n(events_.begin(), count, out.begin());
    events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

 private:
  struct Held {
    std::span<const std::byte> bytes;
    std::vector<std::byte> as_sent;
  };
  struct Peer {
    std::string incoming, outgoing;
    std::span<std::byte> into;
    std::span<const std::byte> sending;
    std::vector<std::byte> joined;  // of a send in pieces
    std::deque<Held> held;
    bool ended = false, closed = false;
  };

  void let_go(Peer& peer) {
    const Held& oldest = peer.held.front();
    spoiled_ = spoiled_ || !std::ranges::equal(oldest.bytes, oldest.as_sent);
    peer.held.pop_front();
  }
  void deliver(env::ConnectionId id) {
    Peer& peer = peers_[id];
    if (peer.into.empty() || peer.closed) return;
    const std::size_t bytes = std::min({peer.into.size(), peer.incoming.size(), receive_max_});
    if (bytes == 0 && !peer.ended) return;
    std::memcpy(peer.into.data(), peer.incoming.data(), bytes);
    peer.incoming.erase(0, bytes);
    peer.into = {};
    events_.push_back({.kind = env::SocketEventKind::kReceived,
                       .connection = id,
                       .bytes = static_cast<std::uint32_t>(bytes)});
  }
  void complete_send(env::ConnectionId id) {
    if (!stalled_) finish_send(id);
  }
  void finish_send(env::ConnectionId id) {
    Peer& peer = peers_[id];
    if (peer.sending.empty() || peer.closed) return;
    peer.outgoing.append(reinterpret_cast<const char*>(peer.sending.data()), peer.sending.size());
    events_.push_back({.kind = env::SocketEventKind::kSent,
                       .connection = id,
                       .bytes = static_cast<std::uint32_t>(peer.sending.size())});
    peer.sending = {};
    if (!holding_) release(id, peer.held.size());
  }

  std::map<env::ConnectionId, Peer> peers_;
  std::deque<env::SocketEvent> events_;
  std::uint64_t next_id_ = 0;
  std::size_t receive_max_ = SIZE_MAX;
  bool stalled_ = false;
  bool holding_ = false;
  bool spoiled_ = false;
  bool listening_ = true;
};

}  // namespace penstock::test
