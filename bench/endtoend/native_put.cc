// Puts to a running daemon over the native protocol by the C++ library, in a closed loop: as much as
// `buffered` bytes without a result. Afterwards everything is read back and counted.
//
//   native_put ENDPOINT STREAM [--record 1040] [--batch 65536] [--buffered 16777216] [--linger 2000]
//              [--seconds 10] [--explicit 0] [--read 1]
//
// Prints one JSON object: records and payload bytes a second over the measured time, and from `put` to the
// result, in microseconds, p50 and p99. Keys of 16 bytes, 4,096 of them.
#include "base/histogram.h"
#include "penstock/client.h"
#include "penstock/consumer.h"
#include "penstock/producer.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace penstock;
using SteadyClock = std::chrono::steady_clock;

struct Load {
  std::uint32_t record = 1040;  // key included
  std::uint32_t batch = 65'536;
  std::uint64_t buffered = 16 * kMiB;
  std::uint32_t linger = 2'000;
  std::uint32_t seconds = 10;
  bool explicit_hash = false;
  bool read = true;
};

std::uint64_t since(SteadyClock::time_point begin) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(SteadyClock::now() - begin).count());
}

Load load_of(int argc, char** argv) {
  Load load;
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto value = static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (name == "--record") load.record = value;
    if (name == "--batch") load.batch = value;
    if (name == "--buffered") load.buffered = value;
    if (name == "--linger") load.linger = value;
    if (name == "--seconds") load.seconds = value;
    if (name == "--explicit") load.explicit_hash = value != 0;
    if (name == "--read") load.read = value != 0;
  }
  return load;
}

// Records of the whole stream.
std::uint64_t read_all(Client& client, const std::string& stream, std::uint64_t expected) {
  std::atomic<std::uint64_t> found{0};
  ConsumerOptions options;
  options.on_records = [&](const Records& records) { found += records.records.size(); };
  const auto consumer = client.consumer(stream, options);
  const auto begin = SteadyClock::now();
  while (found < expected && since(begin) < 120ULL * 1'000'000'000ULL) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const Load load = load_of(argc, argv);
  ClientOptions at;
  at.endpoints = {argv[1]};
  const auto client = Client::connect(at);
  if (!client) {
    fmt::print(stderr, "native_put: {}\n", text(client.error().code));
    return 1;
  }
  ProducerOptions options;
  options.batch_bytes = load.batch;
  options.linger = std::chrono::microseconds(load.linger);
  options.buffered_bytes_max = load.buffered;
  const auto producer = (*client)->producer(argv[2], options);

  std::vector<std::string> keys;
  for (int i = 0; i < 4096; ++i) keys.push_back(fmt::format("vehicle-{:08}", i));
  std::string data(load.record - 16 + kMiB, 'x');
  std::mt19937_64 random(1);
  for (char& c : data) c = static_cast<char>(random());
  std::atomic<std::uint64_t> stored{0};
  std::atomic<std::uint64_t> failed{0};
  base::Histogram latency;  // the client's thread's, until all have a result
  std::uint64_t put = 0;
  const auto put_for = [&](std::chrono::seconds length, bool measured) {
    const auto end = SteadyClock::now() + length;
    for (std::uint64_t i = 0;; ++i, ++put) {
      const bool sampled = measured && i % 64 == 0;
      if (i % 256 == 0 && SteadyClock::now() >= end) return;
      const std::span<const char> bytes(data.data() + put * 64 % kMiB, load.record - 16);
      const auto begin = sampled ? SteadyClock::now() : SteadyClock::time_point{};
      std::optional<ExplicitHash> hash;
      if (load.explicit_hash) hash = ExplicitHash{put * 0x9E3779B97F4A7C15ULL, 0};
      const Result<> taken = producer->put(
          keys[put % keys.size()], std::as_bytes(bytes),
          [&, sampled, begin](const Result<Stored>& result) {
            ++(result ? stored : failed);
            if (sampled) latency.record(since(begin));
          },
          hash);
      if (!taken) ++failed;
    }
  };
  put_for(std::chrono::seconds(1), false);
  const std::uint64_t before = stored;
  const auto begin = SteadyClock::now();
  put_for(std::chrono::seconds(load.seconds), true);
  const std::uint64_t after = stored;
  const double seconds = static_cast<double>(since(begin)) / 1e9;
  producer->flush();
  const std::uint64_t read = load.read ? read_all(**client, argv[2], stored) : 0;
  const double rate = static_cast<double>(after - before) / seconds;
  fmt::print(
      "{{\"records_per_second\":{:.0f},\"bytes_per_second\":{:.0f},\"p50_us\":{:.0f},"
      "\"p99_us\":{:.0f},\"stored\":{},\"failed\":{},\"read\":{}}}\n",
      rate, rate * load.record, static_cast<double>(latency.quantile(0.5)) / 1e3,
      static_cast<double>(latency.quantile(0.99)) / 1e3, stored.load(), failed.load(), read);
  return failed == 0 && (!load.read || read == stored) ? 0 : 1;
}
