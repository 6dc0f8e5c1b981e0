#include "client/connection.h"

#include "base/loopback.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <utility>

namespace penstock::client {
namespace {

constexpr long kWouldBlock = -1;
constexpr long kBroken = -2;

std::unexpected<Failure> timed_out(const Endpoint& endpoint, const char* what, bool unknown) {
  return failed(FailureKind::kTimeout, fmt::format("{}: {} in time", endpoint.url(), what),
                unknown);
}

}  // namespace

Connection::Connection(Endpoint endpoint, std::shared_ptr<TlsContext> tls)
    : endpoint_(std::move(endpoint)), tls_(std::move(tls)) {}

Connection::~Connection() { close(); }

void Connection::close() {
  if (ssl_ != nullptr) {
    // Tells the peer that this is the end; whether it hears it does not matter any more.
    if (used_) SSL_shutdown(ssl_);
    SSL_free(ssl_);
    ssl_ = nullptr;
    ERR_clear_error();
  }
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  used_ = false;
}

bool Connection::wait(Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd descriptor{socket_, events_, 0};
    const int ready =
        ::poll(&descriptor, 1, static_cast<int>(std::min<long long>(left, 1'000'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Outcome<> Connection::open(Deadline deadline) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(endpoint_.port);
  if (const int error = getaddrinfo(endpoint_.host.c_str(), port.c_str(), &hints, &found)) {
    return failed(FailureKind::kUnreachable, fmt::format("the name {} has no address: {}",
                                                         endpoint_.host, gai_strerror(error)));
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
    reason = ::connect(socket_, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (reason == EINPROGRESS) {
      events_ = POLLOUT;
      if (!wait(deadline)) {
        close();
        return timed_out(endpoint_, "no connection", false);
      }
      socklen_t size = sizeof reason;
      getsockopt(socket_, SOL_SOCKET, SO_ERROR, &reason, &size);
    }
    if (reason == 0) return tls_ ? handshake(deadline) : Outcome<>();
    close();
  }
  return failed(FailureKind::kUnreachable,
                fmt::format("{}: {}", endpoint_.url(), std::strerror(reason)));
}

Outcome<> Connection::handshake(Deadline deadline) {
  ssl_ = tls_->open(endpoint_.host);
  if (ssl_ == nullptr || SSL_set_fd(ssl_, socket_) != 1) {
    close();
    return failed(FailureKind::kTls, "TLS cannot be set up: " + tls_error());
  }
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) return {};
    if (tls_outcome(result) != kWouldBlock) break;
    if (!wait(deadline)) {
      close();
      return timed_out(endpoint_, "no TLS handshake", false);
    }
  }
  const long verdict = SSL_get_verify_result(ssl_);
  const std::string reason =
      verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : tls_error();
  close();
  return failed(FailureKind::kTls, fmt::format("{}: {}", endpoint_.url(), reason));
}

long Connection::tls_outcome(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      events_ = POLLIN;
      return kWouldBlock;
    case SSL_ERROR_WANT_WRITE:
      events_ = POLLOUT;
      return kWouldBlock;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      return kBroken;
  }
}

long Connection::read_some(char* into, std::size_t size) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int got = SSL_read(ssl_, into, static_cast<int>(size));
    return got > 0 ? got : tls_outcome(got);
  }
  const ssize_t got = ::recv(socket_, into, size, 0);
  if (got >= 0) return got;
  events_ = POLLIN;
  return errno == EAGAIN || errno == EINTR ? kWouldBlock : kBroken;
}

long Connection::write_some(std::string_view bytes) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int put = SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
    return put > 0 ? put : tls_outcome(put);
  }
  const ssize_t put = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (put >= 0) return put;
  events_ = POLLOUT;
  return errno == EAGAIN || errno == EINTR ? kWouldBlock : kBroken;
}

bool Connection::stale() {
  pollfd descriptor{socket_, POLLIN, 0};  // and POLLHUP, POLLERR, which need no asking
  if (::poll(&descriptor, 1, 0) == 0) return false;
  if (ssl_ == nullptr) return true;  // its end, or bytes that nobody asked for
  // Session tickets may lie there, too.
  ERR_clear_error();
  char byte = 0;
  const int got = SSL_peek(ssl_, &byte, 1);
  return got > 0 || tls_outcome(got) != kWouldBlock;
}

Outcome<> Connection::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const long put = write_some(bytes);
    if (put > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
    } else if (put != kWouldBlock) {
      return failed(FailureKind::kUnreachable,
                    fmt::format("{}: the connection was lost", endpoint_.url()), true);
    } else if (!wait(deadline)) {
      return timed_out(endpoint_, "the request was not taken", true);
    }
  }
  return {};
}

Outcome<> Connection::receive(HttpResponse& response, Deadline deadline) {
  std::array<char, 65536>
      buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by reads
  while (!response.complete()) {
    const long got = read_some(buffer.data(), buffer.size());
    if (got > 0) {
      if (!response.feed(std::string_view(buffer.data(), static_cast<std::size_t>(got)))) {
        return failed(FailureKind::kProtocol,
                      fmt::format("{}: the answer is not HTTP/1.1", endpoint_.url()), true);
      }
    } else if (got != kWouldBlock) {
      return failed(FailureKind::kUnreachable,
                    fmt::format("{}: the connection was lost before the answer", endpoint_.url()),
                    true);
    } else if (!wait(deadline)) {
      return timed_out(endpoint_, "no answer", true);
    }
  }
  return {};
}

Outcome<> Connection::exchange(std::string_view head, std::string_view body, HttpResponse& response,
                               Deadline deadline, bool resend) {
  // The peer closes what has been idle for long: to send there would leave the outcome unknown.
  if (socket_ >= 0 && stale()) close();
  for (;;) {
    const bool reused = socket_ >= 0;
    if (!reused) {
      if (auto opened = open(deadline); !opened) return opened;
    }
    response.reset();
    Outcome<> outcome = send(head, deadline);
    if (outcome) outcome = send(body, deadline);
    if (outcome) outcome = receive(response, deadline);
    if (outcome) {
      used_ = true;
      if (!response.keep_alive()) close();
      return outcome;
    }
    close();
    // The peer may have closed an idle connection at the moment we used it.
    const bool stale =
        reused && outcome.error().kind == FailureKind::kUnreachable && response.empty();
    if (!stale || !resend) return outcome;
  }
}

}  // namespace penstock::client
