#include "fleet/sender.h"
#include "native.h"
#include "penstock/producer.h"

#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::tools {
namespace {

using client::Clock;

constexpr std::uint64_t kBufferedMax = 4 * kMiB;

// An idempotent producer on a connection of its own: what it repeats is stored once.
class NativeSender final : public Sender {
 public:
  NativeSender(const FleetSite& site, std::uint32_t first)
      : site_(site), share_(site.plan, first) {}
  void run(Clock::time_point start) override;
  [[nodiscard]] const SenderOutcome& outcome() const override { return outcome_; }

 private:
  struct Refused {
    std::uint32_t vehicle;
    std::uint32_t sequence;
  };
  void send(Clock::time_point start);
  void put(Producer& producer, Clock::time_point due);
  void on_result(const Result<Stored>& result, const Refused& which, std::uint64_t bytes,
                 Clock::time_point due);
  void fail(Problem problem);

  FleetSite site_;
  FleetShare share_;
  // The library's thread's until all have a result.
  SenderOutcome outcome_;
  std::vector<Refused> refused_;
};

void NativeSender::run(Clock::time_point start) {
  if (share_.empty()) return;
  send(start);
  for (const Refused& one : refused_) site_.ledger.unacknowledged(one.vehicle, one.sequence);
}

void NativeSender::send(Clock::time_point start) {
  auto client = connect_native(site_.session);
  if (!client) return fail(std::move(client.error()));
  ProducerOptions options;
  options.buffered_bytes_max = kBufferedMax;
  options.deadline = kFleetGrace;
  const auto producer = (*client)->producer(site_.plan.stream, options);
  const auto end = start + site_.plan.length;
  if (site_.plan.rate <= 0) {
    for (auto now = Clock::now(); now < end && !site_.progress.stop; now = Clock::now()) {
      put(*producer, now);
    }
  } else {
    const std::chrono::duration<double> interval(1 / share_.rate(site_.plan));
    for (std::uint64_t i = 0; !site_.progress.stop; ++i) {
      const auto since = interval * (share_.phase(site_.plan) + static_cast<double>(i));
      const auto due = start + std::chrono::duration_cast<Clock::duration>(since);
      if (due >= end) break;
      if (due > Clock::now()) std::this_thread::sleep_until(due);
      put(*producer, due);
    }
  }
  producer->flush();
  outcome_.calls = producer->counters().batches_sent;
}

void NativeSender::put(Producer& producer, Clock::time_point due) {
  const FleetShare::Message message = share_.next(site_.plan, site_.routes);
  const Refused which{message.vehicle, message.sequence};
  site_.ledger.sent(which.vehicle, which.sequence);
  const auto taken =
      producer.put(message.key, std::as_bytes(std::span(message.text)),
                   [this, which, bytes = message.text.size(), due](const Result<Stored>& result) {
                     on_result(result, which, bytes, due);
                   });
  if (taken) return;
  site_.ledger.unacknowledged(which.vehicle, which.sequence);
  fail(problem_of(taken.error().code, fleet_failing(site_)));
}

void NativeSender::on_result(const Result<Stored>& result, const Refused& which,
                             std::uint64_t bytes, Clock::time_point due) {
  if (!result) {
    refused_.push_back(which);
    ++site_.progress.refused;
    outcome_.last_refusal = text(result.error().code);
    return;
  }
  const auto now = Clock::now();
  const auto waited = std::chrono::duration_cast<std::chrono::nanoseconds>(now - due).count();
  outcome_.latencies.record(static_cast<std::uint64_t>(waited));
  outcome_.last_acknowledgement = now;
  ++site_.progress.records;
  site_.progress.bytes += bytes;
}

void NativeSender::fail(Problem problem) {
  outcome_.failure = std::move(problem);
  site_.progress.stop = true;
}

}  // namespace

std::unique_ptr<Sender> native_sender(const FleetSite& site, std::uint32_t first) {
  return std::make_unique<NativeSender>(site, first);
}

}  // namespace penstock::tools
