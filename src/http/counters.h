// What the front door has done and what it has refused, by name. Counted and read on its core.
#pragma once

#include "http/parser.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::http {

struct FrontDoorCounters {
  std::uint64_t connections_open = 0;
  std::uint64_t connections = 0;          // accepted
  std::uint64_t connections_refused = 0;  // over `connections_max`
  std::uint64_t requests = 0;             // handed to the service
  std::uint64_t bytes_in = 0;             // as received, before decryption
  std::uint64_t bytes_out = 0;            // as sent, after encryption
  std::uint64_t tls_handshakes = 0;
  std::uint64_t tls_failures = 0;
  std::uint64_t idle_closed = 0;    // no request within its time
  std::uint64_t write_stalled = 0;  // the peer took nothing for too long
  std::uint64_t write_evicted =
      0;                           // it took too little of an answer whose memory others waited for
  std::uint64_t aborted = 0;       // the peer left in the middle of a request or an answer
  std::uint64_t memory_waits = 0;  // bodies that had to wait for memory
  std::uint64_t answer_waits = 0;  // requests that had to wait for their answers' memory
  std::array<std::uint64_t, kRejections> rejected{};  // by Rejection; names from `describe`
};

// Every counter of every core in Prometheus' terms: `metric(name, type, help)` once a metric, then
// `sample(core, reason, value)` for `cores` of them; the reason is empty but for refusals.
template <class Get, class Metric, class Sample>
void write_metrics(std::size_t cores, const Get& get, const Metric& metric, const Sample& sample) {
  struct Row {
    std::string_view name;
    std::string_view type;
    std::string_view help;
    std::uint64_t FrontDoorCounters::* value;
  };
  using C = FrontDoorCounters;
  static constexpr Row kRows[] = {
      {"penstock_http_connections_open", "gauge", "Connections open now.", &C::connections_open},
      {"penstock_http_connections_total", "counter", "Connections accepted.", &C::connections},
      {"penstock_http_connections_refused_total", "counter",
       "Connections over the limit of this core.", &C::connections_refused},
      {"penstock_http_requests_total", "counter", "Requests handed to the service.", &C::requests},
      {"penstock_http_received_bytes_total", "counter", "Bytes received, before decryption.",
       &C::bytes_in},
      {"penstock_http_sent_bytes_total", "counter", "Bytes sent, after encryption.", &C::bytes_out},
      {"penstock_tls_handshakes_total", "counter", "TLS handshakes completed.", &C::tls_handshakes},
      {"penstock_tls_failures_total", "counter", "TLS sessions that failed.", &C::tls_failures},
      {"penstock_http_idle_closed_total", "counter", "Connections closed for want of a request.",
       &C::idle_closed},
      {"penstock_http_write_stalled_total", "counter",
       "Connections closed because the peer took nothing.", &C::write_stalled},
      {"penstock_http_write_evicted_total", "counter",
       "Connections closed because the peer took less than 128 KiB a second of an answer while "
       "others waited for its memory.",
       &C::write_evicted},
      {"penstock_http_aborted_total", "counter", "Connections that the peer left half way.",
       &C::aborted},
      {"penstock_http_memory_waits_total", "counter", "Bodies that waited for memory.",
       &C::memory_waits},
      {"penstock_http_answer_waits_total", "counter",
       "Requests that waited for memory for their answers.", &C::answer_waits},
  };
  for (const Row& row : kRows) {
    metric(row.name, row.type, row.help);
    for (std::size_t core = 0; core < cores; ++core) sample(core, "", get(core).*row.value);
  }
  metric("penstock_http_rejected_total", "counter",
         "Requests refused before the service saw them.");
  for (std::size_t core = 0; core < cores; ++core) {
    for (std::size_t i = 1; i < kRejections; ++i) {
      sample(core, describe(static_cast<Rejection>(i)).name, get(core).rejected[i]);
    }
  }
}

}  // namespace penstock::http
