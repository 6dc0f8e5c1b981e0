// Why a call to a Kinesis endpoint did not succeed, in words for people and in kinds for programs.
//
// Shape      kService carries the service's own error: its type, message and HTTP status; the other
//            kinds never got an answer, and `unknown` says whether the request may have had effect
// Errors     this is the error type of the client: Outcome<T>
#pragma once

#include <cstdint>
#include <expected>
#include <string>

namespace penstock::client {

enum class FailureKind : std::uint8_t {
  kService,      // answered with an error
  kUnreachable,  // no connection
  kTimeout,      // no answer in time
  kTls,          // the certificate was not accepted, or the peer does not speak TLS
  kProtocol,     // the answer is not HTTP, or not the JSON of Kinesis
  kLocal,        // a file of ours: credentials, CA bundle
};

struct Failure {
  FailureKind kind = FailureKind::kLocal;
  bool unknown = false;  // the request was sent and may have been carried out
  int http_status = 0;
  std::string type;     // "ResourceNotFoundException", …
  std::string message;  // the service's, or ours

  // Worth sending again: throttles, 5xx, lost connections. A time-out or a bad certificate is not.
  [[nodiscard]] bool transient() const;
  [[nodiscard]] bool throttle() const;
  [[nodiscard]] bool is(const char* service_type) const { return type == service_type; }
};

template <class T = void>
using Outcome = std::expected<T, Failure>;

[[nodiscard]] std::unexpected<Failure> failed(FailureKind kind, std::string message,
                                              bool unknown = false);

}  // namespace penstock::client
