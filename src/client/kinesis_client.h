// Calls the Kinesis JSON API of one endpoint: signs, sends, waits, tries again where that helps.
//
// Owner      one thread; makes one connection and keeps it. Many threads: a client each, over one
//            shared TlsContext
// Shape      a Reply's text is followed by kReplyPadding readable bytes (simdjson) and holds until the
//            next call
// Errors     Outcome of failure.h; `call` has tried again, `call_once` has not
// Source     the Kinesis contract: protocol, signatures, error bodies; retries with full jitter
#pragma once

#include "client/connection.h"
#include "client/credentials.h"
#include "client/endpoint.h"
#include "client/failure.h"
#include "client/http_response.h"
#include "proto/sigv4.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>

namespace penstock::client {

inline constexpr std::size_t kReplyPadding = 64;

struct ClientOptions {
  Endpoint endpoint;
  Credentials credentials;
  std::string region = "us-east-1";
  std::shared_ptr<TlsContext> tls;            // null for http
  std::chrono::milliseconds timeout{10'000};  // of one attempt
  int attempts_max = 8;
};

// Pauses between attempts: a random part of an exponentially growing bound.
class Backoff {
 public:
  explicit Backoff(std::uint64_t seed) : random_(seed) {}
  [[nodiscard]] std::chrono::milliseconds next();
  void reset() { bound_ = kFirst; }

 private:
  static constexpr std::chrono::milliseconds kFirst{50};
  static constexpr std::chrono::milliseconds kLast{3'200};
  std::chrono::milliseconds bound_ = kFirst;
  std::minstd_rand random_;
};

// What may be done twice without harm. A call with effects is repeated only after an answer that says
// that it had none, or after no connection at all.
enum class Effect : std::uint8_t { kNone, kSome };

class KinesisClient {
 public:
  explicit KinesisClient(ClientOptions options);

  Outcome<std::string_view> call(std::string_view operation, std::string_view json,
                                 Effect effect = Effect::kNone);
  Outcome<std::string_view> call_once(std::string_view operation, std::string_view json,
                                      Effect effect = Effect::kSome);
  // No attempt lasts longer than until then, whatever its timeout.
  void end_by(Clock::time_point latest) { latest_ = latest; }
  [[nodiscard]] const ClientOptions& options() const { return options_; }
  // The service's clock at its last answer, in seconds since 1970, rounded down; ours where it has not
  // said.
  [[nodiscard]] std::int64_t service_time() const;

 private:
  void write_head(std::string_view operation, std::string_view json);
  [[nodiscard]] Failure service_failure();

  ClientOptions options_;
  proto::ClientCredentials identity_;
  std::string authority_;
  Connection connection_;
  proto::Signer signer_;
  HttpResponse response_;
  Backoff backoff_;
  std::string head_;
  Clock::time_point latest_ = Clock::time_point::max();
};

// GET of a plain HTTP address: the administration's /metrics.
[[nodiscard]] Outcome<std::string> http_get(const Endpoint& endpoint, std::string_view path,
                                            std::chrono::milliseconds timeout);

}  // namespace penstock::client
