// One kept-alive HTTP/1.1 connection, plain or TLS, that blocks the thread it belongs to, never past
// a deadline.
//
// Owner      one thread
// Errors     kUnreachable, kTimeout, kTls, kProtocol; `unknown` is set once all of the request was
//            handed to the kernel. After any error the connection is closed and the next call opens anew
// States     Closed ─► Open ─► Closed: by us, by the peer's `Connection: close`, by an error
// Source     the command line and the fleet simulator are its users; they are no part of the daemon, so
//            sockets are the kernel's and not env's
#pragma once

#include "client/endpoint.h"
#include "client/failure.h"
#include "client/http_response.h"
#include "client/tls.h"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace penstock::client {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

class Connection {
 public:
  // `tls` is null for a plain endpoint.
  Connection(Endpoint endpoint, std::shared_ptr<TlsContext> tls);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends head and body, reads the answer into `response`. A kept-alive connection that the peer has
  // closed is opened anew before anything is sent; one that it closes before a byte of the answer came
  // is opened anew once, if `resend` allows it.
  Outcome<> exchange(std::string_view head, std::string_view body, HttpResponse& response,
                     Deadline deadline, bool resend);
  void close();
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }

 private:
  Outcome<> open(Deadline deadline);
  Outcome<> handshake(Deadline deadline);
  Outcome<> send(std::string_view bytes, Deadline deadline);
  Outcome<> receive(HttpResponse& response, Deadline deadline);
  // One attempt; -1: would block on `events_`; 0: the peer has ended; -2: broken.
  [[nodiscard]] long read_some(char* into, std::size_t size);
  [[nodiscard]] long write_some(std::string_view bytes);
  [[nodiscard]] long tls_outcome(int result);
  [[nodiscard]] bool wait(Deadline deadline);
  // The peer has ended a connection that is between requests.
  [[nodiscard]] bool stale();

  Endpoint endpoint_;
  std::shared_ptr<TlsContext> tls_;
  int socket_ = -1;
  ssl_st* ssl_ = nullptr;
  short events_ = 0;   // what poll is to wait for
  bool used_ = false;  // has carried a whole exchange
};

}  // namespace penstock::client
