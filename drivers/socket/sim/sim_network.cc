#include "drivers/socket/sim/sim_network.h"

#include "base/assert.h"
#include "drivers/socket/sim/sim_connection.h"
#include "drivers/socket/sim/sim_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace penstock::drivers {
namespace {

constexpr std::int64_t kDelayMin = kNanosPerSecond / 5;
constexpr std::int64_t kDelayMax = 3 * kNanosPerSecond;
constexpr std::uint64_t kSplitBytes = 64;

}  // namespace

NetworkFaultCounts& NetworkFaultCounts::operator+=(const NetworkFaultCounts& other) {
  for (std::size_t i = 0; i < kNetworkFaults; ++i) counts[i] += other.counts[i];
  return *this;
}

std::string NetworkFaultCounts::describe() const {
  std::string text;
  for (std::size_t i = 0; i < kNetworkFaults; ++i) {
    if (i > 0) text += ' ';
    text.append(name(static_cast<NetworkFault>(i))).append("=").append(std::to_string(counts[i]));
  }
  return text;
}

SimNetwork::SimNetwork(SimTime& time, const SimNetworkOptions& options, std::uint64_t seed)
    : time_(time),
      options_(options),
      delay_(seed, "network delay"),
      stall_(seed, "network stall"),
      split_(seed, "network split"),
      resets_(seed, "network reset"),
      deal_(seed, "network deal") {}

SimNetwork::~SimNetwork() { PENSTOCK_ASSERT(sockets_.empty()); }

// --- Clients ------------------------------------------------------------------------------------

SimNetwork::Connection& SimNetwork::client(SimClientId id) {
  settle();
  const auto raw = static_cast<std::uint64_t>(id);
  PENSTOCK_ASSERT(raw > 0);
  PENSTOCK_ASSERT(raw <= connections_.size());
  return *connections_[raw - 1];
}

SimNetwork::Connection* SimNetwork::find(std::uint64_t id) {
  return id > 0 && id <= connections_.size() ? connections_[id - 1].get() : nullptr;
}

SimClientId SimNetwork::connect(std::uint16_t port) {
  auto connection = std::make_unique<Connection>();
  connection->id = connections_.size() + 1;
  connection->port = port;
  connection->to_server.window = options_.window;
  connection->to_client.window = options_.window;
  schedule(*connection, draw_arrival(connection->to_server), true, Arrival::kConnection);
  connections_.push_back(std::move(connection));
  return static_cast<SimClientId>(connections_.size());
}

void SimNetwork::client_send(SimClientId id, std::string_view bytes) {
  Connection& connection = client(id);
  PENSTOCK_ASSERT(!connection.to_server.end_wanted);
  if (connection.client_error != 0) return;
  connection.to_server.backlog.append(bytes);
  push(connection, true);
}

std::string SimNetwork::client_take(SimClientId id, std::size_t limit) {
  Connection& connection = client(id);
  SimBytes& arrived = connection.to_client.arrived;
  std::string taken(arrived.view().substr(0, limit));
  arrived.drop(taken.size());
  if (!taken.empty()) push(connection, false);
  return taken;
}

std::size_t SimNetwork::client_unsent(SimClientId id) {
  return client(id).to_server.backlog.size();
}

void SimNetwork::set_client_window(SimClientId id, std::size_t bytes) {
  Connection& connection = client(id);
  connection.to_client.window = bytes;
  push(connection, false);
}

void SimNetwork::client_end(SimClientId id) {
  Connection& connection = client(id);
  connection.to_server.end_wanted = true;
  push(connection, true);
}

void SimNetwork::client_close(SimClientId id) {
  Connection& connection = client(id);
  connection.client_closed = true;
  // Bytes that the client never read make its end a reset, as the kernel has it.
  if (!connection.to_client.arrived.empty()) return reset(connection);
  connection.to_server.end_wanted = true;
  push(connection, true);
}

void SimNetwork::client_reset(SimClientId id) {
  Connection& connection = client(id);
  connection.client_closed = true;
  reset(connection);
}

bool SimNetwork::client_connected(SimClientId id) { return client(id).connected; }

bool SimNetwork::client_at_end(SimClientId id) {
  const Pipe& pipe = client(id).to_client;
  return pipe.ended && pipe.arrived.empty();
}

int SimNetwork::client_error(SimClientId id) { return client(id).client_error; }

// --- Events -------------------------------------------------------------------------------------

void SimNetwork::schedule(Connection& connection, Nanos at, bool to_server, Arrival what) {
  events_.push({at, ++event_count_, connection.id, to_server, what});
}

Nanos SimNetwork::draw_arrival(Pipe& pipe) {
  std::int64_t delay = delay_.between(options_.delay_nanos_min, options_.delay_nanos_max);
  if (stall_.chance(options_.rates.delay)) {
    counts_.add(NetworkFault::kDelay);
    delay += stall_.between(kDelayMin, kDelayMax);
  }
  pipe.last = std::max(pipe.last, time_.now() + delay);
  return pipe.last;
}

std::optional<Nanos> SimNetwork::next_event() const {
  for (const SimSocket* socket : sockets_) {
    if (socket->has_events()) return time_.now();
  }
  if (events_.empty()) return std::nullopt;
  return events_.top().at;
}

