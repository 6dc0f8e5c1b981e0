// The server in memory behind a real socket of the loopback device, plain or TLS, in a thread of its own.
#pragma once

#include "tests/unit/client/native/fake_server.h"
#include "transport/tls.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <atomic>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

namespace penstock::client::native::test {

class Loopback {
 public:
  explicit Loopback(std::shared_ptr<transport::TlsContext> tls = nullptr) : tls_(std::move(tls)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Loopback() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] std::string endpoint() const {
    return (tls_ != nullptr ? "tls://localhost:" : "tcp://127.0.0.1:") + std::to_string(port);
  }
  // The server, while its thread waits.
  template <class Use>
  auto with(Use use) {
    const std::lock_guard lock(mutex_);
    return use(server_);
  }
  void drop_connections() { dropping_ = true; }

  std::uint16_t port = 0;

 private:
  struct Peer {
    int socket = -1;
    std::unique_ptr<FakeConnection> connection;
    std::unique_ptr<transport::TlsSession> tls;
    std::vector<std::byte> out;
  };

  static Nanos now() {
    timespec time{};
    clock_gettime(CLOCK_BOOTTIME, &time);
    return Nanos(time.tv_sec * kNanosPerSecond + time.tv_nsec);
  }

  void serve() {
    std::vector<Peer> peers;
    while (!stopping_) {
      std::vector<pollfd> polled{{listener_, POLLIN, 0}};
      for (const Peer& peer : peers) polled.push_back({peer.socket, POLLIN, 0});
      ::poll(polled.data(), polled.size(), 1);
      const std::lock_guard lock(mutex_);
      if (dropping_.exchange(false)) {
        for (Peer& peer : peers) end(peer);
        peers.clear();
        continue;
      }
      for (std::size_t i = 0; i < peers.size(); ++i) {
        if (polled[i + 1].revents != 0 && !read(peers[i])) end(peers[i]);
        if (peers[i].socket >= 0) write(peers[i]);
      }
      std::erase_if(peers, [](const Peer& peer) { return peer.socket < 0; });
      if (polled[0].revents != 0) accept(peers);
    }
    const std::lock_guard lock(mutex_);
    for (Peer& peer : peers) end(peer);
  }

  void accept(std::vector<Peer>& peers) {
    Peer& peer = peers.emplace_back();
    peer.socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    peer.connection = std::make_unique<FakeConnection>(server_, now());
    if (tls_ != nullptr) peer.tls = std::make_unique<transport::TlsSession>(tls_);
  }
  static void end(Peer& peer) {
    ::close(peer.socket);
    peer.socket = -1;
    peer.connection.reset();
  }
  static bool read(Peer& peer) {
    std::vector<std::byte> bytes(64 * kKiB);
    const ssize_t got = ::recv(peer.socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got <= 0) return false;
    bytes.resize(static_cast<std::size_t>(got));
    if (peer.tls == nullptr) {
      peer.connection->feed(bytes, now());
      return true;
    }
    peer.tls->feed(bytes);
    std::vector<std::byte> plain(64 * kKiB);
    while (const std::size_t size = peer.tls->read(plain)) {
      peer.tls->export_keying(proto::kHelloLabel, peer.connection->channel);
      peer.connection->feed(std::span(plain).first(size), now());
    }
    return true;
  }
  static void write(Peer& peer) {
    peer.connection->tick(now());
    std::vector<std::byte> bytes = peer.connection->take(now());
    if (peer.tls != nullptr) {
      if (!bytes.empty()) peer.tls->write(bytes);
      const auto sealed = peer.tls->take_output();
      bytes.assign(sealed.begin(), sealed.end());
    }
    peer.out.insert(peer.out.end(), bytes.begin(), bytes.end());
    const ssize_t put =
        ::send(peer.socket, peer.out.data(), peer.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) peer.out.erase(peer.out.begin(), peer.out.begin() + put);
  }

  std::shared_ptr<transport::TlsContext> tls_;
  int listener_ = -1;
  std::mutex mutex_;
  FakeServer server_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> dropping_ = false;
  std::thread thread_;
};

}  // namespace penstock::client::native::test
