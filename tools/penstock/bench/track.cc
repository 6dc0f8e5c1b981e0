#include "bench/track.h"

#include "base/assert.h"

#include <algorithm>

namespace penstock::tools::bench {

Track::Track(LoadClock& clock, bool every)
    : clock_(clock),
      stride_(every ? 1 : kStride),
      chunks_(std::make_unique<std::atomic<Chunk*>[]>(kRecordsMax / kChunkRecords)) {}

void Track::measure(Nanos from, Nanos to) {
  PENSTOCK_ASSERT(sent_ == 0);
  from_ = from;
  to_ = to;
}

void Track::grow() {
  PENSTOCK_ASSERT(sent_ < kRecordsMax);
  auto chunk = std::make_unique<Chunk>();
  chunk->due.resize(kChunkRecords / stride_);
  chunks_[sent_ / kChunkRecords].store(chunk.get(), std::memory_order_release);
  owned_.push_back(std::move(chunk));
}

void Track::result(std::uint64_t number, Outcome outcome) {
  Chunk& chunk = chunk_of(number);
  PENSTOCK_ASSERT(chunk.state[number % kChunkRecords] == 0);
  chunk.state[number % kChunkRecords] = static_cast<std::uint8_t>(outcome);
  if (outcome == Outcome::kStored) {
    stored_.store(stored_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (timed(number)) {
      const Nanos due(chunk.due[number % kChunkRecords / stride_]);
      if (due >= from_ && due < to_) {
        latencies_.record(
            static_cast<std::uint64_t>(std::max<std::int64_t>(0, clock_.now() - due)));
      }
    }
  } else {
    ++(outcome == Outcome::kRefused ? refused_ : unknown_);
  }
  // The order of these two against those in wait_unresolved: one side always sees the other.
  const std::uint64_t resolved = resolved_.load(std::memory_order_relaxed) + 1;
  resolved_.store(resolved);
  if (resolved < wake_at_.load()) return;
  const std::lock_guard lock(mutex_);
  wake_at_ = UINT64_MAX;
  woken_.notify_all();
}

void Track::wait_unresolved(std::uint64_t at_most) {
  if (unresolved() <= at_most) return;
  const std::uint64_t wanted = sent_ - at_most;
  std::unique_lock lock(mutex_);
  while (resolved() < wanted) {
    wake_at_ = wanted;
    if (resolved() >= wanted) break;
    woken_.wait(lock);
  }
  wake_at_ = UINT64_MAX;
}

std::uint32_t Track::found(std::uint64_t number) {
  std::uint8_t& state = chunk_of(number).state[number % kChunkRecords];
  const std::uint32_t before = state / kFoundOnce;
  if (before < kFoundMax) state = static_cast<std::uint8_t>(state + kFoundOnce);
  return before;
}

}  // namespace penstock::tools::bench
