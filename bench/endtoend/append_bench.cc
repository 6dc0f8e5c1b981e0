// Durable append in process: records from memory to stable media, no network.
//
//   append_bench --dir DIR [--shards 1] [--record 1024] [--seconds 2] [--in-flight 16] [--depth 4]
//
// Prints one JSON object. `block_bytes` is the mean size of a group commit: what a raw writer must
// be given to be comparable (bench/append.py runs both in turn).
#include "bench/support/put_generator.h"
#include "drivers/clock/system/system_clock.h"
#include "drivers/disk/uring/file_volume.h"
#include "drivers/disk/uring/uring_disk.h"
#include "drivers/entropy/system_entropy.h"
#include "drivers/ring/ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace {

template <class T>
T must(penstock::Result<T> result, const char* what) {
  if (result) return std::move(*result);
  fmt::print(stderr, "append_bench: {}: {}\n", what, text(result.error().code));
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace penstock;
  std::string directory;
  bench::InProcessOptions options;
  bench::PutLoad load;
  double seconds = 2;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    const auto number = static_cast<std::uint32_t>(std::strtoul(value, nullptr, 10));
    if (name == "--dir") directory = value;
    if (name == "--shards") options.shards = number;
    if (name == "--record") load.record_bytes = number;
    if (name == "--in-flight") load.in_flight = number;
    if (name == "--per-put") load.per_put = number;
    if (name == "--depth") options.depth = number;
    if (name == "--slots") options.slots = number;
    if (name == "--seconds") seconds = std::strtod(value, nullptr);
  }
  if (directory.empty()) {
    fmt::print(stderr,
               "append_bench: --dir DIR is needed: an empty directory on a real file system\n");
    return 2;
  }
  std::filesystem::create_directories(directory);
  auto volume = must(drivers::FileVolume::open_root(directory), "directory");
  drivers::SystemClock clock;
  drivers::SystemEntropy entropy;
  auto ring = must(drivers::Ring::create(), "ring");
  drivers::UringDisk writes(*ring);
  drivers::UringDisk reads(*ring);
  bench::InProcess process(*volume, writes, reads, clock, entropy, options);
  bench::PutGenerator generator(process, options.shards, load);

  const auto run = [&](double for_seconds) {
    const Nanos end = clock.now() + static_cast<std::int64_t>(for_seconds * kNanosPerSecond);
    while (clock.now() < end && generator.failed() == 0) {
      generator.fill(clock.now());
      process.turn();
      ring->turn();
    }
  };
  run(0.2);  // warm: pages touched, caches filled
  const auto stored_before = generator.stored();
  const auto journal_before = process.journal();
  generator.recording = true;
  const Nanos begin = clock.now();
  run(seconds);
  const double elapsed = static_cast<double>(clock.now() - begin) / kNanosPerSecond;
  const auto stored = generator.stored() - stored_before;
  const auto journal = process.journal();
  const auto blocks = journal.blocks - journal_before.blocks;
  const auto written = journal.bytes_written - journal_before.bytes_written;
  std::ranges::sort(generator.latencies);
  const auto percentile = [&](double p) {
    if (generator.latencies.empty()) return 0.0;
    const auto at =
        static_cast<std::size_t>(p * static_cast<double>(generator.latencies.size() - 1));
    return static_cast<double>(generator.latencies[at]) / 1e3;
  };
  while (generator.in_flight() > 0) {
    process.turn();
    ring->turn();
  }
  fmt::print(
      "{{\"shards\":{},\"record_bytes\":{},\"in_flight\":{},\"depth\":{},\"seconds\":{:.3f},"
      "\"records_per_second\":{:.0f},\"payload_mb_per_second\":{:.1f},"
      "\"written_mb_per_second\":{:.1f},\"blocks_per_second\":{:.0f},\"block_bytes\":{},"
      "\"ack_p50_us\":{:.0f},\"ack_p99_us\":{:.0f},\"failed\":{}}}\n",
      options.shards, load.record_bytes, load.in_flight, options.depth, elapsed,
      static_cast<double>(stored) / elapsed,
      static_cast<double>(stored) * load.record_bytes / elapsed / 1e6,
      static_cast<double>(written) / elapsed / 1e6, static_cast<double>(blocks) / elapsed,
      blocks == 0 ? 0 : written / blocks, percentile(0.5), percentile(0.99), generator.failed());
  return generator.failed() == 0 ? 0 : 1;
}
