// How the Kinesis front door answers: status, the headers that go with every answer, error bodies in
// the encoding of the request.
//
// Owner      one core per Replier. Borrows the counters, which outlive it
// Allocates  for errors and CORS preflights only
// Source     the Kinesis contract: error bodies, response headers
#pragma once

#include "env/entropy.h"
#include "http/exchange.h"
#include "http/kinesis_counters.h"
#include "penstock/units.h"
#include "proto/kinesis.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace penstock::http {

enum class WireFormat : std::uint8_t { kJson, kCbor };

inline constexpr std::string_view kJsonType = "application/x-amz-json-1.1";
inline constexpr std::string_view kCborType = "application/x-amz-cbor-1.1";
// Recognised, and never served.
inline constexpr std::string_view kPlainJsonType = "application/json";

class Replier {
 public:
  // Counts every answer under its exchange's `counted_as`, an Operation.
  Replier(env::Entropy& entropy, KinesisCounters& counters);

  // What stands in the response, as JSON.
  void json(Exchange& exchange, int status, Nanos now);
  // An operation without a result: 200 and no body.
  void nothing(Exchange& exchange, Nanos now);
  // Replaces what stands in the response.
  void error(Exchange& exchange, WireFormat format, const proto::KinesisError& error, Nanos now);
  // `{"Output":{"__type":…},"Version":"1.0"}`, for application/json.
  void wrapped_error(Exchange& exchange, int status, std::string_view type, Nanos now);
  // `<type/>`, or with a `Message` child where one is given.
  void xml_error(Exchange& exchange, int status, std::string_view type, std::string_view message,
                 Nanos now);
  void too_large(Exchange& exchange, Nanos now);
  void preflight(Exchange& exchange, Nanos now);

 private:
  static constexpr std::size_t kHeaderBytesMax = 512;

  std::uint64_t random();
  // x-amzn-RequestId, x-amz-id-2 and CORS; returns the end.
  char* write_headers(const Exchange& exchange, bool with_id_2, char* out);
  void send(Exchange& exchange, int status, std::string_view content_type, Nanos now);

  void respond(Exchange& exchange, int status, std::string_view content_type,
               std::string_view headers, Nanos now);

  KinesisCounters& counters_;
  std::array<std::uint64_t, 4> state_;
};

}  // namespace penstock::http
