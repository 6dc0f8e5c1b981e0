// Puts records for a while, and keeps what became of each.
//
//   closed loop: the next record leaves when fewer than `in_flight` are without a result. A server that stalls is
//                sent less meanwhile: its latencies are those of what was sent
//   open loop:   records leave at times that were set before, and latency counts from there, waited for or not
//
//   begin ── warm-up ──► from ── measured ──► to ── what is under way gets its result ──► end
//
// Units      records a second; nanoseconds of the clock
// Shape      a thread, a Writer and a Track for each producer; each has its own keys
// Owner      `run` starts its threads and ends with them
// Allocates  before the begin, and a Track's chunk for every million records
// Errors     a target that does not take a record ends the run; a result that is no acknowledgement is counted
#pragma once

#include "bench/hdr.h"
#include "bench/load_clock.h"
#include "bench/pacer.h"
#include "bench/records.h"
#include "bench/target.h"
#include "bench/track.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock::tools::bench {

// Behind by more than this, a generator has not made the load that it should have.
inline constexpr double kBehindMax = 0.01;

struct LoadPlan {
  double rate = 0;                   // of all producers together; 0: closed loop
  std::uint32_t in_flight = 16'384;  // of all producers together
  std::uint32_t producers = 1;
  std::uint32_t keys = 1'000;  // of each producer
  std::uint32_t record_bytes = 1'024;
  bool explicit_hash = false;
  double warmup_seconds = 1;
  double seconds = 5;
  std::uint64_t records_max = 0;  // closed loop: ends earlier, when so many have left; 0: no
};

// Whether so many records a second come that only every Track::kStride-th is timed.
[[nodiscard]] bool times_every_record(const LoadPlan& plan);

struct LoadFigures {
  double seconds = 0;        // measured
  std::uint64_t stored = 0;  // in that time
  std::uint64_t due = 0;     // open loop: from the begin on
  std::uint64_t sent = 0;    // of these
  HdrHistogram latencies;    // of those due in that time
  // From the begin to the end.
  std::uint64_t stored_total = 0;
  std::uint64_t refused = 0;
  std::uint64_t unknown = 0;
  std::optional<Problem> failure;  // why one of them was

  // Share of the records due that had not left when the time was over; 0 in a closed loop.
  [[nodiscard]] double behind() const {
    return due == 0 ? 0 : 1 - static_cast<double>(sent) / static_cast<double>(due);
  }
};

// One producer's part of a load; the loops are apart from threads so that a test can run them.
class Producing {
 public:
  struct Part {
    std::uint32_t run = 0;
    std::uint16_t producer = 0;
    Nanos begin;  // of an open loop: this producer's first record
    Nanos to;
  };
  Producing(const LoadPlan& plan, const Part& part, LoadClock& clock, Writer& writer, Track& track);

  // Until the time is over, `stop` is set, or a record is not taken (false).
  bool closed_loop(const std::atomic<bool>& stop);
  // What is due when the time is over still leaves, unless it is more than kBehindMax of all.
  bool open_loop(const std::atomic<bool>& stop);
  // Of an open loop.
  [[nodiscard]] std::uint64_t due() const;

 private:
  bool put(Nanos due);
  [[nodiscard]] Pacer pacer() const { return {plan_.rate / plan_.producers, part_.begin}; }

  const LoadPlan& plan_;
  Part part_;
  LoadClock& clock_;
  Writer& writer_;
  Track& track_;
  Keys keys_;
  RecordPool records_;
};

class Load {
 public:
  using MakeWriter = std::function<Attempt<std::unique_ptr<Writer>>(Track& track)>;
  // Told several times a second: seconds since the begin, records stored.
  using Progress = std::function<void(double seconds, std::uint64_t stored)>;

  Load(const LoadPlan& plan, std::uint32_t run, LoadClock& clock);
  [[nodiscard]] Attempt<LoadFigures> run(const MakeWriter& make_writer, const Progress& progress);

  [[nodiscard]] std::uint32_t run_id() const { return run_; }
  [[nodiscard]] const LoadPlan& plan() const { return plan_; }
  // The time that is measured, known when the first record leaves. Any thread.
  [[nodiscard]] Nanos from() const { return from_.load(); }
  [[nodiscard]] Nanos to() const { return to_.load(); }
  // By producer; what was sent and what became of it.
  [[nodiscard]] std::vector<std::unique_ptr<Track>>& tracks() { return tracks_; }

 private:
  [[nodiscard]] Ended connect(const MakeWriter& make_writer);
  void produce(std::uint16_t producer);
  [[nodiscard]] std::uint64_t stored() const;
  void watch(const Progress& progress, Nanos until);
  [[nodiscard]] Attempt<LoadFigures> gather();
  // Nothing more is sent when it returns, unless the target stands still.
  void stop();

  LoadPlan plan_;
  std::uint32_t run_;
  LoadClock& clock_;
  Nanos begin_;
  std::atomic<Nanos> from_{}, to_{};
  std::vector<std::unique_ptr<Track>> tracks_;
  std::vector<std::unique_ptr<Writer>> writers_;
  LoadFigures figures_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint32_t> running_{0};
  std::atomic<std::uint64_t> due_{0};
};

}  // namespace penstock::tools::bench
