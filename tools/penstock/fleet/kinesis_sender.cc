#include "client/put_batch.h"
#include "fleet/sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

namespace penstock::tools {
namespace {

using client::Clock;
using client::PutBatch;

// An open loop sends what is due in this time in one call.
constexpr double kOpenLoopStep = 0.05;

// A tag is vehicle (20 bits), number (32), bytes of data (12).
static_assert(kVehiclesMax <= 1U << 20);
static_assert(kMessageMax < 1U << 12);
constexpr std::uint64_t make_tag(std::uint32_t vehicle, std::uint32_t sequence, std::size_t bytes) {
  return std::uint64_t{vehicle} << 44 | std::uint64_t{sequence} << 12 | bytes;
}
constexpr std::uint32_t vehicle_of(std::uint64_t tag) {
  return static_cast<std::uint32_t>(tag >> 44);
}
constexpr std::uint32_t sequence_of(std::uint64_t tag) {
  return static_cast<std::uint32_t>(tag >> 12);
}
constexpr std::uint64_t bytes_of(std::uint64_t tag) { return tag & 0xfff; }

// PutRecords of up to 500 messages, one call in flight. What is refused or in doubt is sent again, in front.
class KinesisSender final : public Sender {
 public:
  KinesisSender(const FleetSite& site, std::uint32_t first);
  void run(Clock::time_point start) override;
  [[nodiscard]] const SenderOutcome& outcome() const override { return outcome_; }

 private:
  // Adds messages up to `entries` in the batch, of which those that came back are the first. `due` is when
  // the new ones should leave.
  void fill(std::size_t entries, Clock::time_point due);
  // One call; false when repeating it would not help.
  bool send();
  bool settle(const client::Failure& failure);
  // Before the next call, but not beyond the run.
  void pause() { std::this_thread::sleep_until(std::min(Clock::now() + backoff_.next(), latest_)); }
  void run_closed(Clock::time_point end);
  void run_open(Clock::time_point start, Clock::time_point end);
  void give_up();

  FleetSite site_;
  FleetShare share_;
  client::KinesisClient client_;
  PutBatch batch_;
  PutBatch::Visitor visitor_;
  client::Backoff backoff_;
  SenderOutcome outcome_;
  Clock::time_point latest_;        // when the run and its grace are over
  Clock::time_point since_;         // when the oldest message of the batch was first due
  std::uint64_t acknowledged_ = 0;  // of the call at hand
  std::uint64_t bytes_ = 0;         // likewise
};

KinesisSender::KinesisSender(const FleetSite& site, std::uint32_t first)
    : site_(site),
      share_(site.plan, first),
      client_(site.session.client_options()),
      batch_(site.plan.stream),
      backoff_(site.plan.seed + first) {
  visitor_.acknowledged = [this](const PutBatch::Acknowledged& entry) {
    ++acknowledged_;
    bytes_ += bytes_of(entry.tag);
  };
  visitor_.refused = [this](const PutBatch::Refused& entry) {
    if (entry.unknown) site_.ledger.in_doubt(vehicle_of(entry.tag), sequence_of(entry.tag));
    outcome_.last_refusal = fmt::format("{}: {}", entry.code, entry.message);
  };
}

void KinesisSender::run(Clock::time_point start) {
  if (share_.empty()) return;
  const auto end = start + site_.plan.length;
  latest_ = end + kFleetGrace;
  client_.end_by(latest_);
  site_.plan.rate > 0 ? run_open(start, end) : run_closed(end);
  while (!batch_.empty() && !site_.progress.stop && Clock::now() < latest_) {
    if (!send()) break;
  }
  give_up();
}

void KinesisSender::run_closed(Clock::time_point end) {
  while (!site_.progress.stop) {
    const auto now = Clock::now();
    if (now >= end) return;
    fill(PutBatch::kEntriesMax, now);
    if (!send()) return;
  }
}

void KinesisSender::run_open(Clock::time_point start, Clock::time_point end) {
  const double own_rate = share_.rate(site_.plan);
  const double entries =
      std::clamp(std::round(own_rate * kOpenLoopStep), 1.0, double{PutBatch::kEntriesMax});
  const std::chrono::duration<double> interval(entries / own_rate);
  const auto phase = interval * share_.phase(site_.plan);
  for (std::uint64_t step = 0; !site_.progress.stop; ++step) {
    const auto due = start + std::chrono::duration_cast<Clock::duration>(
                                 phase + interval * static_cast<double>(step));
    if (due >= end) return;
    std::this_thread::sleep_until(due);
    fill(std::min(batch_.size() + static_cast<std::size_t>(entries), PutBatch::kEntriesMax), due);
    if (!send()) return;
  }
}

void KinesisSender::fill(std::size_t entries, Clock::time_point due) {
  if (batch_.empty()) since_ = due;
  while (batch_.size() < entries && !batch_.full(10, kMessageMax)) {
    const FleetShare::Message message = share_.next(site_.plan, site_.routes);
    site_.ledger.sent(message.vehicle, message.sequence);
    batch_.add(message.key, message.text,
               make_tag(message.vehicle, message.sequence, message.text.size()));
  }
}

bool KinesisSender::send() {
  acknowledged_ = 0;
  bytes_ = 0;
  const std::size_t size = batch_.size();
  ++outcome_.calls;
  const auto left = batch_.send(client_, visitor_);
  if (!left) return settle(left.error());
  const auto now = Clock::now();
  if (acknowledged_ > 0) {
    const auto waited = std::chrono::duration_cast<std::chrono::nanoseconds>(now - since_).count();
    outcome_.latencies.record(static_cast<std::uint64_t>(waited), acknowledged_);
    site_.progress.records += acknowledged_;
    site_.progress.bytes += bytes_;
    outcome_.last_acknowledgement = now;
  }
  site_.progress.refused += *left;
  if (*left * 2 <= size) {
    backoff_.reset();
  } else {
    pause();
  }
  return true;
}

bool KinesisSender::settle(const client::Failure& failure) {
  if (failure.unknown) {
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      site_.ledger.in_doubt(vehicle_of(batch_.tag(i)), sequence_of(batch_.tag(i)));
    }
  }
  outcome_.last_refusal =
      failure.type.empty() ? failure.message : failure.type + ": " + failure.message;
  if (failure.transient() || failure.kind == client::FailureKind::kTimeout) {
    site_.progress.refused += batch_.size();
    pause();
    return true;
  }
  outcome_.failure = problem_of(failure, fleet_failing(site_));
  site_.progress.stop = true;
  return false;
}

void KinesisSender::give_up() {
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    site_.ledger.unacknowledged(vehicle_of(batch_.tag(i)), sequence_of(batch_.tag(i)));
  }
  batch_.clear();
}

}  // namespace

std::unique_ptr<Sender> kinesis_sender(const FleetSite& site, std::uint32_t first) {
  return std::make_unique<KinesisSender>(site, first);
}

}  // namespace penstock::tools
