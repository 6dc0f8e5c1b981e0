// Durable append in process: records from memory to stable media, no network. Made to be run in turn
// with something else, so that both see the same disk: it prepares once and then obeys lines on its
// standard input, answering each with one JSON object (bench/append.py, bench/acknowledge.py).
//
//   append_bench --dir DIR [--shards 1] [--record 1024] [--per-put 500] [--in-flight 16] [--depth 4]
//                [--slots 8]
//
//   fill MIB              closed loop until so much payload is durable, `in-flight` puts at a time;
//                         what fills the pipeline at first and empties it in the end is in the time
//   load RATE SECONDS     open loop: RATE puts a second, each taken by the first turn after it was due.
//                         Latency from then on, and, as `since_due`, with the sleep before it
//   calibrate SECONDS     the calibrator: writes of the sizes of the last fill's or load's blocks, one
//                         after the other, durable, by the driver's blocking call
//
// The core sleeps when it has nothing to do, as the daemon's does with `idle = "wait"`. `slots` of
// 256 MiB are zero-filled before the first line; what all lines write must fit into them.
#include "base/histogram.h"
#include "base/pages.h"
#include "bench/support/put_generator.h"
#include "bench/support/size_log.h"
#include "drivers/clock/system/system_clock.h"
#include "drivers/disk/uring/file_volume.h"
#include "drivers/disk/uring/uring_disk.h"
#include "drivers/entropy/system_entropy.h"
#include "drivers/ring/ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/resource.h>

