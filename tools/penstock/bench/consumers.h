// Readers of a stream side by side, each of all of it, that count what they are given and how long it took to come.
//
// Shape      deliveries in a window of time are counted by bytes of data; latencies are from when a record of a load
//            was due until a reader has it, of those records that its Track times
// Owner      one thread; the counts are the readers' threads'
// Allocates  per delivery, not per record
// Errors     a reader that does not go on, or that gets nothing for a minute though there is more
#pragma once

#include "bench/hdr.h"
#include "bench/load.h"
#include "bench/load_clock.h"
#include "bench/target.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace penstock::tools::bench {

class Consumers {
 public:
  struct Plan {
    std::string stream;
    From from = From::kHorizon;
    bool pull = false;  // ask again and again, where the target can do both
    std::uint32_t count = 1;
  };
  // `load`: whose window and records are looked at; null: everything counts. It outlives the consumers.
  Consumers(Target& target, Plan plan, LoadClock& clock, Load* load);
  ~Consumers();

  [[nodiscard]] Ended open();
  // Closes the reader, and opens it again where it began.
  [[nodiscard]] Ended open_again(std::uint32_t reader);
  // Until each has had so many records since it was opened. `tell` hears from time to time how many all have had.
  [[nodiscard]] Ended wait(std::uint64_t records, const std::function<void(std::uint64_t)>& tell);
  void close();

  [[nodiscard]] std::uint64_t records(std::uint32_t reader) const;  // since it was opened
  [[nodiscard]] std::optional<Problem> problem() const;
  // Of all readers.
  [[nodiscard]] std::uint64_t bytes_in_window() const;
  [[nodiscard]] HdrHistogram latencies() const;

 private:
  struct Counts {
    std::atomic<std::uint64_t> records{0};
    std::atomic<std::uint64_t> bytes{0};  // in the window
    mutable std::mutex mutex;             // of the histogram: a reader may have several threads
    HdrHistogram latencies;
  };
  void take(Counts& counts, std::span<const Incoming> records);

  Target& target_;
  Plan plan_;
  LoadClock& clock_;
  Load* load_;
  std::vector<std::unique_ptr<Counts>> counts_;
  std::vector<std::unique_ptr<Reader>> readers_;  // last: they count into the others
};

}  // namespace penstock::tools::bench
