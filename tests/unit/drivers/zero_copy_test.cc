// Goal: a large held send to another machine goes without a copy, is released only when the kernel has done with it,
// arrives whole, and where the kernel copied it all the same the connection goes on by copy. Method: the other machine is
// a child in a network namespace of its own at the other end of a veth pair, which copies what it carries.
#include "drivers/ring/probe.h"
#include "drivers/socket/uring/uring_socket.h"
#include "penstock/units.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <vector>

namespace penstock::drivers {
namespace {

using env::SocketEventKind;

constexpr std::uint32_t kTag = 3;
constexpr const char* kHere = "10.222.0.1";
constexpr const char* kThere = "10.222.0.2";

// A network of the test's own: this thread is at one end, `peer_` at the other.
class TwoMachines {
 public:
  TwoMachines() {
    before_ = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (before_ < 0 || ::unshare(CLONE_NEWNET) != 0) {
      refusal_ = fmt::format("a network namespace of its own, which root may make: {}",
                             std::strerror(errno));
      return;
    }
    apart_ = true;
    if (::pipe(to_peer_.data()) != 0 || ::pipe(from_peer_.data()) != 0) {
      refusal_ = "pipes";
      return;
    }
    ::signal(SIGPIPE, SIG_IGN);
    child_ = ::fork();
    if (child_ == 0) live_there();
    ::close(to_peer_[0]);
    ::close(from_peer_[1]);
    char ready = 0;
    if (::read(from_peer_[0], &ready, 1) != 1) {
      refusal_ = "a namespace for the other machine";
    } else if (!run(fmt::format("ip link add here type veth peer name there netns {}", child_)) ||
               !run(fmt::format("ip addr add {}/24 dev here", kHere)) ||
               !run("ip link set here up")) {
      refusal_ = "veth pairs, and `ip` of iproute2";
    }
  }
  ~TwoMachines() {
    if (child_ > 0) {
      ::close(to_peer_[1]);  // it ends with its orders
      ::close(from_peer_[0]);
      ::waitpid(child_, nullptr, 0);
    }
    if (apart_) {
      EXPECT_EQ(::setns(before_, CLONE_NEWNET), 0);
    }
    ::close(before_);
  }
  TwoMachines(const TwoMachines&) = delete;
  TwoMachines& operator=(const TwoMachines&) = delete;

  // What it needs and has not got; empty: nothing.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  // The other machine connects to this port, and then reads so many bytes whenever it is told to.
  void connect(std::uint32_t port) { tell(port); }
  void read(std::uint32_t bytes) { tell(bytes); }
  // The sum that it made of what it has read last.
  [[nodiscard]] std::uint32_t sum() {
    std::uint32_t sum = 0;
    EXPECT_EQ(::read(from_peer_[0], &sum, sizeof(sum)), ssize_t{sizeof(sum)});
    return sum;
  }
  static std::uint32_t sum_of(const std::vector<std::byte>& bytes) {
    std::uint32_t sum = 0;
    for (const std::byte byte : bytes) sum = sum * 31 + static_cast<std::uint32_t>(byte);
    return sum;
  }

 private:
  static bool run(const std::string& command) {
    return std::system((command + " 2>/dev/null").c_str()) == 0;
  }
  void tell(std::uint32_t number) {
    EXPECT_EQ(::write(to_peer_[1], &number, sizeof(number)), ssize_t{sizeof(number)});
  }

  // The child. Orders: a port to connect to, then how many bytes to read; it ends when there are no more.
  [[noreturn]] void live_there() {
    ::close(to_peer_[1]);
    const char ready = 1;
    if (::unshare(CLONE_NEWNET) != 0 || ::write(from_peer_[1], &ready, 1) != 1) _exit(1);
    std::uint32_t order = 0;
    if (::read(to_peer_[0], &order, sizeof(order)) != ssize_t{sizeof(order)}) _exit(1);
    if (!run(fmt::format("ip addr add {}/24 dev there", kThere)) || !run("ip link set there up")) {
      _exit(1);
    }
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(order));
    if (::inet_pton(AF_INET, kHere, &to.sin_addr) != 1 ||
        ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
      _exit(1);
    }
    while (::read(to_peer_[0], &order, sizeof(order)) == ssize_t{sizeof(order)}) {
      std::vector<std::byte> bytes(order);
      if (::recv(fd, bytes.data(), order, MSG_WAITALL) != ssize_t{order}) _exit(1);
      const std::uint32_t sum = sum_of(bytes);
      if (::write(from_peer_[1], &sum, sizeof(sum)) != ssize_t{sizeof(sum)}) _exit(1);
    }
    _exit(0);
  }

