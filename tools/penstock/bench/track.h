// What became of one producer's records in one round: when each was due, what its result was, and, once it is read
// back, how often it was found.
//
// Units      monotonic nanoseconds; a record is known by its number, from 0 without gaps
// Shape      one byte a record, and eight for each that is timed: every one, or every kStride-th where there are too
//            many to ask for the time twice for each
// Owner      `sent` and `wait_…` are the producer's thread's. `result` may come from any thread, one at a time;
//            `stored`, `resolved` and `due` may be asked by any. The rest when all have their result
// Allocates  kChunkRecords at a time, in `sent`
// States     of a record: Sent ─► Stored │ Refused │ Unknown
#pragma once

#include "bench/hdr.h"
#include "bench/load_clock.h"
#include "penstock/units.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace penstock::tools::bench {

enum class Outcome : std::uint8_t {
  kNone = 0,     // no result yet
  kStored = 1,   // acknowledged
  kRefused = 2,  // said not to be stored
  kUnknown = 3,  // nobody knows
};

class Track {
 public:
  static constexpr std::uint64_t kChunkRecords = 1ULL << 20;
  static constexpr std::uint64_t kRecordsMax = 1ULL << 34;
  static constexpr std::uint64_t kStride = 16;

  // `every`: record is timed.
  Track(LoadClock& clock, bool every);
  // Latencies are kept of records due from `from` until before `to`. Before the first is sent.
  void measure(Nanos from, Nanos to);

  // --- The producer's ------------------------------------------------------------------------------
  // The next number leaves. REQUIRES: below kRecordsMax.
  void sent(Nanos due) {
    if (sent_ % kChunkRecords == 0) grow();
    if (timed(sent_)) chunk_of(sent_).due[sent_ % kChunkRecords / stride_] = due.raw();
    ++sent_;
  }
  [[nodiscard]] bool timed(std::uint64_t number) const { return number % stride_ == 0; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t unresolved() const { return sent_ - resolved(); }
  // Until at most so many are without a result.
  void wait_unresolved(std::uint64_t at_most);

  // --- The target's --------------------------------------------------------------------------------
  void result(std::uint64_t number, Outcome outcome);

  // --- Anybody's -----------------------------------------------------------------------------------
  [[nodiscard]] std::uint64_t stored() const { return stored_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t resolved() const { return resolved_.load(); }
  // When a record was due that was sent, and is timed.
  [[nodiscard]] Nanos due(std::uint64_t number) const {
    return Nanos(chunk_of(number).due[number % kChunkRecords / stride_]);
  }

  // --- Afterwards ----------------------------------------------------------------------------------
  [[nodiscard]] Outcome outcome(std::uint64_t number) const {
    return static_cast<Outcome>(state(number) & kOutcomeMask);
  }
  // How often it had been found before: 0, 1, 2 and more.
  std::uint32_t found(std::uint64_t number);
  [[nodiscard]] std::uint32_t times_found(std::uint64_t number) const {
    return state(number) / kFoundOnce;
  }
  [[nodiscard]] const HdrHistogram& latencies() const { return latencies_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  [[nodiscard]] std::uint64_t unknown() const { return unknown_; }

 private:
  static constexpr std::uint8_t kOutcomeMask = 3;
  static constexpr std::uint8_t kFoundOnce = 4;
  static constexpr std::uint8_t kFoundMax = 2;
  struct Chunk {
    std::array<std::uint8_t, kChunkRecords> state{};
    std::vector<std::int64_t> due;
  };

  void grow();
  [[nodiscard]] Chunk& chunk_of(std::uint64_t number) const {
    return *chunks_[number / kChunkRecords].load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint8_t state(std::uint64_t number) const {
    return chunk_of(number).state[number % kChunkRecords];
  }

  LoadClock& clock_;
  const std::uint64_t stride_;
  Nanos from_, to_;
  // Never moved: results of older chunks are noted while a new one is made.
  std::unique_ptr<std::atomic<Chunk*>[]> chunks_;
  std::vector<std::unique_ptr<Chunk>> owned_;

  // What two threads write, each for itself, lies in lines of its own.
  alignas(64) std::uint64_t sent_ = 0;
  alignas(64) HdrHistogram latencies_;  // as the next two: of whoever calls `result`
  std::uint64_t refused_ = 0;
  std::uint64_t unknown_ = 0;
  std::atomic<std::uint64_t> stored_{0};
  std::atomic<std::uint64_t> resolved_{0};
  std::atomic<std::uint64_t> wake_at_{UINT64_MAX};  // as many results as the producer waits for
  std::mutex mutex_;
  std::condition_variable woken_;
};

}  // namespace penstock::tools::bench
