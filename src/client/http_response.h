// Reads one HTTP/1.1 response from bytes as they come: status, the headers a client here looks at, and
// where the body ends.
//
// Shape      a head of at most 64 KiB; bodies by Content-Length, chunked, or none (204, 304)
// Errors     feed gives false for what is no such response; the connection is of no more use then
// Source     RFC 9112 §2–7
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::client {

class HttpResponse {
 public:
  // Ready for the next response; keeps the memory.
  void reset();
  // Takes bytes; they may end anywhere. Nothing may follow the response.
  [[nodiscard]] bool feed(std::string_view bytes);
  [[nodiscard]] bool complete() const { return state_ == State::kComplete; }
  // Nothing of it has come yet.
  [[nodiscard]] bool empty() const { return state_ == State::kHead && head_.empty(); }

  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] std::string_view body() const { return body_; }
  [[nodiscard]] std::string& body() { return body_; }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  [[nodiscard]] std::string_view request_id() const { return request_id_; }
  // The Date header in seconds since 1970; 0: there was none.
  [[nodiscard]] std::int64_t date() const { return date_; }

 private:
  enum class State : std::uint8_t {
    kHead,
    kBody,       // `left_` bytes to come
    kChunkSize,  // a line
    kChunk,      // `left_` bytes to come
    kChunkEnd,   // the line break after them
    kTrailer,    // lines up to an empty one
    kComplete
  };

  [[nodiscard]] bool parse_head();
  [[nodiscard]] bool parse_header(std::string_view name, std::string_view value);
  [[nodiscard]] bool end_line();
  std::size_t take_body(std::string_view bytes);

  State state_ = State::kHead;
  int status_ = 0;
  bool keep_alive_ = true;
  bool chunked_ = false;
  std::uint64_t left_ = 0;
  std::string head_;  // while in kHead; afterwards the line being collected
  std::string body_;
  std::string request_id_;
  std::int64_t date_ = 0;
};

}  // namespace penstock::client
