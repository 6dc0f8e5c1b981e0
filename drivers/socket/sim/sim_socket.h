// One core's sockets in simulation.
//
// Owner      one simulation, one thread. Borrows the network, which outlives it
#pragma once

#include "drivers/socket/sim/sim_network.h"

#include <deque>
#include <vector>

namespace penstock::drivers {

class SimSocket final : public env::Socket {
 public:
  explicit SimSocket(SimNetwork& network, std::uint32_t connections = 18'000);
  ~SimSocket() override;
  SimSocket(const SimSocket&) = delete;
  SimSocket& operator=(const SimSocket&) = delete;

  [[nodiscard]] Result<> listen(std::string_view address, std::uint16_t port,
                                std::uint32_t tag) override;
  void stop_listening() override { listeners_.clear(); }
  void receive(env::ConnectionId connection, std::span<std::byte> into) override;
  void send(env::ConnectionId connection, std::span<const std::byte> bytes) override;
  void send(env::ConnectionId connection,
            std::span<const std::span<const std::byte>> pieces) override;
  void send_held(env::ConnectionId connection, std::span<const std::byte> bytes) override;
  void close(env::ConnectionId connection) override;
  [[nodiscard]] std::string peer(env::ConnectionId connection) override;
  void submit() override;
  [[nodiscard]] std::size_t reap(std::span<env::SocketEvent> out) override;

  [[nodiscard]] bool has_events() const { return !events_.empty(); }
  [[nodiscard]] std::uint32_t open_connections() const { return open_; }
  [[nodiscard]] std::uint64_t over_limit() const { return over_limit_; }

 private:
  friend class SimNetwork;
  struct Listener {
    std::uint16_t port = 0;
    std::uint32_t tag = 0;
  };
  struct Operation {
    std::uint64_t connection = 0;
    std::span<std::byte> into = {};
    std::vector<std::span<const std::byte>> out = {};
    bool held = false;
  };

  [[nodiscard]] const Listener* listener(std::uint16_t port) const;
  void queue(env::ConnectionId connection, std::span<const std::span<const std::byte>> pieces,
             bool held);
  [[nodiscard]] SimNetwork::Connection* find(env::ConnectionId connection);

  SimNetwork& network_;
  std::uint32_t limit_;
  std::uint32_t open_ = 0;
  std::uint64_t over_limit_ = 0;
  std::vector<Listener> listeners_;
  std::vector<Operation> queued_;  // until `submit`
  std::deque<env::SocketEvent> events_;
};

}  // namespace penstock::drivers
