#include "bench/disk_report.h"
#include "bench/disk_writes.h"
#include "bench/hdr.h"
#include "bench/others.h"
#include "bench/scenarios.h"
#include "penstock/units.h"
#include "progress_line.h"
#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>

namespace penstock::tools::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kFileMin = 16 * kMiB;
constexpr std::uint64_t kFileMax = 64 * kGiB;
constexpr double kNanosPerMicro = 1e3;

struct Options {
  std::string directory;
  double seconds = 0.5;
  std::uint32_t rounds = kRoundsMin;
  std::string size = "256MiB";
  std::string idle = "wait";
  std::string hdr;
};

Attempt<std::uint64_t> file_size(const std::string& text) {
  const auto bytes = parse_bytes(text);
  if (bytes && *bytes >= kFileMin && *bytes <= kFileMax) return *bytes / kBlockMax * kBlockMax;
  return std::unexpected(
      usage_problem("--size is none").found(text).needed("16MiB to 64GiB").mend("--size 256MiB"));
}

Figures figures_of(const DiskFigures& measured, DiskShape shape) {
  const auto micros = [&](double q) {
    return static_cast<double>(measured.latencies.quantile(q)) / kNanosPerMicro;
  };
  const double per_s = static_cast<double>(measured.writes) / measured.seconds;
  return {{"writes_per_s", per_s},
          {"bytes_per_s", per_s * shape.block},
          {"p50_us", micros(0.5)},
          {"p99_us", micros(0.99)},
          {"max_us", micros(1)}};
}

class DiskBench {
 public:
  DiskBench(DiskWrites writes, const Options& options)
      : writes_(std::move(writes)), options_(options) {}

  Attempt<Result> run();

 private:
  void describe();
  Attempt<void> prepare();
  Attempt<Round> round(std::uint32_t number);

  DiskWrites writes_;
  const Options& options_;
  std::vector<DiskShape> shapes_ = disk_shapes();
  Result result_;
  Clock::time_point begin_ = Clock::now();
  std::optional<HdrLog> log_;
  ProgressLine line_;
};

void DiskBench::describe() {
  result_.scenario = "disk";
  result_.manifest = manifest_of_machine(options_.directory);
  result_.manifest.durability = writes_.info().durable ? kDurableMedia : kDurableNone;
  result_.load = {{"writes", "O_DIRECT and O_DSYNC, overwriting"},
                  {"file bytes", std::to_string(writes_.file_bytes())},
                  {"seconds", fmt::format("{}", options_.seconds)},
                  {"idle", options_.idle}};
  for (const DiskShape shape : shapes_) result_.arms.push_back(name_of(shape));
}

Attempt<void> DiskBench::prepare() {
  if (!options_.hdr.empty()) {
    const auto epoch = std::chrono::system_clock::now().time_since_epoch();
    auto log = HdrLog::create(options_.hdr, std::chrono::duration<double>(epoch).count());
    if (!log) return std::unexpected(std::move(log.error()));
    log_ = std::move(*log);
  }
  begin_ = Clock::now();
  return writes_.prepare([this](std::uint64_t bytes) {
    line_.show(fmt::format("writing the file: {} of {}", format_bytes(static_cast<double>(bytes)),
                           format_bytes(static_cast<double>(writes_.file_bytes()))));
  });
}

// Rounds go up and down the shapes in turn, so that what drifts meets all of them alike.
Attempt<Round> DiskBench::round(std::uint32_t number) {
  Round round;
  const Others others;
  const auto length = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(options_.seconds));
  const DiskIdle idle = options_.idle == "poll" ? DiskIdle::kPoll : DiskIdle::kWait;
  for (std::size_t i = 0; i < shapes_.size(); ++i) {
    const DiskShape shape = shapes_[number % 2 == 0 ? i : shapes_.size() - 1 - i];
    line_.show(fmt::format("round {} of {}: {}", number + 1, options_.rounds, name_of(shape)));
    const std::chrono::duration<double> start = Clock::now() - begin_;
    const auto measured = writes_.measure(shape, length, idle);
    if (!measured) return std::unexpected(measured.error());
    round.arms[name_of(shape)] = figures_of(*measured, shape);
    if (!log_) continue;
    const auto logged =
        log_->append(name_of(shape), start.count(), measured->seconds, measured->latencies);
    if (!logged) return std::unexpected(logged.error());
  }
  round.others = others.share();
  round.noisy = round.others > kOthersMax;
  return round;
}

Attempt<Result> DiskBench::run() {
  describe();
  if (auto ready = prepare(); !ready) return std::unexpected(std::move(ready.error()));
  for (std::uint32_t i = 0; i < options_.rounds; ++i) {
    auto measured = round(i);
    if (!measured) return std::unexpected(std::move(measured.error()));
    result_.rounds.push_back(std::move(*measured));
  }
  line_.clear();
  result_.drop_noisy();
  if (const auto advice = advise(result_)) add_facts(*advice, result_.manifest);
  return std::move(result_);
}

std::string text_of(const Result& result) {
  std::string text =
      fmt::format("{:<12}{} on {}, {} round{}{}\n", "bench", result.scenario,
                  *result.manifest.find("file system"), result.rounds.size(),
                  result.rounds.size() == 1 ? "" : "s", result.quiet() ? "" : ", noisy");
  text += fmt::format("{:<12}{}\n", "durability", result.manifest.durability);
  text += fmt::format("{:<12}{}\n", "load", as_text(result.load));
  text += fmt::format("{:<12}{}\n", "machine", as_text(result.manifest.facts));
  text += fmt::format("{:<12}{}\n\n{}", "dropped", result.dropped, disk_tables(result));
  if (const auto advice = advise(result)) text += "\n" + as_text(*advice) + "\n";
  return text;
}

Ended run_disk(const GlobalOptions& globals, const Options& options) {
  const auto size = file_size(options.size);
  if (!size) return std::unexpected(size.error());
  auto writes = DiskWrites::open(options.directory, *size);
  if (!writes) return std::unexpected(std::move(writes.error()));
  const auto result = DiskBench(std::move(*writes), options).run();
  if (!result) return std::unexpected(result.error());
  fmt::print("{}", globals.json() ? result->as_json() : text_of(*result));
  return Exit::kDone;
}

}  // namespace

void add_bench_disk(CLI::App& bench, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = bench.add_subcommand("disk", "durable writes, as a journal makes them");
  command->add_option("dir", options->directory, "a directory on the disk")->required();
  command->add_option("--seconds", options->seconds, "of each size and number in flight")
      ->check(CLI::Range(0.001, 3'600.0))
      ->capture_default_str();
  command->add_option("--rounds", options->rounds, "of all sizes; 7 or more show something")
      ->check(CLI::Range(1U, 1'000U))
      ->capture_default_str();
  command->add_option("--size", options->size, "of the file that is written over and over")
      ->capture_default_str();
  command
      ->add_option(
          "--idle", options->idle,
          "what is done until a write is complete, as [cores] idle of penstockd: wait or poll")
      ->check(CLI::IsMember({"wait", "poll"}))
      ->capture_default_str();
  command->add_option("--hdr", options->hdr, "file for the latencies, as a HdrHistogram log");
  command->footer(R"(
Writes blocks of 4 KiB to 1 MiB, 1 to 8 in flight, to a file that is gone afterwards, however this
ends. The default takes a little over a minute.

Examples:
  penstock bench disk /var/lib/penstock
  penstock bench disk /var/lib/penstock --seconds 2 -o json >disk.json)");
  command->callback([&context, options] {
    context.action = [&context, options] { return run_disk(context.globals, *options); };
  });
}

}  // namespace penstock::tools::bench
