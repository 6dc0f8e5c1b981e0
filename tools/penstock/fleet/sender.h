// Sends a part of the fleet over one connection, so that each of its vehicles is heard in order; keeps the
// time each acknowledgement took.
//
// Shape      closed loop: as much as is acknowledged. With a rate, an open loop: messages have times at which
//            they are due, and latency counts from there, waited for or not
// Owner      one thread runs it; FleetProgress may be read by any, the outcome when `run` has returned
// Errors     what is left when the time and some grace are over counts as unacknowledged. A failure that
//            repeating does not help ends the run
#pragma once

#include "base/histogram.h"
#include "client/kinesis_client.h"
#include "fleet/ledger.h"
#include "fleet/telemetry.h"
#include "session.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools {

struct FleetPlan {
  std::string stream;
  std::uint32_t vehicles = 10'000;
  std::uint32_t connections = 8;
  std::uint32_t run = 0;  // which run a message is of
  std::uint64_t seed = 1;
  double rate = 0;            // records a second of the whole fleet; 0: as fast as it goes
  std::int64_t start_ms = 0;  // when the simulated clocks begin
  std::chrono::milliseconds length{10'000};
};

struct FleetProgress {
  std::atomic<std::uint64_t> records{0};  // acknowledged
  std::atomic<std::uint64_t> bytes{0};    // their data
  std::atomic<std::uint64_t> refused{0};  // entries sent again
  std::atomic<bool> stop{false};          // one sender has failed: all end
};

// How long the last messages may take after the sending time is over.
inline constexpr std::chrono::seconds kFleetGrace{10};

struct SenderOutcome {
  base::Histogram latencies;  // nanoseconds
  std::optional<Problem> failure;
  std::uint64_t calls = 0;
  std::string last_refusal;  // of the last entry that was refused: the service's words
  client::Clock::time_point last_acknowledgement;
};

class Sender {
 public:
  virtual ~Sender() = default;
  virtual void run(client::Clock::time_point start) = 0;
  [[nodiscard]] virtual const SenderOutcome& outcome() const = 0;
};

// What the senders of a run share; it outlives them.
struct FleetSite {
  const FleetPlan& plan;
  const Routes& routes;
  const Session& session;
  Ledger& ledger;
  FleetProgress& progress;
};

[[nodiscard]] std::string fleet_failing(const FleetSite& site);
// Vehicles `first`, `first + plan.connections`, …
[[nodiscard]] std::unique_ptr<Sender> kinesis_sender(const FleetSite& site, std::uint32_t first);
[[nodiscard]] std::unique_ptr<Sender> native_sender(const FleetSite& site, std::uint32_t first);

// A share of the vehicles, who speak in turn.
class FleetShare {
 public:
  FleetShare(const FleetPlan& plan, std::uint32_t first);

  struct Message {
    std::uint32_t vehicle = 0;
    std::uint32_t sequence = 0;
    std::string_view key;   // the vehicle's for good
    std::string_view text;  // until the next call
  };
  [[nodiscard]] bool empty() const { return vehicles_.empty(); }
  [[nodiscard]] Message next(const FleetPlan& plan, const Routes& routes);
  // Records a second of the whole fleet's rate.
  [[nodiscard]] double rate(const FleetPlan& plan) const;
  // Shares take turns rather than all at the same moment: when this one begins, of an interval.
  [[nodiscard]] double phase(const FleetPlan& plan) const;

 private:
  std::vector<Vehicle> vehicles_;
  std::size_t turn_ = 0;  // whose message is next
  std::array<char, kMessageMax> buffer_{};
};

}  // namespace penstock::tools