namespace penstock::bench {
namespace {

constexpr std::uint64_t kCalibratorBytes = 512 * kMiB;

template <class T>
auto must(Result<T> result, const char* what) {
  if (!result) {
    fmt::print(stderr, "append_bench: {}: {}\n", what, text(result.error().code));
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::string percentiles(const base::Histogram& latencies) {
  const auto micros = [&](double q) { return static_cast<double>(latencies.quantile(q)) / 1e3; };
  return fmt::format("\"p50_us\":{:.1f},\"p99_us\":{:.1f},\"p999_us\":{:.1f},\"count\":{}",
                     micros(0.5), micros(0.99), micros(0.999), latencies.count());
}

class Bench {
 public:
  Bench(const std::string& directory, const InProcessOptions& options, const PutLoad& load)
      : options_(options),
        load_(load),
        volume_(must(drivers::FileVolume::open_root(directory), "directory")),
        process_(*volume_, writes_, reads_, clock_, entropy_, options),
        generator_(process_, options.shards, load) {
    calibrator_ = must(volume_->create("calibrator"), "calibrator");
    const base::Pages zeros(kMiB);
    for (std::uint64_t at = 0; at < kCalibratorBytes; at += kMiB) {
      must(volume_->write(calibrator_, at, zeros.bytes()), "calibrator");
    }
  }

  // One line of the standard input. False: it made no sense.
  bool obey(const std::string& line) {
    std::istringstream words(line);
    std::string what;
    double first = 0;
    double second = 0;
    words >> what >> first >> second;
    if (what == "fill" && first > 0) {
      const auto records = static_cast<std::uint64_t>(first * kMiB / load_.record_bytes);
      measure([&](Nanos) { return generator_.stored() < target_; },
              [&](Nanos now) {
                while (generator_.stored() + generator_.in_flight() * load_.per_put < target_ &&
                       generator_.start_one(now, now)) {
                }
                return now + kNanosPerMilli;
              },
              records);
    } else if (what == "load" && first > 0 && second > 0) {
      const auto step = static_cast<std::int64_t>(kNanosPerSecond / first);
      const Nanos end = clock_.now() + static_cast<std::int64_t>(second * kNanosPerSecond);
      Nanos due = clock_.now();
      measure([&](Nanos now) { return now < end; },
              [&](Nanos now) {
                while (due <= now && generator_.start_one(due, now)) due = due + step;
                // All in flight: a completion is what there is to wait for.
                return due <= now ? now + kNanosPerMilli : due;
              },
              0);
    } else if (what == "calibrate" && first > 0) {
      calibrate(first);
    } else {
      return false;
    }
    return true;
  }

  [[nodiscard]] std::uint64_t failed() const { return generator_.failed(); }

 private:
  // Runs turns while `more`; `start` starts puts and says when it is to be asked again.
  template <class More, class Start>
  void measure(const More& more, const Start& start, std::uint64_t records) {
    log_.sizes.clear();
    generator_.served.clear();
    generator_.since_due.clear();
    const std::uint64_t stored_before = generator_.stored();
    target_ = stored_before + records;
    const storage::JournalMetrics before = process_.journal();
    const double cpu_before = cpu_seconds();
    const Nanos begin = clock_.now();
    Nanos now = begin;
    while (more(now) && generator_.failed() == 0) {
      turn(start(now));
      now = clock_.now();
    }
    const double elapsed = static_cast<double>(now - begin) / kNanosPerSecond;
    const double cpu = cpu_seconds() - cpu_before;
    const std::uint64_t stored = generator_.stored() - stored_before;
    const storage::JournalMetrics after = process_.journal();
    while (generator_.in_flight() > 0) turn(clock_.now() + kNanosPerMilli);
    const std::uint64_t blocks = after.blocks - before.blocks;
    const std::uint64_t written = after.bytes_written - before.bytes_written;
    fmt::print(
        "{{\"seconds\":{:.4f},\"cpu_seconds\":{:.4f},\"records_per_second\":{:.0f},"
        "\"payload_mb_per_second\":{:.2f},\"written_mb_per_second\":{:.2f},\"blocks\":{},"
        "\"block_bytes\":{},\"frames\":{},{},\"since_due\":{{{}}},\"failed\":{}}}\n",
        elapsed, cpu, static_cast<double>(stored) / elapsed,
        static_cast<double>(stored) * load_.record_bytes / elapsed / 1e6,
        static_cast<double>(written) / elapsed / 1e6, blocks, blocks == 0 ? 0 : written / blocks,
        after.frames - before.frames, percentiles(generator_.served),
        percentiles(generator_.since_due), generator_.failed());
  }

  void turn(Nanos rest_until) {
    const runtime::WorkCount work = process_.turn();
    if (work != 0 || ring_->has_completions()) return;
    const std::int64_t rest = rest_until - clock_.now();
    if (rest > 0) ring_->sleep(rest);
  }

  void calibrate(double seconds) {
    const std::vector<std::uint32_t> sizes = log_.sizes;
    if (sizes.empty()) {
      fmt::print(stderr, "append_bench: calibrate needs a fill or a load before it\n");
      std::exit(1);
    }
    const base::Pages bytes(*std::ranges::max_element(sizes));
    std::ranges::fill(bytes.bytes(), std::byte{0x5a});
    base::Histogram latencies;
    std::uint64_t written = 0;
    const Nanos begin = clock_.now();
    const Nanos end = begin + static_cast<std::int64_t>(seconds * kNanosPerSecond);
    for (std::size_t i = 0; clock_.now() < end; i = (i + 1) % sizes.size()) {
      if (calibrator_at_ + sizes[i] > kCalibratorBytes) calibrator_at_ = 0;
      const Nanos start = clock_.now();
      must(volume_->write(calibrator_, calibrator_at_, bytes.bytes().first(sizes[i])), "write");
      latencies.record(static_cast<std::uint64_t>(clock_.now() - start));
      calibrator_at_ += sizes[i];
      written += sizes[i];
    }
    fmt::print("{{{},\"block_bytes\":{}}}\n", percentiles(latencies), written / latencies.count());
  }

  InProcessOptions options_;
  PutLoad load_;
  std::unique_ptr<drivers::FileVolume> volume_;
  drivers::SystemClock clock_;
  drivers::SystemEntropy entropy_;
  std::unique_ptr<drivers::Ring> ring_ = must(drivers::Ring::create(), "ring");
  drivers::UringDisk disk_{*ring_};
  drivers::UringDisk reads_{*ring_};
  SizeLog log_{disk_};
  env::Disk& writes_ = log_;
  InProcess process_;
  PutGenerator generator_;
  std::uint64_t target_ = 0;
  env::FileId calibrator_ = env::FileId::kNone;
  std::uint64_t calibrator_at_ = 0;
};

}  // namespace
}  // namespace penstock::bench

int main(int argc, char** argv) {
  using namespace penstock;
  std::string directory;
  bench::InProcessOptions options;
  bench::PutLoad load;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto number = static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (name == "--dir") directory = argv[i + 1];
    if (name == "--shards") options.shards = number;
    if (name == "--record") load.record_bytes = number;
    if (name == "--in-flight") load.in_flight = number;
    if (name == "--per-put") load.per_put = number;
    if (name == "--depth") options.depth = number;
    if (name == "--slots") options.slots = number;
  }
  if (directory.empty()) {
    fmt::print(stderr,
               "append_bench: --dir DIR is needed: an empty directory on a real file system\n");
    return 2;
  }
  std::filesystem::create_directories(directory);
  bench::Bench bench(directory, options, load);
  std::string line;
  while (std::getline(std::cin, line)) {
    if (!bench.obey(line)) {
      fmt::print(stderr, "append_bench: not understood: {}\n", line);
      return 2;
    }
    std::fflush(stdout);
    if (bench.failed() > 0) return 1;
  }
  return 0;
}
