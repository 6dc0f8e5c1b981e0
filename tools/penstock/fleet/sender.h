// Sends a part of the fleet over one connection: PutRecords of up to 500 messages, one call in flight, so
// that each of its vehicles is heard in order; keeps the time each acknowledgement took.
//
// Shape      closed loop: the next call follows the last answer. With a rate, an open loop: calls have
//            times at which they are due, and latency counts from there, waited for or not
// Owner      one thread runs it; `progress` may be read by any
// Errors     refused and doubtful messages are sent again, in front; what is left when the time and some
//            grace are over counts as unacknowledged. A failure that repeating does not help ends the run
#pragma once

#include "base/histogram.h"
#include "client/put_batch.h"
#include "fleet/ledger.h"
#include "fleet/telemetry.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
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

class Sender {
 public:
  // Vehicles `first`, `first + plan.connections`, …
  Sender(const FleetPlan& plan, const Routes& routes, const client::ClientOptions& options,
         Ledger& ledger, FleetProgress& progress, std::uint32_t first);

  void run(client::Clock::time_point start);

  [[nodiscard]] const base::Histogram& latencies() const { return latencies_; }  // nanoseconds
  [[nodiscard]] const std::optional<client::Failure>& failure() const { return failure_; }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  // Of the last entry that was refused: the service's words.
  [[nodiscard]] const std::string& last_refusal() const { return last_refusal_; }
  [[nodiscard]] client::Clock::time_point last_acknowledgement() const { return last_; }

 private:
  // Adds messages up to `entries` in the batch, of which those that came back are the first. `due` is when
  // the new ones should leave.
  void fill(std::size_t entries, client::Clock::time_point due);
  // One call; false when repeating it would not help.
  bool send();
  bool settle(const client::Failure& failure);
  void run_closed(client::Clock::time_point end);
  void run_open(client::Clock::time_point start, client::Clock::time_point end);
  void give_up();

  const FleetPlan& plan_;
  const Routes& routes_;
  Ledger& ledger_;
  FleetProgress& progress_;
  client::KinesisClient client_;
  client::PutBatch batch_;
  client::PutBatch::Visitor visitor_;
  client::Backoff backoff_;
  std::vector<Vehicle> vehicles_;
  std::size_t turn_ = 0;  // whose message is next
  base::Histogram latencies_;
  std::uint64_t calls_ = 0;
  client::Clock::time_point since_;  // when the oldest message of the batch was first due
  std::uint64_t acknowledged_ = 0;   // of the call at hand
  std::uint64_t bytes_ = 0;          // likewise
  std::string last_refusal_;
  std::optional<client::Failure> failure_;
  client::Clock::time_point last_;
};

}  // namespace penstock::tools
