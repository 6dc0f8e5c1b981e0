#include "drivers/socket/sim/sim_socket.h"

#include "base/assert.h"
#include "drivers/socket/sim/sim_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace penstock::drivers {

// --- The server's side of the network -----------------------------------------------------------

void SimNetwork::attach(SimSocket& socket) { sockets_.push_back(&socket); }

void SimNetwork::detach(SimSocket& socket) {
  std::erase(sockets_, &socket);
  for (const std::unique_ptr<Connection>& connection : connections_) {
    if (connection->server == &socket) abandon(*connection);
  }
}

// The process or the machine is gone: of what was under way to the client some prefix still arrives.
void SimNetwork::abandon(Connection& connection) {
  connection.server = nullptr;
  connection.server_open = false;
  connection.receiving = false;
  connection.sending = false;
  Pipe& pipe = connection.to_client;
  if (pipe.end_sent) return;  // closed before
  const std::size_t kept = resets_.below(pipe.flight.size() + 1);
  while (pipe.flight.size() > kept) {
    pipe.flight_bytes -= pipe.flight.back().size();
    pipe.flight.pop_back();
  }
  schedule(connection, draw_arrival(pipe), false, Arrival::kReset);
}

void SimNetwork::start_receive(Connection& connection, std::span<std::byte> into) {
  connection.into = into;
  connection.receiving = true;
  progress(connection);
}

void SimNetwork::start_send(Connection& connection, std::vector<std::span<const std::byte>> pieces,
                            bool held) {
  connection.out = std::move(pieces);
  connection.out_held = held;
  connection.out_piece = 0;
  connection.out_sent = 0;
  connection.out_bytes = 0;
  for (const std::span<const std::byte> piece : connection.out)
    connection.out_bytes += piece.size();
  connection.sending = true;
  push(connection, false);
  progress(connection);
}

// Finishes what can be: a receive when bytes or the end are there, a send when all is under way,
// either with the connection when it is broken.
void SimNetwork::progress(Connection& connection) {
  if (!connection.server_open) return;
  const auto tell = [&](env::SocketEventKind kind, std::size_t bytes) {
    connection.server->events_.push_back(
        {.kind = kind,
         .connection = static_cast<env::ConnectionId>(connection.id),
         .listener = connection.listener,
         .bytes = static_cast<std::uint32_t>(bytes),
         .error = 0});
  };
  if (connection.broken != 0) {
    if (connection.receiving || connection.sending) server_close(connection, connection.broken);
    return;
  }
  if (connection.sending && connection.out_piece == connection.out.size()) {
    connection.sending = false;
    tell(env::SocketEventKind::kSent, connection.out_bytes);
    if (connection.out_held) {
      tell(env::SocketEventKind::kReleased, 0);
      connection.server->events_.back().released = 1;
    }
  }
  Pipe& pipe = connection.to_server;
  if (!connection.receiving || (pipe.arrived.empty() && !pipe.ended)) return;
  std::size_t bytes = std::min(connection.into.size(), pipe.arrived.size());
  if (bytes > 1 && split_.chance(options_.rates.split)) {
    counts_.add(NetworkFault::kSplit);
    bytes = 1 + split_.below(bytes);
  }
  if (pipe.segments_arrived > 1) counts_.add(NetworkFault::kCoalesced);
  if (bytes > 0) std::memcpy(connection.into.data(), pipe.arrived.view().data(), bytes);
  pipe.arrived.drop(bytes);
  pipe.segments_arrived = pipe.arrived.empty() ? 0 : 1;
  connection.receiving = false;
  tell(env::SocketEventKind::kReceived, bytes);
  push(connection, true);
}

void SimNetwork::server_close(Connection& connection, std::int32_t error) {
  SimSocket& socket = *connection.server;
  connection.server_open = false;
  connection.receiving = false;
  connection.sending = false;
  Pipe& pipe = connection.to_client;
  if (connection.broken == 0 && !connection.to_server.arrived.empty()) {
    // Bytes that the server never read: the client gets what is under way, then a reset.
    schedule(connection, draw_arrival(pipe), false, Arrival::kReset);
  } else {
    pipe.end_wanted = true;
    push(connection, false);
  }
  socket.events_.push_back({.kind = env::SocketEventKind::kClosed,
                            .connection = static_cast<env::ConnectionId>(connection.id),
                            .listener = connection.listener,
                            .bytes = 0,
                            .error = error});
}

