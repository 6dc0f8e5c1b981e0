// Latencies in HdrHistogram's own layout, so that every tool which reads its logs reads ours, and the log
// that holds them.
//
// Units      nanoseconds, 0 to one hour; longer ones are counted as the longest. `max` and `min` are exact
//            within that. Log: seconds, and milliseconds for its column of maxima
// Shape      3 significant digits: 2,048 exact counts, then 1,024 for each doubling; 33,792 in all, 264 KiB
// Owner      one thread; merge to sum several
// Allocates  in the constructor only (`encoded` and HdrLog: freely)
// Errors     HdrLog: a file that cannot be written
// Source     HdrHistogram: AbstractHistogram.java, V2 encoding (compressed; ZigZag LEB128 counts, runs of
//            zeros as negative ones), HistogramLogWriter.java, log format 1.3
#pragma once

#include "problem.h"

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools::bench {

class HdrHistogram {
 public:
  static constexpr std::uint64_t kValueMax = 3'600'000'000'000;
  static constexpr unsigned kSignificantDigits = 3;

  HdrHistogram();

  void record(std::uint64_t nanos, std::uint64_t count = 1);
  void merge(const HdrHistogram& other);
  void clear();

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return count_ == 0 ? 0 : max_; }
  [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] double mean() const;
  // The largest value that is counted together with the one at the quantile, no more than `max`; 0 when
  // empty. REQUIRES: 0 ≤ q ≤ 1.
  [[nodiscard]] std::uint64_t quantile(double q) const;
  // The V2 compressed payload, in base64.
  [[nodiscard]] std::string encoded() const;

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  double sum_ = 0;
};

class HdrLog {
 public:
  // Times in the log count from `epoch_seconds`, the start of the run in seconds since 1970. What is in the
  // file is replaced.
  [[nodiscard]] static Attempt<HdrLog> create(const std::string& path, double epoch_seconds);
  // One interval, written at once. What a tag may not have becomes '_'. REQUIRES: start and length ≥ 0.
  [[nodiscard]] Attempt<void> append(std::string_view tag, double start_seconds,
                                     double length_seconds, const HdrHistogram& latencies);

 private:
  HdrLog(std::ofstream file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  [[nodiscard]] Attempt<void> write(const std::string& text);

  std::ofstream file_;
  std::string path_;
};

}  // namespace penstock::tools::bench
