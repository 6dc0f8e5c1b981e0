// A simulated network: clients on the harness's side, one `SimSocket` per core on the server's.
//
//   SimTime time;
//   SimNetwork network(time, SimNetworkOptions{}, seed);
//   SimSocket socket(network);                       // one per core; all listen on the same ports
//   const SimClientId c = network.connect(4567);     // dealt to one of the listening cores
//   network.client_send(c, "…");  …  network.client_take(c);
//
// Streams    bytes arrive in order, cut into segments and delayed by chance. What the receiver has not
//            taken and what is under way are at most a window; beyond it the sender waits
// Server     operations start with `SimSocket::submit`. A socket that is destroyed takes its
//            connections with it: clients get some prefix of what was under way, then a reset
// Owner      one simulation, one thread. Borrows `time`, which outlives it; outlives its sockets
#pragma once

#include "drivers/sim/random.h"
#include "drivers/sim/time.h"
#include "env/socket.h"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::drivers {

enum class NetworkFault : std::uint8_t {
  kDelay,      // a segment takes 0.2–3 s
  kSplit,      // a segment of a few bytes, or a read of less than there is
  kCoalesced,  // one read of bytes from several segments
  kReset,
  kBlocked,  // a sender waits for a receiver that does not read
};
inline constexpr std::size_t kNetworkFaults = 5;

[[nodiscard]] constexpr std::string_view name(NetworkFault fault) {
  constexpr std::array<std::string_view, kNetworkFaults> kNames = {"delay", "split", "coalesced",
                                                                   "reset", "blocked"};
  return kNames[static_cast<std::size_t>(fault)];
}

struct NetworkFaultCounts {
  std::array<std::uint64_t, kNetworkFaults> counts{};
  [[nodiscard]] std::uint64_t operator[](NetworkFault fault) const {
    return counts[static_cast<std::size_t>(fault)];
  }
  void add(NetworkFault fault) { ++counts[static_cast<std::size_t>(fault)]; }
  NetworkFaultCounts& operator+=(const NetworkFaultCounts& other);
  [[nodiscard]] std::string describe() const;
};

// Probabilities, per segment. All zero: a good network, which still cuts streams where it likes.
struct NetworkFaultRates {
  double delay = 0;
  double split = 0;
  double reset = 0;
};

struct SimNetworkOptions {
  std::int64_t delay_nanos_min = 20'000;
  std::int64_t delay_nanos_max = 200'000;
  std::size_t segment_max = 16 * kKiB;
  std::size_t window = 256 * kKiB;
  NetworkFaultRates rates;
};

enum class SimClientId : std::uint64_t { kNone = 0 };

class SimSocket;

class SimNetwork {
 public:
  SimNetwork(SimTime& time, const SimNetworkOptions& options, std::uint64_t seed);
  ~SimNetwork();
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // --- Clients --------------------------------------------------------------------------------
  // Bytes may be sent at once; they wait until the connection is there.
  [[nodiscard]] SimClientId connect(std::uint16_t port);
  void client_send(SimClientId client, std::string_view bytes);
  // Takes up to `limit` bytes of what has arrived.
  [[nodiscard]] std::string client_take(SimClientId client, std::size_t limit = SIZE_MAX);
  [[nodiscard]] std::size_t client_unsent(SimClientId client);  // not accepted by the network yet
  // Bytes that may be on their way to the client or wait to be taken: a small one, or few takes,
  // make a slow reader.
  void set_client_window(SimClientId client, std::size_t bytes);
  void client_end(SimClientId client);    // sends no more, still reads
  void client_close(SimClientId client);  // neither; what still comes resets the connection
  void client_reset(SimClientId client);

  [[nodiscard]] bool client_connected(SimClientId client);
  // The server has ended its side, and everything before that was taken.
  [[nodiscard]] bool client_at_end(SimClientId client);
  // 0 while all is well; ECONNREFUSED, ECONNRESET.
  [[nodiscard]] int client_error(SimClientId client);

  // --- The simulation -------------------------------------------------------------------------
  void set_rates(const NetworkFaultRates& rates) { options_.rates = rates; }
  // When something arrives next, as a time of the simulation; now, where a socket has events.
  [[nodiscard]] std::optional<Nanos> next_event() const;
  // Delivers what has arrived by now. Sockets and client calls do it by themselves.
  void settle();
  [[nodiscard]] const NetworkFaultCounts& counts() const { return counts_; }
  [[nodiscard]] std::uint64_t trace_hash() const { return trace_.hash(); }

 private:
  friend class SimSocket;

  enum class Arrival : std::uint8_t { kConnection, kData, kEnd, kReset };
  struct Event {
    Nanos at;
    std::uint64_t number = 0;
    std::uint64_t connection = 0;
    bool to_server = false;
    Arrival what = Arrival::kData;
    friend bool operator>(const Event& a, const Event& b) {
      return std::pair(a.at, a.number) > std::pair(b.at, b.number);
    }
  };
  struct Pipe;
  struct Connection;

  [[nodiscard]] Connection& client(SimClientId id);
  [[nodiscard]] Connection* find(std::uint64_t id);
  void schedule(Connection& connection, Nanos at, bool to_server, Arrival what);
  [[nodiscard]] Nanos draw_arrival(Pipe& pipe);
  void arrive(const Event& event);
  void arrive_connection(Connection& connection);
  void arrive_data(Connection& connection, bool to_server);
  void push(Connection& connection, bool to_server);
  void reset(Connection& connection);

  // Of SimSocket.
  void attach(SimSocket& socket);
  void detach(SimSocket& socket);
  void start_receive(Connection& connection, std::span<std::byte> into);
  void start_send(Connection& connection, std::vector<std::span<const std::byte>> pieces,
                  bool held);
  void server_close(Connection& connection, std::int32_t error);
  void progress(Connection& connection);
  void abandon(Connection& connection);

  SimTime& time_;
  SimNetworkOptions options_;
  SimRandom delay_;
  SimRandom stall_;
  SimRandom split_;
  SimRandom resets_;
  SimRandom deal_;
  std::vector<SimSocket*> sockets_;                       // in the order of their making
  std::vector<std::unique_ptr<Connection>> connections_;  // by id, less one
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t event_count_ = 0;
  NetworkFaultCounts counts_;
  SimTrace trace_;
};

}  // namespace penstock::drivers
