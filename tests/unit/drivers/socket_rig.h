// A server's sockets and its clients, real or simulated, behind one face for the contract test.
#pragma once

#include "drivers/ring/probe.h"
#include "drivers/socket/sim/sim_socket.h"
#include "drivers/socket/uring/uring_socket.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace penstock::drivers {

inline constexpr std::size_t kRigCores = 2;
inline constexpr std::uint32_t kRigConnections = 4;  // per core

using RigClient = std::uint64_t;

class SocketRig {
 public:
  virtual ~SocketRig() = default;
  virtual std::string refusal() { return {}; }  // why it cannot run here
  virtual env::Socket& socket(std::size_t core) = 0;
  virtual Result<> listen(std::size_t core, std::uint32_t tag) = 0;
  virtual std::uint32_t open_connections() = 0;
  virtual std::uint64_t over_limit() = 0;
  virtual void let_time_pass() = 0;

  virtual RigClient connect() = 0;
  virtual void send(RigClient client, std::string_view bytes) = 0;
  virtual std::string take(RigClient client) = 0;
  virtual std::size_t unsent(RigClient client) = 0;
  virtual void end(RigClient client) = 0;
  virtual void reset(RigClient client) = 0;
  virtual bool at_end(RigClient client) = 0;  // all taken, and the server has ended its side
  virtual int error(RigClient client) = 0;
};

class SimSocketRig final : public SocketRig {
 public:
  explicit SimSocketRig(const SimNetworkOptions& options = {}, std::uint64_t seed = 1)
      : network_(time_, options, seed) {
    for (std::size_t i = 0; i < kRigCores; ++i) {
      sockets_.push_back(std::make_unique<SimSocket>(network_, kRigConnections));
    }
  }
  env::Socket& socket(std::size_t core) override { return *sockets_[core]; }
  Result<> listen(std::size_t core, std::uint32_t tag) override {
    return sockets_[core]->listen("127.0.0.1", 4567, tag);
  }
  std::uint32_t open_connections() override {
    return sockets_[0]->open_connections() + sockets_[1]->open_connections();
  }
  std::uint64_t over_limit() override {
    return sockets_[0]->over_limit() + sockets_[1]->over_limit();
  }
  void let_time_pass() override {
    if (const std::optional<Nanos> next = network_.next_event()) time_.advance_to(*next);
    network_.settle();
  }
  RigClient connect() override { return static_cast<RigClient>(network_.connect(4567)); }
  void send(RigClient client, std::string_view bytes) override {
    network_.client_send(id(client), bytes);
  }
  std::string take(RigClient client) override { return network_.client_take(id(client)); }
  std::size_t unsent(RigClient client) override { return network_.client_unsent(id(client)); }
  void end(RigClient client) override { network_.client_end(id(client)); }
  void reset(RigClient client) override { network_.client_reset(id(client)); }
  bool at_end(RigClient client) override { return network_.client_at_end(id(client)); }
  int error(RigClient client) override { return network_.client_error(id(client)); }

  [[nodiscard]] SimNetwork& network() { return network_; }
  void drop(std::size_t core) { sockets_[core].reset(); }

 private:
  static SimClientId id(RigClient client) { return static_cast<SimClientId>(client); }

  SimTime time_;
  SimNetwork network_;
  std::vector<std::unique_ptr<SimSocket>> sockets_;
};

// Loopback. The kernel's listeners share one port; clients are sockets that do not block.
class UringSocketRig final : public SocketRig {
 public:
  UringSocketRig() {
    if (const RingProbe probe = probe_ring(); !probe.usable()) {
      refusal_ = probe.reason;
      return;
    }
    for (std::size_t i = 0; i < kRigCores; ++i) {
      rings_.push_back(std::move(*Ring::create({.entries = 32, .completions = 64})));
      sockets_.push_back(std::make_unique<UringSocket>(
          *rings_.back(),
          UringSocketOptions{.connections = kRigConnections, .backlog = 128, .zero_copy = true}));
    }
  }
  ~UringSocketRig() override {
    for (auto& [id, client] : clients_) {
      if (client.fd >= 0) ::close(client.fd);
    }
  }
  std::string refusal() override { return refusal_; }
  env::Socket& socket(std::size_t core) override { return *sockets_[core]; }
  UringSocket& uring(std::size_t core) { return *sockets_[core]; }
  [[nodiscard]] std::uint16_t port() const { return port_; }

  Result<> listen(std::size_t core, std::uint32_t tag) override {
    const Result<> listening = sockets_[core]->listen("127.0.0.1", port_, tag);
    if (listening) port_ = sockets_[core]->port(tag);
    return listening;
  }
  std::uint32_t open_connections() override {
    return sockets_[0]->open_connections() + sockets_[1]->open_connections();
  }
  std::uint64_t over_limit() override {
    return sockets_[0]->counters().over_limit + sockets_[1]->counters().over_limit;
  }
  void let_time_pass() override {
    for (const std::unique_ptr<Ring>& ring : rings_) ring->sleep(kNanosPerMilli);
    for (auto& [id, client] : clients_) flush(client);
  }

  RigClient connect() override {
    Client client;
    client.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(client.fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
      client.error = errno;
    }
    ::fcntl(client.fd, F_SETFL, O_NONBLOCK);
    clients_[++last_client_] = client;
    return last_client_;
  }
  void send(RigClient id, std::string_view bytes) override {
    clients_[id].backlog.append(bytes);
    flush(clients_[id]);
  }
  std::string take(RigClient id) override {
    Client& client = clients_[id];
    std::string taken;
    std::string part(1 << 16, '\0');
    while (client.fd >= 0) {
      const ssize_t got = ::recv(client.fd, part.data(), part.size(), 0);
      if (got > 0) {
        taken.append(part, 0, static_cast<std::size_t>(got));
        continue;
      }
      if (got == 0) client.ended = true;
      if (got < 0 && errno != EAGAIN && client.error == 0) client.error = errno;
      break;
    }
    return taken;
  }
  std::size_t unsent(RigClient id) override { return clients_[id].backlog.size(); }
  void end(RigClient id) override { ::shutdown(clients_[id].fd, SHUT_WR); }
  void reset(RigClient id) override {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(clients_[id].fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    ::close(clients_[id].fd);
    clients_[id].fd = -1;
  }
  bool at_end(RigClient id) override { return clients_[id].ended; }
  int error(RigClient id) override { return clients_[id].error; }

 private:
  struct Client {
    int fd = -1;
    int error = 0;
    bool ended = false;
    std::string backlog;
  };
  static void flush(Client& client) {
    while (!client.backlog.empty() && client.fd >= 0) {
      const ssize_t put =
          ::send(client.fd, client.backlog.data(), client.backlog.size(), MSG_NOSIGNAL);
      if (put <= 0) return;
      client.backlog.erase(0, static_cast<std::size_t>(put));
    }
  }

  std::string refusal_;
  std::vector<std::unique_ptr<Ring>> rings_;
  std::vector<std::unique_ptr<UringSocket>> sockets_;
  std::uint16_t port_ = 0;
  std::map<RigClient, Client> clients_;
  RigClient last_client_ = 0;
};

}  // namespace penstock::drivers
