// Simulated stream sockets: clients on the harness's side, a `SimSocket` per core on the server's.
//
// Bytes travel in pieces cut and delayed at the seed's whim, in order within a connection. Connections
// are reset now and then. A port that several cores listen on deals connections out by chance.
//
// Units      times of the simulation (drivers/sim/time.h), nanoseconds
// Owner      one simulation, one thread. Borrows `time`, which outlives it
#pragma once

#include "drivers/sim/random.h"
#include "drivers/sim/time.h"
#include "env/socket.h"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::drivers {

struct SimNetworkOptions {
  std::int64_t delay_nanos_min = 5'000;
  std::int64_t delay_nanos_max = 300'000;
  double reset = 0.0005;  // per piece: the connection ends, what is under way is lost
  double cut = 0.2;       // per send: the bytes travel in several pieces
  double slow = 0.001;    // per piece: it takes 10–500 ms
};

enum class SimClientId : std::uint64_t {};

enum class NetFault : std::uint8_t { kReset, kCut, kSlow };
inline constexpr std::size_t kNetFaults = 3;
[[nodiscard]] constexpr std::string_view name(NetFault fault) {
  constexpr std::array<std::string_view, kNetFaults> kNames = {"net_reset", "net_cut", "net_slow"};
  return kNames[static_cast<std::size_t>(fault)];
}

class SimSocket;

class SimNetwork {
 public:
  SimNetwork(SimTime& time, const SimNetworkOptions& options, std::uint64_t seed);
  ~SimNetwork();

  // --- The clients' side ------------------------------------------------------------------------
  // A connection to a port that nobody listens on is closed at once.
  [[nodiscard]] SimClientId connect(std::uint16_t port);
  void send(SimClientId client, std::string_view bytes);
  // What has arrived for the client by now.
  [[nodiscard]] std::string take(SimClientId client);
  // Neither side has closed it, or bytes for the client are still under way.
  [[nodiscard]] bool open(SimClientId client);
  void close(SimClientId client);

  // The server's machine is gone: every connection and listener ends.
  void reset();
  void set_options(const SimNetworkOptions& options) { options_ = options; }
  // When the next piece arrives.
  [[nodiscard]] std::optional<Nanos> next_event();
  [[nodiscard]] std::uint64_t count(NetFault fault) const {
    return counts_[static_cast<std::size_t>(fault)];
  }
  [[nodiscard]] std::uint64_t trace_hash() const { return trace_; }

 private:
  friend class SimSocket;
  struct Piece {
    Nanos due;
    std::string bytes;
    bool end = false;  // the sender closed
  };
  struct Connection {
    std::uint64_t id = 0;
    std::uint16_t port = 0;
    SimSocket* server = nullptr;  // null: not accepted, or gone
    std::uint32_t listener = 0;
    bool accepted = false;
    bool dead = false;  // reset: neither side gets more
    bool server_closed = false;
    bool client_closed = false;
    std::deque<Piece> to_server;
    std::deque<Piece> to_client;
    std::string arrived;  // at the server, not yet received
    bool ended = false;   // the client's end has arrived
    std::span<std::byte> receiving;
    bool receive_posted = false;
    bool end_told = false;
    std::size_t sending = 0;  // bytes of the send under way, 0: none
    Nanos sent_due;
  };
  struct Listener {
    SimSocket* socket;
    std::uint16_t port;
    std::uint32_t tag;
  };

  [[nodiscard]] Connection* find(std::uint64_t id);
  void queue(Connection& connection, std::deque<Piece>& way, std::string_view bytes);
  void kill(Connection& connection);
  void detach(SimSocket& socket);
  void trace(std::uint64_t what);

  SimTime& time_;
  SimNetworkOptions options_;
  SimRandom delays_;
  SimRandom cuts_;
  SimRandom resets_;
  SimRandom deals_;
  std::map<std::uint64_t, Connection> connections_;
  std::vector<Listener> listeners_;
  std::uint64_t next_id_ = 1;
  std::array<std::uint64_t, kNetFaults> counts_{};
  std::uint64_t trace_ = 0;
};

// One core's sockets, of one boot.
class SimSocket final : public env::Socket {
 public:
  explicit SimSocket(SimNetwork& network) : network_(network) {}
  ~SimSocket() override { network_.detach(*this); }
  SimSocket(const SimSocket&) = delete;
  SimSocket& operator=(const SimSocket&) = delete;

  [[nodiscard]] Result<> listen(std::string_view address, std::uint16_t port,
                                std::uint32_t tag) override;
  void stop_listening() override;
  void receive(env::ConnectionId connection, std::span<std::byte> into) override;
  void send(env::ConnectionId connection, std::span<const std::byte> bytes) override;
  void close(env::ConnectionId connection) override;
  [[nodiscard]] std::string peer(env::ConnectionId connection) override;
  void submit() override {}
  [[nodiscard]] std::size_t reap(std::span<env::SocketEvent> out) override;

 private:
  friend class SimNetwork;
  bool collect(SimNetwork::Connection& connection, env::SocketEvent& event);

  SimNetwork& network_;
};

}  // namespace penstock::drivers
