#include "fleet/sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <thread>
#include <utility>

namespace penstock::tools {
namespace {

using client::Clock;
using client::PutBatch;

// How long the last messages may take after the sending time is over.
constexpr std::chrono::seconds kGrace{10};
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

}  // namespace

Sender::Sender(const FleetPlan& plan, const Routes& routes, const client::ClientOptions& options,
               Ledger& ledger, FleetProgress& progress, std::uint32_t first)
    : plan_(plan),
      routes_(routes),
      ledger_(ledger),
      progress_(progress),
      client_(options),
      batch_(plan.stream),
      backoff_(plan.seed + first) {
  for (std::uint32_t v = first; v < plan.vehicles; v += plan.connections) {
    vehicles_.emplace_back(v, plan.seed);
  }
  visitor_.acknowledged = [this](const PutBatch::Acknowledged& entry) {
    ++acknowledged_;
    bytes_ += bytes_of(entry.tag);
  };
  visitor_.refused = [this](const PutBatch::Refused& entry) {
    if (entry.unknown) ledger_.in_doubt(vehicle_of(entry.tag), sequence_of(entry.tag));
    last_refusal_ = fmt::format("{}: {}", entry.code, entry.message);
  };
}

void Sender::run(Clock::time_point start) {
  if (vehicles_.empty()) return;
  const auto end = start + plan_.length;
  plan_.rate > 0 ? run_open(start, end) : run_closed(end);
  while (!batch_.empty() && !progress_.stop && Clock::now() < end + kGrace) {
    if (!send()) break;
  }
  give_up();
}

void Sender::run_closed(Clock::time_point end) {
  while (!progress_.stop) {
    const auto now = Clock::now();
    if (now >= end) return;
    fill(PutBatch::kEntriesMax, now);
    if (!send()) return;
  }
}

void Sender::run_open(Clock::time_point start, Clock::time_point end) {
  const double own_rate =
      plan_.rate * static_cast<double>(vehicles_.size()) / static_cast<double>(plan_.vehicles);
  const double entries =
      std::clamp(std::round(own_rate * kOpenLoopStep), 1.0, double{PutBatch::kEntriesMax});
  const std::chrono::duration<double> interval(entries / own_rate);
  // Senders take turns rather than all at the same moment.
  const auto phase = interval * (static_cast<double>(vehicles_.front().number()) /
                                 static_cast<double>(plan_.connections));
  for (std::uint64_t step = 0; !progress_.stop; ++step) {
    const auto due = start + std::chrono::duration_cast<Clock::duration>(
                                 phase + interval * static_cast<double>(step));
    if (due >= end) return;
    std::this_thread::sleep_until(due);
    fill(std::min(batch_.size() + static_cast<std::size_t>(entries), PutBatch::kEntriesMax), due);
    if (!send()) return;
  }
}

void Sender::fill(std::size_t entries, Clock::time_point due) {
  if (batch_.empty()) since_ = due;
  std::array<char, kMessageMax> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  while (batch_.size() < entries && !batch_.full(10, kMessageMax)) {
    Vehicle& vehicle = vehicles_[turn_];
    turn_ = turn_ + 1 == vehicles_.size() ? 0 : turn_ + 1;
    const std::uint32_t sequence = vehicle.messages();
    const std::string_view message =
        vehicle.next(routes_, plan_.run, plan_.start_ms, buffer.data());
    ledger_.sent(vehicle.number(), sequence);
    batch_.add(vehicle.name(), message, make_tag(vehicle.number(), sequence, message.size()));
  }
}

bool Sender::send() {
  acknowledged_ = 0;
  bytes_ = 0;
  const std::size_t size = batch_.size();
  ++calls_;
  const auto left = batch_.send(client_, visitor_);
  if (!left) return settle(left.error());
  const auto now = Clock::now();
  if (acknowledged_ > 0) {
    const auto waited = std::chrono::duration_cast<std::chrono::nanoseconds>(now - since_).count();
    latencies_.record(static_cast<std::uint64_t>(waited), acknowledged_);
    progress_.records += acknowledged_;
    progress_.bytes += bytes_;
    last_ = now;
  }
  progress_.refused += *left;
  if (*left * 2 <= size) {
    backoff_.reset();
  } else {
    std::this_thread::sleep_for(backoff_.next());
  }
  return true;
}

bool Sender::settle(const client::Failure& failure) {
  if (failure.unknown) {
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      ledger_.in_doubt(vehicle_of(batch_.tag(i)), sequence_of(batch_.tag(i)));
    }
  }
  last_refusal_ = failure.type.empty() ? failure.message : failure.type + ": " + failure.message;
  if (failure.transient() || failure.kind == client::FailureKind::kTimeout) {
    progress_.refused += batch_.size();
    std::this_thread::sleep_for(backoff_.next());
    return true;
  }
  failure_ = failure;
  progress_.stop = true;
  return false;
}

void Sender::give_up() {
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    ledger_.unacknowledged(vehicle_of(batch_.tag(i)), sequence_of(batch_.tag(i)));
  }
  batch_.clear();
}

}  // namespace penstock::tools
