// Goal: the simulated network delays, cuts and breaks streams by chance, never reorders or invents,
// and repeats from its seed. Method: an echo server under every fault, compared byte by byte.
#include "tests/unit/drivers/socket_rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

namespace penstock::drivers {
namespace {

using env::ConnectionId;
using env::SocketEvent;
using env::SocketEventKind;

// Sends back what it receives, on both cores.
class Echo {
 public:
  explicit Echo(SimSocketRig& rig) : rig_(rig) {}
  void turn() {
    for (std::size_t core = 0; core < kRigCores; ++core) {
      std::array<SocketEvent, 4> events;
      const std::size_t count = rig_.socket(core).reap(events);
      for (std::size_t i = 0; i < count; ++i) take(core, events[i]);
      rig_.socket(core).submit();
    }
  }
  [[nodiscard]] const std::set<std::size_t>& cores() const { return cores_; }
  [[nodiscard]] std::size_t failed() const { return failed_; }

 private:
  void take(std::size_t core, const SocketEvent& event) {
    std::array<std::byte, 512>& buffer = buffers_[event.connection];
    env::Socket& socket = rig_.socket(core);
    switch (event.kind) {
      case SocketEventKind::kAccepted:
        cores_.insert(core);
        return socket.receive(event.connection, buffer);
      case SocketEventKind::kReceived:
        if (event.bytes == 0) return socket.close(event.connection);
        return socket.send(event.connection, std::span(buffer).first(event.bytes));
      case SocketEventKind::kSent:
        return socket.receive(event.connection, buffer);
      case SocketEventKind::kReleased:
        return;  // nothing is held
      case SocketEventKind::kClosed:
        if (event.error != 0) ++failed_;
        buffers_.erase(event.connection);
        return;
    }
  }

  SimSocketRig& rig_;
  std::map<ConnectionId, std::array<std::byte, 512>> buffers_;
  std::set<std::size_t> cores_;
  std::size_t failed_ = 0;
};

struct Outcome {
  std::uint64_t trace = 0;
  NetworkFaultCounts counts;
  std::size_t whole = 0;
  std::size_t broken = 0;
  std::size_t cores = 0;
};

Outcome run(std::uint64_t seed) {
  SimNetworkOptions options;
  options.window = 4096;
  options.rates = {.delay = 0.02, .split = 0.3, .reset = 0.002};
  SimSocketRig rig(options, seed);
  EXPECT_TRUE(rig.listen(0, 1).has_value());
  EXPECT_TRUE(rig.listen(1, 1).has_value());
  Echo echo(rig);
  Outcome result;
  for (int round = 0; round < 10; ++round) {
    std::map<RigClient, std::string> sent;
    std::map<RigClient, std::string> got;
    for (int i = 0; i < 3; ++i) {
      const RigClient client = rig.connect();
      for (int k = 0; k < 1500; ++k) sent[client] += std::to_string(k * (i + 1)) + ",";
      rig.send(client, sent[client]);
      rig.end(client);
    }
    for (int step = 0; step < 100'000 && rig.network().next_event(); ++step) {
      rig.let_time_pass();
      echo.turn();
      for (auto& [client, bytes] : got) bytes += rig.take(client);
      for (const auto& [client, bytes] : sent) got[client] += rig.take(client);
    }
    for (const auto& [client, bytes] : sent) {
      const bool is_broken = rig.error(client) != 0;
      is_broken ? ++result.broken : ++result.whole;
      EXPECT_EQ(got[client], bytes.substr(0, got[client].size()));
      EXPECT_EQ(rig.at_end(client), !is_broken);
      if (!is_broken) {
        EXPECT_EQ(got[client].size(), bytes.size());
      }
    }
  }
  result.trace = rig.network().trace_hash();
  result.counts = rig.network().counts();
  result.cores = echo.cores().size();
  return result;
}

TEST(SimNetwork, StreamsStayWholeOrBreakAndEveryFaultFires) {
  const Outcome result = run(5);
  EXPECT_GT(result.whole, 0U);
  EXPECT_GT(result.broken, 0U);
  EXPECT_EQ(result.cores, kRigCores);
  for (std::size_t fault = 0; fault < kNetworkFaults; ++fault) {
    EXPECT_GT(result.counts.counts[fault], 0U) << result.counts.describe();
  }
}

TEST(SimNetwork, OneSeedIsOneHistory) {
  const Outcome first = run(1);
  EXPECT_EQ(first.trace, run(1).trace);
  EXPECT_NE(first.trace, run(2).trace);
}

TEST(SimNetwork, ServerThatGoesAwayResetsItsClients) {
  SimSocketRig rig;
  ASSERT_TRUE(rig.listen(0, 1).has_value());
  const RigClient client = rig.connect();
  Echo echo(rig);
  rig.send(client, "hello");
  std::string got;
  while (got.size() < 5) {
    rig.let_time_pass();
    echo.turn();
    got += rig.take(client);
  }
  rig.drop(0);
  while (rig.network().next_event()) rig.let_time_pass();
  EXPECT_EQ(rig.error(client), ECONNRESET);
  const RigClient late = rig.connect();
  while (rig.network().next_event()) rig.let_time_pass();
  EXPECT_EQ(rig.error(late), ECONNREFUSED);
}

}  // namespace
}  // namespace penstock::drivers
