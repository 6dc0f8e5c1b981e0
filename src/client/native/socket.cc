#include "client/native/socket.h"

#include "base/loopback.h"

#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace penstock::client::native {

void Socket::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  connecting_ = blocked_ = false;
  span_at_ = span_count_ = 0;
}

void Socket::lose(Link& link, const std::string& why, Nanos now) {
  const LinkEndpoint& to = link.endpoint();
  const std::string where = to.host + ":" + std::to_string(to.port) + ": " + why;
  close();
  link.on_disconnected(where, now);
}

void Socket::serve(Link& link, Nanos now) {
  if (!link.has_connection()) close();
  if (link.wants_connection(now)) connect(link, now);
  if (socket_ >= 0 && !connecting_) write(link, now);
  if (!link.has_connection()) close();
}

void Socket::connect(Link& link, Nanos now) {
  const LinkEndpoint to = link.endpoint();
  link.on_connecting(now);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(to.port);
  if (const int error = getaddrinfo(to.host.c_str(), port.c_str(), &hints, &found)) {
    return lose(link, gai_strerror(error), now);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  int reason = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    socket_ = ::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
      reason = errno;
      continue;
    }
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    base::tune_for(socket_, *address->ai_addr);
    connecting_ = true;
    if (::connect(socket_, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS) {
      return;
    }
    reason = errno;
    close();
  }
  lose(link, std::strerror(reason), now);
}

short Socket::wanted(Link& link) const {
  if (connecting_ || blocked_) return link.destination().empty() ? POLLOUT : POLLIN | POLLOUT;
  return link.destination().empty() ? 0 : POLLIN;
}

void Socket::on_ready(Link& link, short events, Nanos now) {
  if (socket_ < 0 || events == 0) return;
  if (connecting_) {
    int reason = 0;
    socklen_t size = sizeof reason;
    getsockopt(socket_, SOL_SOCKET, SO_ERROR, &reason, &size);
    if (reason != 0) return lose(link, std::strerror(reason), now);
    connecting_ = false;
    return link.on_connected(now);
  }
  if ((events & POLLOUT) != 0) blocked_ = false;
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) read(link, now);
}

void Socket::read(Link& link, Nanos now) {
  for (int i = 0; i < kReadsPerTurn && link.has_connection(); ++i) {
    const std::span<std::byte> into = link.destination();
    if (into.empty()) {
      // Nothing is taken any more, and the peer is gone.
      char byte = 0;
      if (::recv(socket_, &byte, 1, MSG_PEEK) <= 0 && errno != EAGAIN) lose(link, "closed", now);
      return;
    }
    const ssize_t got = ::recv(socket_, into.data(), into.size(), 0);
    if (got > 0) {
      link.arrived(static_cast<std::size_t>(got), now);
    } else if (got == 0) {
      return lose(link, "the server has closed the connection", now);
    } else if (errno != EINTR) {
      if (errno != EAGAIN) lose(link, std::strerror(errno), now);
      return;
    }
  }
}

void Socket::write(Link& link, Nanos now) {
  while (!blocked_ && link.has_connection()) {
    if (span_at_ == span_count_) {
      span_at_ = 0;
      span_count_ = link.gather(spans_, now);
      if (span_count_ == 0) return;
    }
    if (!write_some(link, now)) return;
    if (span_at_ == span_count_) link.sent(now);
  }
}

bool Socket::write_some(Link& link, Nanos now) {
  std::array<iovec, kSpans> pieces;
  std::size_t count = 0;
  for (std::size_t i = span_at_; i < span_count_; ++i) {
    pieces[count++] = {const_cast<std::byte*>(spans_[i].data()), spans_[i].size()};
  }
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = count;
  const ssize_t put = ::sendmsg(socket_, &message, MSG_NOSIGNAL);
  if (put < 0) {
    if (errno == EINTR) return true;
    blocked_ = errno == EAGAIN;
    if (!blocked_) lose(link, std::strerror(errno), now);
    return false;
  }
  auto left = static_cast<std::size_t>(put);
  while (span_at_ < span_count_ && left >= spans_[span_at_].size()) {
    left -= spans_[span_at_++].size();
  }
  if (left > 0) spans_[span_at_] = spans_[span_at_].subspan(left);
  return true;
}

}  // namespace penstock::client::native
