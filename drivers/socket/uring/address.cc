#include "drivers/socket/uring/address.h"

#include "base/loopback.h"

#include <fmt/format.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace penstock::drivers {
namespace {

std::unexpected<Error> failed(int error) {
  if (error == EADDRINUSE) return fail(ErrorCode::kAddressInUse, error);
  if (error == EACCES || error == EPERM) return fail(ErrorCode::kPermission, error);
  return fail(ErrorCode::kSystem, error);
}

// Of what has been handed to the kernel, how much may wait to be sent for the first time. Its send
// buffer may grow to many MiB: without this bound a peer's progress would be seen in leaps of a third
// of that.
constexpr int kUnsentBytesMax = 256 * 1024;

bool set(int fd, int level, int option, int value = 1) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

Result<int> open_socket(const SocketAddress& address) {
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(errno);
  // One listener a family: [::] does not take the place of 0.0.0.0.
  const bool is_v6 = address.storage.ss_family == AF_INET6;
  if (!set(fd, SOL_SOCKET, SO_REUSEADDR) || (is_v6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY))) {
    const int error = errno;
    close(fd);
    return failed(error);
  }
  return fd;
}

// With SO_REUSEPORT two processes of one user could listen on one port, each getting half of the
// connections. A socket without it tells whether somebody is there.
Result<> look_for_others(const SocketAddress& address) {
  const Result<int> fd = open_socket(address);
  if (!fd) return std::unexpected(fd.error());
  const int error = bind(*fd, address.raw(), address.length) == 0 ? 0 : errno;
  close(*fd);
  if (error != 0) return failed(error);
  return {};
}

}  // namespace

Result<SocketAddress> parse_address(std::string_view address, std::uint16_t port) {
  SocketAddress parsed;
  const std::string text(address);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&parsed.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    parsed.length = sizeof(sockaddr_in);
    return parsed;
  }
  parsed.storage = {};
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&parsed.storage);
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    parsed.length = sizeof(sockaddr_in6);
    return parsed;
  }
  return fail(ErrorCode::kMalformed, EINVAL);
}

std::string format_address(const SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(v4->sin_port));
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
  return fmt::format("[{}]:{}", text.data(), ntohs(v6->sin6_port));
}

std::uint16_t port_of(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
}

Result<int> open_listener(const SocketAddress& address, int backlog, bool shared) {
  if (!shared && port_of(address) != 0) {
    if (const Result<> alone = look_for_others(address); !alone) {
      return std::unexpected(alone.error());
    }
  }
  const Result<int> fd = open_socket(address);
  if (!fd) return fd;
  if (!set(*fd, SOL_SOCKET, SO_REUSEPORT) || !set(*fd, IPPROTO_TCP, TCP_NODELAY) ||
      !set(*fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytesMax) ||
      bind(*fd, address.raw(), address.length) != 0 || ::listen(*fd, backlog) != 0) {
    const int error = errno;
    close(*fd);
    return failed(error);
  }
  base::tune_for(*fd, *address.raw());  // its connections inherit it
  return fd;
}

}  // namespace penstock::drivers
