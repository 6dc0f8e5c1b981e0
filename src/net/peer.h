// One native connection's bytes: plain or TLS on the socket's side, a Session on the other. What the
// messages mean is its conversation's.
//
// Units      bytes; times the turn's `now`
// Owner      its door, one core
// Allocates  a session, and with TLS its state and one buffer, when it opens; nothing per message
// States     Sniffing (which of the two the first byte tells) ─► Speaking ─► Lingering (CLOSE is being or
//            has been sent; what comes is dropped, so that the peer may read it) ─► Closing (the socket is told) ─► Closed
// Source     src/proto/PROTOCOL.md §1
#pragma once

#include "env/socket.h"
#include "net/held_output.h"
#include "penstock/units.h"
#include "proto/credentials.h"
#include "transport/session.h"
#include "transport/tls.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace penstock::net {

struct PeerCounters {
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t tls_handshakes = 0;
  std::uint64_t tls_failures = 0;
  std::uint64_t refused = 0;   // neither TLS nor, where that is allowed, a preface
  std::uint64_t uncopied = 0;  // sends that were to go without a copy
  std::uint64_t copied = 0;    // …, and were copied by the kernel all the same
};

class Peer {
 public:
  struct Parts {
    env::Socket& socket;
    transport::Staging& staging;
    PeerCounters& counters;
    std::shared_ptr<const transport::TlsContext> tls;  // null: there is none
    bool plain = false;                                // is allowed
    transport::SessionOptions session;
    HeldOutput* held = nullptr;  // null: every send is copied
  };

  Peer(const Parts& parts, env::ConnectionId id, Nanos now);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Events of the socket. Afterwards `session()` may have events.
  void on_received(std::uint32_t bytes, Nanos now);
  void on_sent(Nanos now);
  void on_released(const env::SocketEvent& event);
  void on_closed();
  // True when bytes that were received before have gone to the session: take its events, ask again.
  [[nodiscard]] bool more(Nanos now);
  // Moves what the session has to send, asks for what it wants to receive, closes when it has closed. At the
  // end of each handling, when the session's events have been taken.
  // `listen` false: nothing new is asked for.
  void pump(Nanos now, bool listen);
  // What is being sent has not been taken for some seconds.
  [[nodiscard]] bool stalled(Nanos now) const {
    return sending_ && now - sending_from_ >= kStalledNanos;
  }
  // The session has closed: what it still says is sent, what comes is dropped.
  void linger(Nanos now);
  void tick(Nanos now);
  // At once, without a word.
  void abort();

  [[nodiscard]] env::ConnectionId id() const { return id_; }
  [[nodiscard]] bool closed() const { return state_ == State::kClosed; }
  // Its preface is not whole yet.
  [[nodiscard]] bool half_open() const {
    return state_ == State::kSniffing || (state_ == State::kSpeaking && !session_.open());
  }
  [[nodiscard]] transport::Session& session() { return session_; }
  // What binds a proof to this connection.
  [[nodiscard]] proto::HelloChannel channel() const;

 private:
  enum class State : std::uint8_t { kSniffing, kSpeaking, kLingering, kClosing, kClosed };
  static constexpr std::int64_t kLingerNanos = 2 * kNanosPerSecond;
  static constexpr std::int64_t kStalledNanos = 2 * kNanosPerSecond;
  static constexpr std::int64_t kSlowNanos = 30 * kNanosPerSecond;  // for one send
  static constexpr std::size_t kCipherBytes = std::size_t{32} * kKiB;
  static constexpr std::size_t kSendBytes = std::size_t{256} * kKiB;

  void sniff();
  void accept(std::uint32_t bytes, Nanos now);
  void want_input();
  [[nodiscard]] bool broken() const;
  [[nodiscard]] bool send_plain();
  [[nodiscard]] bool send_sealed(Nanos now);
  [[nodiscard]] bool may_hold(std::size_t bytes) const;
  void give_back_oldest();

  Parts parts_;
  env::ConnectionId id_;
  State state_ = State::kSniffing;
  bool receiving_ = false;
  bool sending_ = false;
  bool plain_in_flight_ = false;  // what is being sent is the session's own memory
  bool shaken_ = false;
  Nanos since_;         // in this state
  Nanos sending_from_;  // while `sending_`
  std::byte first_{};
  std::array<std::byte, 256> dropped_;  // what comes while it lingers
  std::unique_ptr<transport::TlsSession> tls_;
  std::unique_ptr<std::byte[]> cipher_;
  // Sent, and perhaps still read by the kernel: `held_count_` from `held_first_` on, in a ring.
  std::array<std::vector<std::byte>, env::kHeldSendsMax> held_;
  std::size_t held_first_ = 0;
  std::size_t held_count_ = 0;
  bool hold_;  // as long as it saves a copy
  transport::Session session_;
};

}  // namespace penstock::net
