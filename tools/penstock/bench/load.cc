#include "bench/load.h"

#include "bench/interruption.h"

#include <algorithm>
#include <sys/prctl.h>
#include <thread>
#include <utility>

namespace penstock::tools::bench {
namespace {

// From so many a second on, or under way at once, asking for the time twice for each record would be a load itself.
constexpr double kTimedRateMax = 100'000;
constexpr std::uint32_t kTimedInFlightMax = 1'024;
// The closed loop asks for the time this often, the open loop sends so many before it looks again.
constexpr std::uint64_t kBurst = 64;
// The open loop sleeps no shorter: a sleep costs ten records, and a generator that is never off its CPU keeps the
// client's thread, and the kernel's, waiting there. What became due meanwhile counts from when it was due.
constexpr std::int64_t kNap = 40'000;
// Between the last preparation and the first record: threads are there by then.
constexpr std::int64_t kStartDelay = 50 * kNanosPerMilli;
constexpr std::int64_t kProgressInterval = 200 * kNanosPerMilli;
constexpr std::int64_t kStopPatience = 5 * kNanosPerSecond;
constexpr std::int64_t kStopInterval = 5 * kNanosPerMilli;
// The kernel wakes a thread up to 50 us late unless told otherwise.
constexpr unsigned long kTimerSlackNanos = 1'000;

std::int64_t nanos(double seconds) { return static_cast<std::int64_t>(seconds * 1e9); }

}  // namespace

bool times_every_record(const LoadPlan& plan) {
  return plan.rate > 0 ? plan.rate <= kTimedRateMax : plan.in_flight <= kTimedInFlightMax;
}

Producing::Producing(const LoadPlan& plan, const Part& part, LoadClock& clock, Writer& writer,
                     Track& track)
    : plan_(plan),
      part_(part),
      clock_(clock),
      writer_(writer),
      track_(track),
      keys_(part.producer, plan.keys),
      records_(part.run, part.producer, plan.record_bytes) {}

bool Producing::put(Nanos due) {
  const std::uint64_t number = track_.sent();
  const std::uint32_t key = keys_.of(number);
  std::optional<base::HashKey> hash;
  if (plan_.explicit_hash) hash = keys_.hash(key);
  track_.sent(due);
  return writer_.put({keys_.text(key), key, records_.record(number), number, hash});
}

bool Producing::closed_loop(const std::atomic<bool>& stop) {
  const std::uint64_t limit = std::max<std::uint64_t>(1, plan_.in_flight / plan_.producers);
  // Waiting for the last one alone would wake this thread for each record.
  const std::uint64_t resume = limit - std::max<std::uint64_t>(1, limit / 8);
  const std::uint64_t most =
      plan_.records_max == 0 ? UINT64_MAX : plan_.records_max / plan_.producers;
  while (!stop && track_.sent() < most) {
    if (track_.unresolved() >= limit) track_.wait_unresolved(resume);
    const std::uint64_t room =
        std::min({limit - track_.unresolved(), kBurst, most - track_.sent()});
    Nanos now = clock_.now();
    if (now >= part_.to) return true;
    for (std::uint64_t i = 0; i < room; ++i) {
      if (i > 0 && track_.timed(track_.sent())) now = clock_.now();
      if (!put(now)) return false;
    }
  }
  return true;
}

std::uint64_t Producing::due() const { return pacer().due_before(part_.to); }

bool Producing::open_loop(const std::atomic<bool>& stop) {
  const Pacer paced = pacer();
  const std::uint64_t total = due();
  const auto late_max = static_cast<std::uint64_t>(static_cast<double>(total) * kBehindMax);
  for (std::uint64_t next = 0; next < total && !stop;) {
    const Nanos now = clock_.now();
    if (now >= part_.to && total - next > late_max + 1) return true;
    const std::uint64_t ready = std::min(total, paced.due_before(now + 1));
    if (ready <= next) {
      clock_.sleep_until(std::max(paced.due(next), now + kNap));
      continue;
    }
    for (const std::uint64_t end = std::min(ready, next + kBurst); next < end; ++next) {
      if (!put(paced.due(next))) return false;
    }
  }
  return true;
}

Load::Load(const LoadPlan& plan, std::uint32_t run, LoadClock& clock)
    : plan_(plan), run_(run), clock_(clock) {}

Ended Load::connect(const MakeWriter& make_writer) {
  for (std::uint32_t i = 0; i < plan_.producers; ++i) {
    tracks_.push_back(std::make_unique<Track>(clock_, times_every_record(plan_)));
    auto writer = make_writer(*tracks_.back());
    if (!writer) return std::unexpected(std::move(writer.error()));
    writers_.push_back(std::move(*writer));
  }
  return Exit::kDone;
}

void Load::produce(std::uint16_t producer) {
  ::prctl(PR_SET_TIMERSLACK, kTimerSlackNanos, 0, 0, 0);
  // Producers take turns rather than all at the same moment.
  const double phase = plan_.rate > 0 ? producer / plan_.rate : 0;
  Producing part(plan_, {run_, producer, begin_ + nanos(phase), to()}, clock_, *writers_[producer],
                 *tracks_[producer]);
  bool taken = false;
  if (plan_.rate > 0) {
    due_ += part.due();
    clock_.sleep_until(begin_);
    taken = part.open_loop(stop_);
  } else {
    clock_.sleep_until(begin_);
    taken = part.closed_loop(stop_);
  }
  if (!taken) stop_ = true;
  writers_[producer]->flush();
  --running_;
}

std::uint64_t Load::stored() const {
  std::uint64_t sum = 0;
  for (const auto& track : tracks_) sum += track->stored();
  return sum;
}

void Load::watch(const Progress& progress, Nanos until) {
  while (running_ > 0) {
    const Nanos now = clock_.now();
    if (now >= until) return;
    progress(static_cast<double>(now - begin_) / 1e9, stored());
    clock_.sleep_until(std::min(until, now + kProgressInterval));
  }
}

Attempt<LoadFigures> Load::run(const MakeWriter& make_writer, const Progress& progress) {
  if (auto connected = connect(make_writer); !connected) {
    return std::unexpected(std::move(connected.error()));
  }
  begin_ = clock_.now() + kStartDelay;
  from_ = begin_ + nanos(plan_.warmup_seconds);
  to_ = from() + nanos(plan_.seconds);
  for (const auto& track : tracks_) track->measure(from(), to());
  std::vector<std::jthread> threads;
  running_ = plan_.producers;
  // Into a stream that is not there any more it could put one.
  const Undoing stopping("", [this] { stop(); });
  for (std::uint32_t i = 0; i < plan_.producers; ++i) {
    threads.emplace_back([this, i] { produce(static_cast<std::uint16_t>(i)); });
  }
  watch(progress, from());
  const std::uint64_t before = stored();
  const Nanos measured_from = clock_.now();
  watch(progress, to());
  figures_.stored = stored() - before;
  figures_.seconds = static_cast<double>(clock_.now() - measured_from) / 1e9;
  watch(progress, Nanos(INT64_MAX));
  threads.clear();
  return gather();
}

void Load::stop() {
  stop_ = true;
  const Nanos until = clock_.now() + kStopPatience;
  while (running_ > 0 && clock_.now() < until) clock_.sleep_until(clock_.now() + kStopInterval);
}

Attempt<LoadFigures> Load::gather() {
  for (std::size_t i = 0; i < tracks_.size(); ++i) {
    if (!figures_.failure) figures_.failure = writers_[i]->problem();
    figures_.latencies.merge(tracks_[i]->latencies());
    figures_.stored_total += tracks_[i]->stored();
    figures_.refused += tracks_[i]->refused();
    figures_.unknown += tracks_[i]->unknown();
    figures_.sent += tracks_[i]->sent();
  }
  writers_.clear();
  figures_.due = due_;
  if (stop_ || figures_.stored_total == 0) {
    if (figures_.failure) return std::unexpected(std::move(*figures_.failure));
    return std::unexpected(Problem{
        Exit::kFailed, number(ErrorCode::kDeadline), "no record was acknowledged in time", {}});
  }
  return std::move(figures_);
}

}  // namespace penstock::tools::bench
