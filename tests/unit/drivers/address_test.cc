// Goal: a peer's progress is seen soon, however large the kernel's buffers are, and nothing is paced on
// loopback. Method: a connection of the listener's with a large send buffer, written to until it takes
// no more while its peer reads nothing; the option that it has inherited.
#include "drivers/socket/uring/address.h"

#include "penstock/units.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <vector>

namespace penstock::drivers {
namespace {

constexpr int kBufferBytes = 4 * kMiB;

TEST(OpenListener, LetsLittleWaitUnsent) {
  const Result<SocketAddress> any = parse_address("127.0.0.1", 0);
  ASSERT_TRUE(any);
  const Result<int> listener = open_listener(*any, 1, false);
  ASSERT_TRUE(listener);
  SocketAddress bound;
  bound.length = sizeof(bound.storage);
  ASSERT_EQ(getsockname(*listener, bound.raw(), &bound.length), 0);

  const int peer = socket(AF_INET, SOCK_STREAM, 0);
  const int small = 64 * kKiB;
  ASSERT_EQ(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
  ASSERT_EQ(connect(peer, bound.raw(), bound.length), 0);
  const int accepted = accept4(*listener, nullptr, nullptr, SOCK_NONBLOCK);
  ASSERT_GE(accepted, 0);
  const int large = kBufferBytes;
  ASSERT_EQ(setsockopt(accepted, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large)), 0);

  const std::vector<char> bytes(64 * kKiB);
  while (write(accepted, bytes.data(), bytes.size()) > 0) {
  }
  int unsent = 0;
  ASSERT_EQ(ioctl(accepted, SIOCOUTQNSD, &unsent), 0);
  EXPECT_GT(unsent, 0);
  // A packet more, which was begun when there was room.
  EXPECT_LE(unsent, static_cast<int>(256 * kKiB + 64 * kKiB));
  for (const int fd : {peer, accepted, *listener}) close(fd);
}

TEST(OpenListener, PacesNothingOnLoopback) {
  const Result<SocketAddress> any = parse_address("127.0.0.1", 0);
  ASSERT_TRUE(any);
  const Result<int> listener = open_listener(*any, 1, false);
  ASSERT_TRUE(listener);
  SocketAddress bound;
  bound.length = sizeof(bound.storage);
  ASSERT_EQ(getsockname(*listener, bound.raw(), &bound.length), 0);
  const int peer = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(connect(peer, bound.raw(), bound.length), 0);
  const int accepted = accept4(*listener, nullptr, nullptr, 0);
  ASSERT_GE(accepted, 0);
  std::array<char, 16> control{};
  socklen_t length = control.size();
  ASSERT_EQ(getsockopt(accepted, IPPROTO_TCP, TCP_CONGESTION, control.data(), &length), 0);
  EXPECT_STREQ(control.data(), "reno");
  for (const int fd : {peer, accepted, *listener}) close(fd);
}

}  // namespace
}  // namespace penstock::drivers
