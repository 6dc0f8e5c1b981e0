// One HTTP/1.1 connection of a simulated client that signs its calls.
//
// Owner      one actor. Borrows the network, which outlives it
#pragma once

#include "drivers/socket/sim/sim_network.h"
#include "penstock/units.h"
#include "proto/sigv4.h"
#include "tests/sim/model.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::sim {

struct WireAnswer {
  int status = 0;  // 0: the connection ended first, the outcome is unknown
  std::string body;
};

class WireClient {
 public:
  WireClient(drivers::SimNetwork& network, std::uint16_t port,
             const proto::ClientCredentials& credentials);
  ~WireClient() { hang_up(); }
  WireClient(WireClient&& other) noexcept
      : network_(other.network_),
        port_(other.port_),
        credentials_(std::move(other.credentials_)),
        signer_(std::move(other.signer_)),
        connection_(std::exchange(other.connection_, std::nullopt)),
        in_flight_(std::exchange(other.in_flight_, false)),
        received_(std::move(other.received_)) {}
  WireClient& operator=(WireClient&&) = delete;

  // REQUIRES: !busy().
  void call(std::string_view operation, std::string_view body, WallMillis wall);
  [[nodiscard]] bool busy() const { return in_flight_; }
  // The answer to the call in flight, once.
  [[nodiscard]] std::optional<WireAnswer> poll();
  // Waits for nothing any more: the answer comes too late, or the server's machine is gone.
  void drop();

 private:
  void hang_up();
  [[nodiscard]] bool ended();
  [[nodiscard]] std::optional<WireAnswer> parse();

  drivers::SimNetwork* network_;  // outlives this
  std::uint16_t port_;
  proto::ClientCredentials credentials_;
  std::unique_ptr<proto::Signer> signer_;
  std::optional<drivers::SimClientId> connection_;
  bool in_flight_ = false;
  std::string received_;
};

// Members of JSON answers, enough for what the service writes: no escapes, no nesting of same names.
// The value of "name" from `from` on: text without quotes, or the number. `from` moves behind it.
[[nodiscard]] std::optional<std::string> json_member(std::string_view json, std::string_view name,
                                                     std::size_t& from);
// The records of a GetRecords answer, the shards of a ListShards answer.
[[nodiscard]] std::vector<SeenRecord> parse_records(std::string_view json);
[[nodiscard]] std::vector<SeenShard> parse_shards(std::string_view json);
[[nodiscard]] std::string base64(std::string_view plain);
[[nodiscard]] std::string unbase64(std::string_view text);

}  // namespace penstock::sim
