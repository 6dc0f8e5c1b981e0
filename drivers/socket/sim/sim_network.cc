#include "drivers/socket/sim/sim_network.h"

#include "base/assert.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace penstock::drivers {

SimNetwork::SimNetwork(SimTime& time, const SimNetworkOptions& options, std::uint64_t seed)
    : time_(time),
      options_(options),
      delays_(seed, "network delays"),
      cuts_(seed, "network cuts"),
      resets_(seed, "network resets"),
      deals_(seed, "network deals") {}

SimNetwork::~SimNetwork() = default;

void SimNetwork::trace(std::uint64_t what) {
  trace_ = (trace_ ^ what ^ static_cast<std::uint64_t>(time_.now().raw())) * 0x100000001b3ULL;
}

SimClientId SimNetwork::connect(std::uint16_t port) {
  const std::uint64_t id = next_id_++;
  Connection& connection = connections_[id];
  connection.id = id;
  connection.port = port;
  std::vector<const Listener*> candidates;
  for (const Listener& listener : listeners_) {
    if (listener.port == port) candidates.push_back(&listener);
  }
  if (candidates.empty()) {
    connection.dead = true;
  } else {
    const Listener& dealt = *candidates[deals_.below(candidates.size())];
    connection.server = dealt.socket;
    connection.listener = dealt.tag;
  }
  trace(id);
  return SimClientId{id};
}

void SimNetwork::queue(Connection& connection, std::deque<Piece>& way, std::string_view bytes) {
  Nanos due = time_.now();
  if (!way.empty()) due = std::max(due, way.back().due);
  const bool cut = cuts_.chance(options_.cut);
  if (cut && bytes.size() > 1) ++counts_[static_cast<std::size_t>(NetFault::kCut)];
  while (!bytes.empty()) {
    const std::size_t size =
        cut ? static_cast<std::size_t>(cuts_.between(1, static_cast<std::int64_t>(bytes.size())))
            : bytes.size();
    due = due + delays_.between(options_.delay_nanos_min, options_.delay_nanos_max);
    if (delays_.chance(options_.slow)) {
      due = due + delays_.between(10 * kNanosPerMilli, 500 * kNanosPerMilli);
      ++counts_[static_cast<std::size_t>(NetFault::kSlow)];
    }
    if (resets_.chance(options_.reset)) {
      ++counts_[static_cast<std::size_t>(NetFault::kReset)];
      kill(connection);
      return;
    }
    way.push_back({due, std::string(bytes.substr(0, size)), false});
    bytes.remove_prefix(size);
  }
}

void SimNetwork::kill(Connection& connection) {
  connection.dead = true;
  connection.to_server.clear();
  connection.to_client.clear();
}

void SimNetwork::send(SimClientId client, std::string_view bytes) {
  Connection* connection = find(static_cast<std::uint64_t>(client));
  if (connection == nullptr || connection->dead) return;
  queue(*connection, connection->to_server, bytes);
}

std::string SimNetwork::take(SimClientId client) {
  Connection* connection = find(static_cast<std::uint64_t>(client));
  std::string out;
  if (connection == nullptr) return out;
  while (!connection->to_client.empty() && connection->to_client.front().due <= time_.now()) {
    out += connection->to_client.front().bytes;
    connection->to_client.pop_front();
  }
  if (!out.empty()) trace(out.size());
  return out;
}

bool SimNetwork::open(SimClientId client) {
  Connection* connection = find(static_cast<std::uint64_t>(client));
  if (connection == nullptr || connection->dead) return false;
  return !connection->server_closed || !connection->to_client.empty();
}

void SimNetwork::close(SimClientId client) {
  Connection* connection = find(static_cast<std::uint64_t>(client));
  if (connection == nullptr || connection->client_closed) return;
  connection->client_closed = true;
  connection->to_server.push_back({time_.now() + options_.delay_nanos_max, {}, true});
}

void SimNetwork::reset() {
  connections_.clear();
  listeners_.clear();
}

std::optional<Nanos> SimNetwork::next_event() {
  std::optional<Nanos> next;
  const auto consider = [&next](Nanos due) { next = next ? std::min(*next, due) : due; };
  for (const auto& [id, connection] : connections_) {
    if (!connection.to_server.empty()) consider(connection.to_server.front().due);
    if (!connection.to_client.empty()) consider(connection.to_client.front().due);
    if (connection.sending > 0) consider(connection.sent_due);
    if (connection.server != nullptr && (!connection.accepted || connection.dead)) {
      consider(time_.now());
    }
  }
  return next;
}

SimNetwork::Connection* SimNetwork::find(std::uint64_t id) {
  const auto at = connections_.find(id);
  return at == connections_.end() ? nullptr : &at->second;
}

