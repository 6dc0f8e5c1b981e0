// One HTTP request and its answer, between the connection that carries bytes and the service that
// gives them meaning.
//
// Owner      the connection owns the exchange; the service may hold it until it has called
// `respond`,
//            exactly once, on the same core. All views point into the connection's buffers and hold
//            until then; the body may be overwritten in place (base64 is decoded there)
// Allocates  never for a request within its connection's buffers
#pragma once

#include "penstock/units.h"
#include "proto/header_field.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace penstock::http {

using Header = proto::HeaderField;

// Bytes to send, grown by the service: owned by the connection, reused from request to request.
class ResponseBody {
 public:
  virtual ~ResponseBody() = default;
  // Room for at least `bytes` more; write there, then `commit` what was used.
  [[nodiscard]] virtual std::span<char> reserve(std::size_t bytes) = 0;
  virtual void commit(std::size_t bytes) = 0;
  void append(std::string_view text);
  [[nodiscard]] virtual std::size_t size() const = 0;
  virtual void clear() = 0;
};

class Exchange {
 public:
  std::string_view method;
  std::string_view target;  // path and query as sent
  std::span<const Header> headers;
  std::span<char> body;            // followed by at least 64 readable bytes (SIMD parsers)
  std::byte body_sha256[32] = {};  // computed while the body was received
  bool secure = false;             // came over TLS
  std::uint32_t listener = 0;      // tag of the listener it came by
  std::uint64_t connection_serial = 0;
  Nanos received;               // when its last byte was read
  std::uint8_t counted_as = 0;  // the service's: what its counters file the answer under

  // The first header of that name, or an empty view whose data() is null.
  [[nodiscard]] std::string_view header(std::string_view lower_case_name) const;

  // The answer: fill `response()`, then call `respond`.
  [[nodiscard]] virtual ResponseBody& response() = 0;
  // Room for a large answer, before work is begun that cannot stop at less. Gives how much `response()`
  // has and will not grow for: `most`, or `least` while there is not as much or others wait for theirs.
  // Nothing: there is none now; the exchange will be handed to `Service::handle` again, from its
  // start, or refused with 503 when it has waited too long.
  // REQUIRES: within `handle`; 0 < least <= most.
  [[nodiscard]] virtual std::size_t reserve_answer(std::size_t least, std::size_t most,
                                                   Nanos now) = 0;
  // `extra_headers`: whole lines, each ended by CRLF. Content-Length, Date and Connection are
  // added.
  virtual void respond(int status, std::string_view content_type, std::string_view extra_headers,
                       Nanos now) = 0;
  // The peer is gone: nobody will read the answer, which must be given all the same.
  [[nodiscard]] virtual bool abandoned() const = 0;
  // Storage for the service's own state of this request: at least kServiceBytes, aligned to 64.
  static constexpr std::size_t kServiceBytes = 4096;
  [[nodiscard]] virtual std::span<std::byte> service_storage() = 0;

 protected:
  ~Exchange() = default;
};

// What stands behind the connections.
class Service {
 public:
  virtual ~Service() = default;
  virtual void handle(Exchange& exchange, Nanos now, WallMillis wall) = 0;
};

}  // namespace penstock::http