void SimNetwork::settle() {
  while (!events_.empty() && events_.top().at <= time_.now()) {
    const Event event = events_.top();
    events_.pop();
    trace_.add(static_cast<std::uint64_t>(event.at.raw()));
    trace_.add(event.connection * 8 + static_cast<std::uint64_t>(event.what) * 2 +
               (event.to_server ? 1 : 0));
    arrive(event);
  }
}

void SimNetwork::arrive(const Event& event) {
  Connection& connection = *connections_[event.connection - 1];
  switch (event.what) {
    case Arrival::kConnection:
      return arrive_connection(connection);
    case Arrival::kData:
      return arrive_data(connection, event.to_server);
    case Arrival::kEnd:
      if (connection.client_error != 0) return;  // overtaken by a reset
      (event.to_server ? connection.to_server : connection.to_client).ended = true;
      return progress(connection);
    case Arrival::kReset:
      return reset(connection);
  }
}

void SimNetwork::arrive_connection(Connection& connection) {
  if (connection.client_error != 0) return;
  std::vector<SimSocket*> listening;
  for (SimSocket* socket : sockets_) {
    if (socket->listener(connection.port) != nullptr) listening.push_back(socket);
  }
  if (listening.empty()) {
    connection.client_error = ECONNREFUSED;
    return;
  }
  SimSocket& socket = *listening[deal_.below(listening.size())];
  connection.connected = true;
  if (socket.open_ == socket.limit_) {
    ++socket.over_limit_;
    connection.to_client.end_wanted = true;
    return push(connection, false);
  }
  ++socket.open_;
  connection.server = &socket;
  connection.server_open = true;
  connection.listener = socket.listener(connection.port)->tag;
  socket.events_.push_back({.kind = env::SocketEventKind::kAccepted,
                            .connection = static_cast<env::ConnectionId>(connection.id),
                            .listener = connection.listener,
                            .bytes = 0,
                            .error = 0});
  push(connection, true);
}

void SimNetwork::arrive_data(Connection& connection, bool to_server) {
  Pipe& pipe = to_server ? connection.to_server : connection.to_client;
  if (pipe.flight.empty()) return;  // dropped with the connection
  std::string segment = std::move(pipe.flight.front());
  pipe.flight.pop_front();
  pipe.flight_bytes -= segment.size();
  trace_.add(segment.size());
  const bool nobody = to_server ? !connection.server_open : connection.client_closed;
  if (nobody) return reset(connection);
  pipe.arrived.append(segment);
  ++pipe.segments_arrived;
  if (to_server) progress(connection);
}

// Breaks both directions. Each side finds out at its next operation; what has arrived at the client
// is still there for it.
void SimNetwork::reset(Connection& connection) {
  // A client that has ended its side and seen the server's end is done: nothing can fail any more.
  const bool is_done = connection.to_client.ended && connection.to_server.end_sent;
  if (connection.client_error == 0 && !is_done) connection.client_error = ECONNRESET;
  if (connection.broken == 0) connection.broken = ECONNRESET;
  for (Pipe* pipe : {&connection.to_server, &connection.to_client}) {
    pipe->backlog.clear();
    pipe->flight.clear();
    pipe->flight_bytes = 0;
  }
  connection.to_server.arrived.clear();
  progress(connection);
}

// --- Streams ------------------------------------------------------------------------------------

// Puts under way what the window has room for, in segments.
void SimNetwork::push(Connection& connection, bool to_server) {
  Pipe& pipe = to_server ? connection.to_server : connection.to_client;
  if (connection.client_error != 0 || !connection.connected) return;
  const auto rest = [&]() -> std::string_view {
    if (to_server) return pipe.backlog.view();
    if (!connection.sending) return {};
    if (connection.out_piece == connection.out.size()) return {};
    const std::span<const std::byte> left =
        connection.out[connection.out_piece].subspan(connection.out_sent);
    return {reinterpret_cast<const char*>(left.data()), left.size()};
  };
  while (!rest().empty() && pipe.room() > 0) {
    std::size_t bytes = std::min({rest().size(), pipe.room(), options_.segment_max});
    if (split_.chance(options_.rates.split)) {
      counts_.add(NetworkFault::kSplit);
      bytes = std::min<std::size_t>(bytes, 1 + split_.below(kSplitBytes));
    }
    pipe.flight.emplace_back(rest().substr(0, bytes));
    pipe.flight_bytes += bytes;
    if (to_server) {
      pipe.backlog.drop(bytes);
    } else {
      connection.out_sent += bytes;
      if (connection.out_sent == connection.out[connection.out_piece].size()) {
        ++connection.out_piece;
        connection.out_sent = 0;
      }
    }
    schedule(connection, draw_arrival(pipe), to_server, Arrival::kData);
    if (resets_.chance(options_.rates.reset)) {
      counts_.add(NetworkFault::kReset);
      schedule(connection, draw_arrival(pipe), to_server, Arrival::kReset);
    }
  }
  const bool blocked = !rest().empty();
  if (blocked && !pipe.blocked) counts_.add(NetworkFault::kBlocked);
  pipe.blocked = blocked;
  if (pipe.end_wanted && !pipe.end_sent && !blocked) {
    pipe.end_sent = true;
    schedule(connection, draw_arrival(pipe), to_server, Arrival::kEnd);
  }
  if (!to_server) progress(connection);
}

}  // namespace penstock::drivers
