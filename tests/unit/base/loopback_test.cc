// Goal: only what stays on this machine is tuned for it.
#include "base/loopback.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace penstock::base {
namespace {

bool v4_is_loopback(const char* text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  EXPECT_EQ(inet_pton(AF_INET, text, &address.sin_addr), 1);
  return is_loopback(reinterpret_cast<const sockaddr&>(address));
}

bool v6_is_loopback(const char* text) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
  return is_loopback(reinterpret_cast<const sockaddr&>(address));
}

TEST(Loopback, IsKnownByItsAddress) {
  EXPECT_TRUE(v4_is_loopback("127.0.0.1"));
  EXPECT_TRUE(v4_is_loopback("127.9.8.7"));
  EXPECT_FALSE(v4_is_loopback("128.0.0.1"));
  EXPECT_FALSE(v4_is_loopback("0.0.0.0"));
  EXPECT_FALSE(v4_is_loopback("192.0.2.127"));
  EXPECT_TRUE(v6_is_loopback("::1"));
  EXPECT_FALSE(v6_is_loopback("::"));
  EXPECT_FALSE(v6_is_loopback("2001:db8::1"));
}

TEST(Loopback, OtherFamiliesAreNone) {
  sockaddr address{};
  address.sa_family = AF_UNIX;
  EXPECT_FALSE(is_loopback(address));
}

}  // namespace
}  // namespace penstock::base
