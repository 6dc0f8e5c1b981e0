// A link and the fake server, joined by a network that can be cut, in virtual time.
#pragma once

#include "client/native/link.h"
#include "client/native/maps.h"
#include "tests/unit/client/native/fake_server.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace penstock::client::native::test {

struct FakeClock final : env::Clock {
  Nanos now() override { return at; }
  WallMillis wall() override { return WallMillis(1'700'000'000'000 + at.raw() / kNanosPerMilli); }
  bool wall_synchronised() override { return true; }
  Nanos at{1'000'000'000};
};

struct FakeEntropy final : env::Entropy {
  explicit FakeEntropy(unsigned seed) : random(seed) {}
  void fill(std::span<std::byte> out) override {
    for (std::byte& byte : out) byte = static_cast<std::byte>(random() & 255U);
  }
  std::mt19937 random;
};

class Rig {
 public:
  explicit Rig(unsigned seed = 1, LinkOptions options = options_of(FakeServer::kSecret))
      : entropy(seed), link(std::move(options), clock, entropy) {}
  ~Rig() { cut(); }

  static LinkOptions options_of(const std::string& secret) {
    LinkOptions options;
    options.endpoints = {{.host = "here", .port = 1, .tls = nullptr}};
    options.access_key = FakeServer::kKey;
    options.secret_key = secret;
    return options;
  }

  [[nodiscard]] Nanos now() const { return clock.at; }
  // What the client has sent is lost, or (`late`) reaches the server after so long, which hears no end.
  void cut(std::int64_t late_nanos = -1) {
    if (connection == nullptr) return;
    connection->mute = true;
    if (late_nanos >= 0) {
      std::vector<std::byte> bytes = on_the_way;
      const std::vector<std::byte> more = of_client();
      bytes.insert(bytes.end(), more.begin(), more.end());
      ghosts.push_back({std::move(connection), std::move(bytes), clock.at + late_nanos});
    }
    connection.reset();
    on_the_way.clear();
    link.on_disconnected("cut", clock.at);
  }
  // Moves bytes until nothing moves. `lag`: what the client sends arrives a step later.
  void carry() {
    if (!link.has_connection()) connection.reset();
    if (reachable && link.wants_connection(clock.at)) {
      link.on_connecting(clock.at);
      connection = std::make_unique<FakeConnection>(server, clock.at);
      link.on_connected(clock.at);
    }
    for (int i = 0; i < 1000 && connection != nullptr; ++i) {
      connection->feed(std::exchange(on_the_way, {}), clock.at);
      const std::vector<std::byte> sent = of_client();
      if (lag) {
        on_the_way = sent;
      } else {
        connection->feed(sent, clock.at);
      }
      connection->tick(clock.at);
      const std::vector<std::byte> answer = connection->take(clock.at);
      to_client(answer);
      if (!link.has_connection()) connection.reset();
      if (lag || (sent.empty() && answer.empty())) return;
    }
  }
  void step(std::int64_t nanos) {
    clock.at = clock.at + nanos;
    for (std::size_t i = 0; i < ghosts.size();) {
      if (ghosts[i].at > clock.at) {
        ++i;
        continue;
      }
      ghosts[i].connection->feed(ghosts[i].bytes, clock.at);
      ghosts.erase(ghosts.begin() + static_cast<std::ptrdiff_t>(i));
    }
    link.tick(clock.at);
    if (on_step) on_step(clock.at);
    carry();
  }
  void run(std::int64_t millis) {
    for (std::int64_t i = 0; i < millis; ++i) step(kNanosPerMilli);
  }
  // What the server has heard since the last call, joined.
  std::string heard() {
    std::string all;
    for (const std::string& line : server.log) all += (all.empty() ? "" : "; ") + line;
    server.log.clear();
    return all;
  }

  FakeClock clock;
  FakeEntropy entropy;
  FakeServer server;
  Link link;
  std::unique_ptr<FakeConnection> connection;
  bool reachable = true;
  bool lag = false;
  std::function<void(Nanos)> on_step;

 private:
  struct Ghost {
    std::unique_ptr<FakeConnection> connection;
    std::vector<std::byte> bytes;
    Nanos at;
  };
  std::vector<std::byte> of_client() {
    std::vector<std::byte> out;
    std::span<const std::byte> spans[64];
    while (const std::size_t count = link.gather(spans, clock.at)) {
      for (const auto& span : std::span(spans).first(count)) {
        out.insert(out.end(), span.begin(), span.end());
      }
      link.sent(clock.at);
    }
    return out;
  }
  void to_client(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::span<std::byte> into = link.destination();
      if (into.empty()) return;
      const std::size_t take = std::min(into.size(), bytes.size());
      std::memcpy(into.data(), bytes.data(), take);
      bytes = bytes.subspan(take);
      link.arrived(take, clock.at);
    }
  }
  std::vector<std::byte> on_the_way;
  std::vector<Ghost> ghosts;
};

}  // namespace penstock::client::native::test
