#include "canned_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <utility>

namespace penstock::client {

CannedServer::CannedServer(std::vector<Answer> answers) : answers_(std::move(answers)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_, generic, size) != 0 || listen(listener_, 8) != 0 ||
      getsockname(listener_, generic, &size) != 0) {
    throw std::runtime_error("no loopback socket");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

void CannedServer::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    if (connection_ >= 0) shutdown(connection_, SHUT_RDWR);
  }
  thread_.join();
  close(listener_);
}

Endpoint CannedServer::endpoint() const { return {false, "127.0.0.1", port_}; }

void CannedServer::run() {
  std::size_t next = 0;
  for (;;) {
    const int connection = accept(listener_, nullptr, nullptr);
    if (connection < 0) return;
    {
      const std::lock_guard lock(mutex_);
      connection_ = connection;
      if (stopping_) shutdown(connection, SHUT_RDWR);
    }
    while (serve(connection, next)) {
    }
    const std::lock_guard lock(mutex_);
    connection_ = -1;
    close(connection);
  }
}

bool CannedServer::serve(int connection, std::size_t& next) {
  std::string request;
  std::size_t total = std::string::npos;
  std::array<char, 65536> buffer{};
  while (request.size() < total) {
    const ssize_t got = recv(connection, buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    request.append(buffer.data(), static_cast<std::size_t>(got));
    const auto head = request.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    const auto length = request.find("Content-Length: ");
    total = head + 4 + (length < head ? std::stoul(request.substr(length + 16)) : 0);
  }
  requests_.push_back(request);
  const Answer answer = next < answers_.size() ? answers_[next] : Answer{500, "{}"};
  ++next;
  if (answer.hang_up) return false;
  const std::string reply =
      fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n{}", answer.status,
                  answer.body.size(), answer.headers, answer.body);
  return send(connection, reply.data(), reply.size(), MSG_NOSIGNAL) >= 0 && !answer.close_after;
}

}  // namespace penstock::client