void SimNetwork::detach(SimSocket& socket) {
  std::erase_if(listeners_, [&](const Listener& listener) { return listener.socket == &socket; });
  for (auto& [id, connection] : connections_) {
    if (connection.server != &socket) continue;
    connection.server = nullptr;
    kill(connection);
  }
}

// --- The server's side ----------------------------------------------------------------------------

Result<> SimSocket::listen(std::string_view, std::uint16_t port, std::uint32_t tag) {
  network_.listeners_.push_back({this, port, tag});
  return {};
}

void SimSocket::stop_listening() {
  std::erase_if(network_.listeners_,
                [this](const SimNetwork::Listener& listener) { return listener.socket == this; });
  // What was not accepted yet never will be.
  for (auto& [id, connection] : network_.connections_) {
    if (connection.server == this && !connection.accepted) {
      connection.server = nullptr;
      network_.kill(connection);
    }
  }
}

void SimSocket::receive(env::ConnectionId id, std::span<std::byte> into) {
  SimNetwork::Connection* connection = network_.find(static_cast<std::uint64_t>(id));
  if (connection == nullptr || connection->server != this) return;
  PENSTOCK_ASSERT(!connection->receive_posted);
  PENSTOCK_ASSERT(!into.empty());
  connection->receiving = into;
  connection->receive_posted = true;
}

void SimSocket::send(env::ConnectionId id, std::span<const std::byte> bytes) {
  SimNetwork::Connection* connection = network_.find(static_cast<std::uint64_t>(id));
  if (connection == nullptr || connection->server != this) return;
  PENSTOCK_ASSERT(connection->sending == 0);
  PENSTOCK_ASSERT(!bytes.empty());
  connection->sending = bytes.size();
  connection->sent_due = network_.time_.now() + network_.options_.delay_nanos_min;
  if (connection->dead) return;
  network_.queue(*connection, connection->to_client,
                 {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void SimSocket::close(env::ConnectionId id) {
  SimNetwork::Connection* connection = network_.find(static_cast<std::uint64_t>(id));
  if (connection == nullptr || connection->server != this) return;
  connection->server_closed = true;
}

std::string SimSocket::peer(env::ConnectionId id) {
  return "simulated:" + std::to_string(static_cast<std::uint64_t>(id));
}

std::size_t SimSocket::reap(std::span<env::SocketEvent> out) {
  std::size_t count = 0;
  for (auto at = network_.connections_.begin();
       at != network_.connections_.end() && count < out.size();) {
    SimNetwork::Connection& connection = at->second;
    if (connection.server != this) {
      ++at;
      continue;
    }
    while (count < out.size() && collect(connection, out[count])) {
      network_.trace(static_cast<std::uint64_t>(out[count].kind) * 31 + connection.id);
      ++count;
      if (connection.server == nullptr) break;  // closed: nothing follows
    }
    ++at;
  }
  return count;
}

// The next event of one connection, if there is one.
bool SimSocket::collect(SimNetwork::Connection& connection, env::SocketEvent& event) {
  event = {};
  event.connection = env::ConnectionId{connection.id};
  if (!connection.accepted) {
    connection.accepted = true;
    event.kind = env::SocketEventKind::kAccepted;
    event.listener = connection.listener;
    return true;
  }
  if (connection.server_closed || connection.dead) {
    event.kind = env::SocketEventKind::kClosed;
    event.error = connection.dead ? ECONNRESET : 0;
    connection.server = nullptr;
    connection.server_closed = true;
    return true;
  }
  const Nanos now = network_.time_.now();
  if (connection.sending > 0 && connection.sent_due <= now) {
    event.kind = env::SocketEventKind::kSent;
    event.bytes = static_cast<std::uint32_t>(connection.sending);
    connection.sending = 0;
    return true;
  }
  while (!connection.to_server.empty() && connection.to_server.front().due <= now) {
    connection.arrived += connection.to_server.front().bytes;
    connection.ended = connection.ended || connection.to_server.front().end;
    connection.to_server.pop_front();
  }
  if (!connection.receive_posted) return false;
  if (connection.arrived.empty() && (!connection.ended || connection.end_told)) return false;
  const std::size_t size = std::min(connection.arrived.size(), connection.receiving.size());
  std::memcpy(connection.receiving.data(), connection.arrived.data(), size);
  connection.arrived.erase(0, size);
  connection.receive_posted = false;
  connection.end_told = size == 0;
  event.kind = env::SocketEventKind::kReceived;
  event.bytes = static_cast<std::uint32_t>(size);
  return true;
}

}  // namespace penstock::drivers
