// A simulated connection as the network keeps it. Private to drivers/socket/sim.
#pragma once

#include "drivers/socket/sim/sim_network.h"

#include <deque>
#include <string>
#include <string_view>

namespace penstock::drivers {

// Bytes in order: appended at the end, dropped from the front without moving what is left.
class SimBytes {
 public:
  void append(std::string_view bytes) { bytes_.append(bytes); }
  void drop(std::size_t count) {
    head_ += count;
    if (2 * head_ < bytes_.size()) return;
    bytes_.erase(0, head_);
    head_ = 0;
  }
  void clear() { drop(size()); }
  [[nodiscard]] std::string_view view() const { return std::string_view(bytes_).substr(head_); }
  [[nodiscard]] std::size_t size() const { return bytes_.size() - head_; }
  [[nodiscard]] bool empty() const { return size() == 0; }

 private:
  std::string bytes_;
  std::size_t head_ = 0;
};

// One direction: backlog ─► under way ─► arrived ─► taken.
struct SimNetwork::Pipe {
  SimBytes backlog;                // of a client; the server's is the rest of its send
  std::deque<std::string> flight;  // segments, in order
  std::size_t flight_bytes = 0;
  SimBytes arrived;
  std::size_t segments_arrived = 0;  // since the receiver last found nothing
  std::size_t window = 0;
  Nanos last;  // when the latest segment arrives: order is kept
  bool end_wanted = false;
  bool end_sent = false;
  bool ended = false;  // the end has arrived
  bool blocked = false;

  [[nodiscard]] std::size_t room() const {
    const std::size_t used = flight_bytes + arrived.size();
    return used < window ? window - used : 0;
  }
};

struct SimNetwork::Connection {
  std::uint64_t id = 0;
  std::uint16_t port = 0;
  Pipe to_server;
  Pipe to_client;

  // The client's side.
  bool connected = false;
  bool client_closed = false;
  int client_error = 0;

  // The server's side.
  SimSocket* server = nullptr;  // null before it was dealt, and after the server let go
  std::uint32_t listener = 0;
  bool receive_posted = false;  // asked for, perhaps not yet submitted
  bool receiving = false;
  bool send_posted = false;
  bool sending = false;
  bool server_open = false;
  bool muted = false;  // the server closed it: only kClosed is told
  int broken = 0;      // what the server's next operation fails with
  std::span<std::byte> into;
  std::vector<std::span<const std::byte>> out;
  bool out_held = false;
  std::size_t out_bytes = 0;
  std::size_t out_piece = 0;  // the first that is not all under way, and how much of it is
  std::size_t out_sent = 0;
};

}  // namespace penstock::drivers