  int before_ = -1;
  bool apart_ = false;
  pid_t child_ = -1;
  std::array<int, 2> to_peer_{-1, -1};
  std::array<int, 2> from_peer_{-1, -1};
  std::string refusal_;
};

class ZeroCopy : public ::testing::Test {
 protected:
  void SetUp() override {
    const RingProbe probe = probe_ring();
    if (!probe.usable()) GTEST_SKIP() << probe.reason;
    if (!probe.has(kZeroCopySend)) GTEST_SKIP() << "needs Linux 6.2: " << kZeroCopySend;
    machines_ = std::make_unique<TwoMachines>();
    if (!machines_->refusal().empty()) GTEST_SKIP() << "needs " << machines_->refusal();
    ring_ = std::move(*Ring::create({.entries = 32, .completions = 64}));
    socket_ = std::make_unique<UringSocket>(
        *ring_, UringSocketOptions{.connections = 4, .backlog = 8, .zero_copy = true});
    ASSERT_TRUE(socket_->listen(kHere, 0, kTag).has_value());
    socket_->submit();
    machines_->connect(socket_->port(kTag));
    ASSERT_TRUE(turn_until([&] { return connection_ != env::ConnectionId::kNone; }));
  }
  void TearDown() override {
    socket_.reset();
    ring_.reset();
    machines_.reset();
  }
  bool turn_until(const std::function<bool()>& done) {
    for (int patience = 5000; patience > 0; --patience) {
      socket_->submit();
      std::array<env::SocketEvent, 8> out;
      const std::size_t count = socket_->reap(out);
      for (const env::SocketEvent& event : std::span(out).first(count)) {
        if (event.kind == SocketEventKind::kAccepted) connection_ = event.connection;
        if (event.kind == SocketEventKind::kSent) ++sent_;
        if (event.kind == SocketEventKind::kClosed) ++closed_;
        released_ += event.released;
        uncopied_ += event.uncopied;
        copied_ += event.copied;
      }
      if (done()) return true;
      ring_->sleep(penstock::kNanosPerMilli);
    }
    return false;
  }
  static std::vector<std::byte> pattern(std::size_t bytes, std::uint32_t seed) {
    std::vector<std::byte> made(bytes);
    for (std::byte& byte : made)
      byte = static_cast<std::byte>((seed = seed * 1664525 + 1013904223) >> 24);
    return made;
  }

  std::unique_ptr<TwoMachines> machines_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<UringSocket> socket_;
  env::ConnectionId connection_ = env::ConnectionId::kNone;
  std::size_t sent_ = 0, released_ = 0, uncopied_ = 0, copied_ = 0, closed_ = 0;
};

TEST_F(ZeroCopy, IsTriedFromSixteenKibibytesOnAndEndsWithTheFirstCopy) {
  const auto little = pattern(env::kHeldBytesMin - 1, 1);
  socket_->send_held(connection_, little);
  ASSERT_TRUE(turn_until([&] { return released_ == 1; }));
  EXPECT_EQ(socket_->counters().uncopied, 0U);

  const auto much = pattern(env::kHeldBytesMin, 2);
  socket_->send_held(connection_, much);
  machines_->read(static_cast<std::uint32_t>(little.size()));
  machines_->read(static_cast<std::uint32_t>(much.size()));
  ASSERT_TRUE(turn_until([&] { return released_ == 2; }));
  EXPECT_EQ(sent_, 2U);
  EXPECT_EQ(machines_->sum(), TwoMachines::sum_of(little));
  EXPECT_EQ(machines_->sum(), TwoMachines::sum_of(much));
  EXPECT_EQ(socket_->counters().uncopied, 1U);
  EXPECT_EQ(uncopied_, 1U);
  ASSERT_EQ(copied_, 1U) << "a veth pair copies";

  const auto more = pattern(3'000'000, 3);
  socket_->send_held(connection_, more);
  machines_->read(static_cast<std::uint32_t>(more.size()));
  ASSERT_TRUE(turn_until([&] { return released_ == 3; }));
  EXPECT_EQ(machines_->sum(), TwoMachines::sum_of(more));
  EXPECT_EQ(socket_->counters().uncopied, 1U) << "it is off for this connection";
}

// Several are under way before the first notice comes, and their bytes are the kernel's meanwhile.
TEST_F(ZeroCopy, HoldsWhatIsSentUntilTheKernelHasDoneWithIt) {
  std::vector<std::vector<std::byte>> sends;
  for (std::uint32_t i = 0; i < env::kHeldSendsMax; ++i) {
    sends.push_back(pattern(20'000 + 5'000 * i, 10 + i));
  }
  for (const auto& bytes : sends) {
    const std::size_t before = sent_;
    socket_->send_held(connection_, bytes);
    machines_->read(static_cast<std::uint32_t>(bytes.size()));
    ASSERT_TRUE(turn_until([&] { return sent_ == before + 1; }));
    EXPECT_LE(released_, sent_);
  }
  ASSERT_TRUE(turn_until([&] { return released_ == sends.size(); }));
  for (const auto& bytes : sends) EXPECT_EQ(machines_->sum(), TwoMachines::sum_of(bytes));
  EXPECT_GE(uncopied_, 1U);
}

// The peer reads nothing, so that bytes lie unacknowledged: who closes is not kept waiting for it.
TEST_F(ZeroCopy, ClosesThoughThePeerTakesNothing) {
  const auto much = pattern(32 << 20, 4);
  socket_->send_held(connection_, much);
  int turns = 0;
  ASSERT_TRUE(turn_until([&] { return ++turns > 50; }));
  EXPECT_EQ(sent_, 0U) << "it is more than anybody buffers";
  EXPECT_GE(socket_->counters().uncopied, 1U);
  socket_->close(connection_);
  EXPECT_TRUE(turn_until([&] { return closed_ == 1; }));
  EXPECT_EQ(sent_, 0U);
  EXPECT_EQ(released_, 0U);
  EXPECT_EQ(socket_->open_connections(), 0U);
}

}  // namespace
}  // namespace penstock::drivers
