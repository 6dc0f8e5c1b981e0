// Socket addresses as text, and listening sockets made from them.
#pragma once

#include "penstock/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace penstock::drivers {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
};

// A numeric IPv4 or IPv6 address. kMalformed for anything else: names are not looked up.
[[nodiscard]] Result<SocketAddress> parse_address(std::string_view address, std::uint16_t port);
// "192.0.2.1:4567", "[2001:db8::1]:4567".
[[nodiscard]] std::string format_address(const SocketAddress& address);
[[nodiscard]] std::uint16_t port_of(const SocketAddress& address);

// A listening TCP socket with SO_REUSEPORT and TCP_NODELAY, whose connections keep at most 256 KiB
// that were never sent. `shared`: this process listens there already, so that others need not be looked
// for. Errors kAddressInUse, kPermission, kSystem.
[[nodiscard]] Result<int> open_listener(const SocketAddress& address, int backlog, bool shared);

}  // namespace penstock::drivers
