// One data core's HTTP/1.1 server: accepts connections, plain or TLS by listener, gives whole
// requests to the service one at a time per connection, and sends the answers.
//
// Units      times in nanoseconds of the turn's `now`; sizes in bytes
// Shape      at most `connections_max` connections; request bodies to `body_bytes_max`, out of one
//            budget that they take from as they arrive, and one largest body beyond it: while it is
//            used up, requests that need a part of it are not read. A body longer than
//            `body_whole_bytes` leaves the last quarter of the budget to others. Answers have a
//            budget until they are sent: while it is used up, requests wait for the service, and
//            a peer whose answer has memory of it must take a piece (http/connection.h) or the rest in
//            each `write_contended_nanos`, which is 128 KiB a second (seen through the
//            kernel's buffers: a peer that has a receive buffer of MiBs and reads evenly is sure of it from
//            400 KiB a second on): as soon as somebody waits, of
//            those who have taken less as many are closed as hold what the waiting need, the latest
//            first. While nobody waits, and for answers in no such memory, it is a piece in each
//            `write_nanos`. Reads that wait have their turn in order, and nobody passes them
// Owner      one core. Borrows Socket and Service, which outlive it; a socket that still holds its
//            buffers must be done with them first (`drained`, or the socket's own end)
// Allocates  when connections open and when a buffer of a size class is first needed; a request on
//            a warm connection allocates nothing
// Errors     a request that cannot be served gets a status that says why and its connection is
//            closed; every such case is counted under its name
// States     of a connection: src/http/connection.h
// Source     RFC 9110, RFC 9112
#pragma once

#include "env/socket.h"
#include "http/connection.h"
#include "http/counters.h"
#include "http/exchange.h"
#include "http/options.h"
#include "penstock/units.h"
#include "runtime/work.h"
#include "transport/tls.h"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace penstock::http {

// Which listener tags speak TLS, and with what.
struct TlsListener {
  std::uint32_t tag = 0;
  std::shared_ptr<const transport::TlsContext> context;
};

class FrontDoor final : public runtime::Agent {
 public:
  // REQUIRES: the budget has room for one body of the largest size.
  FrontDoor(env::Socket& socket, Service& service, const FrontDoorOptions& options,
            std::vector<TlsListener> tls = {});
  ~FrontDoor() override;
  FrontDoor(const FrontDoor&) = delete;
  FrontDoor& operator=(const FrontDoor&) = delete;

  // Reaps the socket, lets deadlines pass, hands requests to the service, posts what is to be
  // received and sent, and ends with the socket's `submit`.
  [[nodiscard]] runtime::WorkCount poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] Nanos next_deadline() const override;
  // Hands answers given since `poll` to the kernel: at the end of a turn.
  void flush() { shared_.socket.submit(); }

  // While paused nothing is received: back-pressure from whoever cannot take more work. The peers'
  // time for sending stands still meanwhile.
  void pause(bool on) { pause_wanted_ = on; }
  // Stops accepting, closes idle connections; the others get `Connection: close` with their answer. What
  // has not come whole `drain_nanos` after the next `poll` is refused.
  void begin_drain();
  [[nodiscard]] bool drained() const { return shared_.draining && in_use_ == 0; }
  // Whole requests whose answers have not left yet. Looks at every connection.
  [[nodiscard]] std::size_t answers_owed() const;

  [[nodiscard]] const FrontDoorCounters& counters() const { return shared_.counters; }
  [[nodiscard]] std::uint64_t body_bytes_used() const { return shared_.pool.used(); }
  [[nodiscard]] std::uint64_t answer_bytes_used() const { return shared_.answers.used(); }

 private:
  static constexpr std::size_t kEventsPerTurn = 256;

  void take(const env::SocketEvent& event, Nanos now);
  void accept(const env::SocketEvent& event, Nanos now);
  void reclaim();
  void end_drain(Nanos now);
  // Lets those go on for whom there is memory for a body, if any came back since the last time.
  [[nodiscard]] runtime::WorkCount grant_memory(Nanos now);
  // The same for answers, in order.
  [[nodiscard]] static runtime::WorkCount grant_room(const ConnectionQueue& waiting, Nanos now);
  [[nodiscard]] static bool may_go_on(const ConnectionQueue& waiting);
  [[nodiscard]] bool room_is_short() const;
  // What is past its deadline.
  [[nodiscard]] runtime::WorkCount end_patience(Nanos now);

  ConnectionShared shared_;
  std::vector<TlsListener> tls_;
  std::vector<std::unique_ptr<Connection>> connections_;  // all that were ever needed at once
  std::vector<Connection*> spare_;
  std::unordered_map<std::uint64_t, Connection*> open_;  // by ConnectionId
  std::size_t in_use_ = 0;                               // not spare: open, or held by the service
  std::uint64_t next_serial_ = 1;
  std::uint64_t memory_seen_ = 0;  // the pool's gives, when those who wait were last looked at
  Nanos drain_end_ = runtime::kNever;
  bool pause_wanted_ = false;
  bool paused_ = false;
};

}  // namespace penstock::http
