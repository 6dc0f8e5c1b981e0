#include "bench/consumers.h"

#include "bench/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace penstock::tools::bench {
namespace {

constexpr std::int64_t kAskAgain = 5 * kNanosPerMilli;
constexpr std::int64_t kPatience = 60 * kNanosPerSecond;

}  // namespace

Consumers::Consumers(Target& target, Plan plan, LoadClock& clock, Load* load)
    : target_(target), plan_(std::move(plan)), clock_(clock), load_(load) {
  for (std::uint32_t i = 0; i < plan_.count; ++i) counts_.push_back(std::make_unique<Counts>());
  readers_.resize(plan_.count);
}

Consumers::~Consumers() { close(); }

Ended Consumers::open() {
  for (std::uint32_t i = 0; i < plan_.count; ++i) {
    if (auto opened = open_again(i); !opened) return opened;
  }
  return Exit::kDone;
}

Ended Consumers::open_again(std::uint32_t reader) {
  readers_[reader].reset();
  Counts& counts = *counts_[reader];
  counts.records = 0;
  auto opened =
      target_.reader(plan_.stream, {plan_.from, plan_.pull},
                     [this, &counts](std::span<const Incoming> records) { take(counts, records); });
  if (!opened) return std::unexpected(std::move(opened.error()));
  readers_[reader] = std::move(*opened);
  return Exit::kDone;
}

void Consumers::close() {
  for (auto& reader : readers_) reader.reset();
}

void Consumers::take(Counts& counts, std::span<const Incoming> records) {
  const Nanos now = clock_.now();
  const bool counted = load_ == nullptr || (now >= load_->from() && now < load_->to());
  std::uint64_t bytes = 0;
  const std::lock_guard lock(counts.mutex);
  for (const Incoming& record : records) {
    bytes += record.data.size();
    if (load_ == nullptr || record.data.size() < kStampBytes) continue;
    const Stamp stamp = peek_stamp(record.data);
    if (stamp.run != load_->run_id() || stamp.producer >= load_->tracks().size()) continue;
    const Track& track = *load_->tracks()[stamp.producer];
    if (!track.timed(stamp.number)) continue;
    const Nanos due = track.due(stamp.number);
    if (due < load_->from() || due >= load_->to()) continue;
    counts.latencies.record(static_cast<std::uint64_t>(std::max<std::int64_t>(0, now - due)));
  }
  if (counted) counts.bytes += bytes;
  counts.records += records.size();
}

std::uint64_t Consumers::records(std::uint32_t reader) const { return counts_[reader]->records; }

std::optional<Problem> Consumers::problem() const {
  for (const auto& reader : readers_) {
    if (reader == nullptr) continue;
    if (auto problem = reader->problem()) return problem;
  }
  return std::nullopt;
}

Ended Consumers::wait(std::uint64_t records, const std::function<void(std::uint64_t)>& tell) {
  std::uint64_t seen = 0;
  Nanos moved = clock_.now();
  for (;;) {
    std::uint64_t sum = 0;
    std::uint64_t least = UINT64_MAX;
    for (const auto& counts : counts_) {
      sum += counts->records;
      least = std::min<std::uint64_t>(least, counts->records);
    }
    if (least >= records) return Exit::kDone;
    if (auto stopped = problem()) return std::unexpected(std::move(*stopped));
    const Nanos now = clock_.now();
    if (sum != seen) moved = now;
    seen = sum;
    tell(sum);
    if (now - moved > kPatience) {
      Problem late{
          Exit::kFailed, number(ErrorCode::kDeadline), "a reader gets no more records", {}};
      late.found(fmt::format("{} of {}", least, records));
      return std::unexpected(std::move(late));
    }
    clock_.sleep_until(now + kAskAgain);
  }
}

std::uint64_t Consumers::bytes_in_window() const {
  std::uint64_t sum = 0;
  for (const auto& counts : counts_) sum += counts->bytes;
  return sum;
}

HdrHistogram Consumers::latencies() const {
  HdrHistogram all;
  for (const auto& counts : counts_) {
    const std::lock_guard lock(counts->mutex);
    all.merge(counts->latencies);
  }
  return all;
}

}  // namespace penstock::tools::bench
