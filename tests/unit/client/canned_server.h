// An HTTP server of one connection at a time on loopback that gives answers prepared in advance and
// keeps what it was asked: the other end of the client's tests.
//
// Owner      its own thread; `requests` is to be read after `stop`
#pragma once

#include "client/endpoint.h"

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace penstock::client {

class CannedServer {
 public:
  struct Answer {
    int status = 200;
    std::string body;
    bool hang_up = false;      // close instead of answering
    bool close_after = false;  // close silently after the answer, as an idle timer does
    std::string headers = {};  // whole lines
  };
  explicit CannedServer(std::vector<Answer> answers);
  ~CannedServer() { stop(); }
  void stop();
  [[nodiscard]] Endpoint endpoint() const;
  // Whole requests, head and body.
  [[nodiscard]] const std::vector<std::string>& requests() const { return requests_; }

 private:
  void run();
  bool serve(int connection, std::size_t& next);

  std::vector<Answer> answers_;
  std::vector<std::string> requests_;
  int listener_ = -1;
  std::mutex mutex_;     // of the two below
  int connection_ = -1;  // being served
  bool stopping_ = false;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace penstock::client