// --- SimSocket ----------------------------------------------------------------------------------

SimSocket::SimSocket(SimNetwork& network, std::uint32_t connections)
    : network_(network), limit_(connections) {
  network_.attach(*this);
}

SimSocket::~SimSocket() { network_.detach(*this); }

Result<> SimSocket::listen(std::string_view, std::uint16_t port, std::uint32_t tag) {
  if (listener(port) != nullptr) return fail(ErrorCode::kAddressInUse, EADDRINUSE);
  listeners_.push_back({port, tag});
  return {};
}

const SimSocket::Listener* SimSocket::listener(std::uint16_t port) const {
  for (const Listener& listener : listeners_) {
    if (listener.port == port) return &listener;
  }
  return nullptr;
}

SimNetwork::Connection* SimSocket::find(env::ConnectionId connection) {
  SimNetwork::Connection* const found = network_.find(static_cast<std::uint64_t>(connection));
  if (found == nullptr || found->server != this || !found->server_open) return nullptr;
  return found;
}

void SimSocket::receive(env::ConnectionId connection, std::span<std::byte> into) {
  SimNetwork::Connection* const found = find(connection);
  if (found == nullptr) return;
  PENSTOCK_ASSERT(!into.empty());
  PENSTOCK_ASSERT(!found->receive_posted);
  found->receive_posted = true;
  queued_.push_back({.connection = found->id, .into = into});
}

void SimSocket::send(env::ConnectionId connection, std::span<const std::byte> bytes) {
  send(connection, {&bytes, 1});
}

void SimSocket::send(env::ConnectionId connection,
                     std::span<const std::span<const std::byte>> pieces) {
  queue(connection, pieces, false);
}

// The network takes the bytes over as it sends them.
void SimSocket::send_held(env::ConnectionId connection, std::span<const std::byte> bytes) {
  queue(connection, {&bytes, 1}, true);
}

void SimSocket::queue(env::ConnectionId connection,
                      std::span<const std::span<const std::byte>> pieces, bool held) {
  SimNetwork::Connection* const found = find(connection);
  if (found == nullptr) return;
  PENSTOCK_ASSERT(!pieces.empty() && pieces.size() <= env::kSendPiecesMax);
  for (const std::span<const std::byte> piece : pieces) PENSTOCK_ASSERT(!piece.empty());
  PENSTOCK_ASSERT(!found->send_posted);
  found->send_posted = true;
  queued_.push_back({.connection = found->id, .out = {pieces.begin(), pieces.end()}, .held = held});
}

void SimSocket::close(env::ConnectionId connection) {
  network_.settle();
  SimNetwork::Connection* const found = find(connection);
  if (found == nullptr) return;
  found->muted = true;
  network_.server_close(*found, 0);
}

std::string SimSocket::peer(env::ConnectionId connection) {
  const SimNetwork::Connection* const found = find(connection);
  return found == nullptr ? std::string() : "192.0.2.1:" + std::to_string(found->id);
}

void SimSocket::submit() {
  network_.settle();
  for (Operation& operation : queued_) {
    SimNetwork::Connection* const found =
        find(static_cast<env::ConnectionId>(operation.connection));
    if (found == nullptr) continue;
    operation.out.empty() ? network_.start_receive(*found, operation.into)
                          : network_.start_send(*found, std::move(operation.out), operation.held);
  }
  queued_.clear();
}

std::size_t SimSocket::reap(std::span<env::SocketEvent> out) {
  network_.settle();
  std::size_t count = 0;
  while (!events_.empty() && count < out.size()) {
    const env::SocketEvent event = events_.front();
    events_.pop_front();
    SimNetwork::Connection& connection =
        *network_.find(static_cast<std::uint64_t>(event.connection));
    if (event.kind == env::SocketEventKind::kClosed) {
      connection.server = nullptr;
      --open_;
    } else if (connection.muted) {
      continue;  // who closes wants to hear of nothing but the end
    }
    if (event.kind == env::SocketEventKind::kReceived) connection.receive_posted = false;
    if (event.kind == env::SocketEventKind::kSent) connection.send_posted = false;
    out[count++] = event;
  }
  return count;
}

}  // namespace penstock::drivers
