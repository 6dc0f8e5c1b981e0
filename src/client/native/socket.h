// The kernel's side of a link: one TCP socket, connected, read and written as the link says, without waiting.
//
// Owner      one thread
// Errors     told to the link, which goes on to the next endpoint
// States     Closed ─► Connecting ─► Open ─► Closed
// Source     tcp(7), poll(2). A name is looked up where it is connected to, which may wait for a name server: there is
//            no connection then that could be held up
#pragma once

#include "client/native/link.h"
#include "penstock/units.h"

#include <array>
#include <cstddef>
#include <span>
#include <string>

namespace penstock::client::native {

class Socket {
 public:
  Socket() = default;
  ~Socket() { close(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Connects, writes, closes: after anything that the link was told.
  void serve(Link& link, Nanos now);
  // What poll(2) said.
  void on_ready(Link& link, short events, Nanos now);
  [[nodiscard]] int descriptor() const { return socket_; }  // -1: none
  [[nodiscard]] short wanted(Link& link) const;

 private:
  void connect(Link& link, Nanos now);
  void read(Link& link, Nanos now);
  void write(Link& link, Nanos now);
  // One sendmsg(2) of what is in hand; false: nothing more goes at present.
  [[nodiscard]] bool write_some(Link& link, Nanos now);
  void lose(Link& link, const std::string& why, Nanos now);
  void close();

  static constexpr std::size_t kSpans = 64;
  static constexpr int kReadsPerTurn = 64;

  int socket_ = -1;
  bool connecting_ = false;
  bool blocked_ = false;  // the kernel takes nothing at present
  std::array<std::span<const std::byte>, kSpans> spans_;
  std::size_t span_at_ = 0;
  std::size_t span_count_ = 0;
};

}  // namespace penstock::client::native
