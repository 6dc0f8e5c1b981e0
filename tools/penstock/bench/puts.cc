#include "bench/puts.h"

#include "bench/others.h"
#include "bench/verify.h"
#include "words.h"

#include <fmt/format.h>

#include <atomic>
#include <random>
#include <utility>

namespace penstock::tools::bench {
namespace {

void remove(Target& target, const std::string& stream) {
  if (const auto removed = target.remove_stream(stream); !removed) {
    fmt::print(stderr, "{}", removed.error().as_text());
  }
}

// What the server spent for each record that it acknowledged, warm-up included.
void add_cost(Figures& figures, const ServerCost& before, const ServerCost& after,
              const LoadFigures& load, std::uint32_t record_bytes) {
  const auto records = static_cast<double>(load.stored_total);
  if (before.cpu_seconds && after.cpu_seconds) {
    figures["server_cpu_s_per_million_records"] =
        (*after.cpu_seconds - *before.cpu_seconds) / records * 1e6;
  }
  if (before.written_bytes && after.written_bytes && *after.written_bytes > *before.written_bytes) {
    figures["written_bytes_per_payload_byte"] =
        (*after.written_bytes - *before.written_bytes) / (records * record_bytes);
  }
}

}  // namespace

ScratchStream::ScratchStream(ScratchStream&& other) noexcept
    : target_(std::exchange(other.target_, nullptr)),
      name_(std::move(other.name_)),
      undoing_(std::move(other.undoing_)) {}

ScratchStream::~ScratchStream() {
  if (target_ == nullptr) return;
  const Uninterrupted removing;
  remove(*target_, name_);
}

Attempt<ScratchStream> ScratchStream::make(Target& target, const std::string& given,
                                           std::uint32_t run, std::uint32_t shards) {
  if (!given.empty()) return ScratchStream(nullptr, given);
  ScratchStream stream(&target, fmt::format("bench-{:08x}", run));
  stream.undoing_ =
      std::make_unique<Undoing>(fmt::format("stream '{}'", stream.name_),
                                [&target, name = stream.name_] { remove(target, name); });
  const Uninterrupted making;
  if (auto made = target.make_stream(stream.name_, shards); !made) {
    static_cast<void>(target.remove_stream(stream.name_));  // it may be there all the same
    stream.target_ = nullptr;
    return std::unexpected(std::move(made.error()));
  }
  return stream;
}

std::uint32_t new_run_id() { return std::random_device{}(); }

void add_latencies(Figures& figures, const HdrHistogram& latencies) {
  if (latencies.count() == 0) return;
  const auto micros = [&](double q) { return static_cast<double>(latencies.quantile(q)) / 1e3; };
  figures["p50_us"] = micros(0.5);
  figures["p99_us"] = micros(0.99);
  figures["p999_us"] = micros(0.999);
  figures["max_us"] = static_cast<double>(latencies.max()) / 1e3;
}

void add_problems(std::vector<std::string>& problems, const LoadFigures& load) {
  if (load.behind() > kBehindMax) {
    problems.push_back(
        fmt::format("the generator fell behind: {:.1f} % of what was due never left; the rate is "
                    "above what the "
                    "two can do",
                    load.behind() * 100));
  }
  if (load.refused + load.unknown > 0) {
    problems.push_back(fmt::format("{} records were refused, the outcome of {} is unknown{}",
                                   format_count(load.refused), format_count(load.unknown),
                                   load.failure && !load.failure->lines.empty()
                                       ? ": " + load.failure->lines.front().second
                                       : ""));
  }
}

Facts facts_of(const PutPlan& plan) {
  const LoadPlan& load = plan.load;
  Facts facts;
  facts.emplace_back("loop", load.rate > 0 ? "open" : "closed");
  if (load.rate > 0) {
    facts.emplace_back("rate", fmt::format("{} records/s", load.rate));
  } else {
    facts.emplace_back("in flight", std::to_string(load.in_flight));
  }
  facts.emplace_back("record bytes", std::to_string(load.record_bytes));
  facts.emplace_back("batch bytes", std::to_string(plan.shape.batch_bytes));
  facts.emplace_back("linger us", std::to_string(plan.shape.linger_micros));
  facts.emplace_back("producers", std::to_string(load.producers));
  facts.emplace_back("connections", std::to_string(plan.shape.connections));
  facts.emplace_back("keys", std::to_string(std::uint64_t{load.keys} * load.producers));
  facts.emplace_back("explicit hash", load.explicit_hash ? "yes" : "no");
  facts.emplace_back("shards", plan.stream.empty() ? std::to_string(plan.shards) : "as they are");
  facts.emplace_back("seconds", fmt::format("{}", load.seconds));
  facts.emplace_back("warm-up seconds", fmt::format("{}", load.warmup_seconds));
  facts.emplace_back("latency of", times_every_record(load)
                                       ? "every record"
                                       : fmt::format("every {}th record", Track::kStride));
  return facts;
}

Attempt<Findings> read_back(Target& target, const std::string& stream, bool alone, Load& load,
                            const Live& live) {
  Verifier verifier({.run = load.run_id(),
                     .record_bytes = load.plan().record_bytes,
                     .keys = load.plan().keys,
                     .exactly_once = target.exactly_once(),
                     .ordered = target.keeps_order(),
                     .alone = alone},
                    load.tracks());
  std::atomic<std::uint64_t> read{0};
  const auto done = target.read_all(stream, [&](std::span<const Incoming> records) {
    verifier.read(records);
    const std::uint64_t sum = read += records.size();
    live(format_count(sum) + " records read back");
  });
  if (!done) return std::unexpected(done.error());
  return verifier.judge();
}

Attempt<Measured> measure_put(Target& target, const PutPlan& plan, const Live& live) {
  const std::uint32_t run = new_run_id();
  const auto stream = ScratchStream::make(target, plan.stream, run, plan.shards);
  if (!stream) return std::unexpected(stream.error());
  Load load(plan.load, run, machine_clock());
  const ServerCost before = target.cost();
  const Others others(target.processes());
  auto figures = load.run(
      [&](Track& track) { return target.writer(stream->name(), plan.shape, track); },
      [&](double seconds, std::uint64_t stored) {
        live(fmt::format("{:.1f} s, {} records acknowledged", seconds, format_count(stored)));
      });
  if (!figures) return std::unexpected(std::move(figures.error()));
  Measured measured;
  measured.others = others.share();
  add_cost(measured.figures, before, target.cost(), *figures, plan.load.record_bytes);
  const double rate = static_cast<double>(figures->stored) / figures->seconds;
  measured.figures["records_per_s"] = rate;
  measured.figures["bytes_per_s"] = rate * plan.load.record_bytes;
  add_latencies(measured.figures, figures->latencies);
  add_problems(measured.problems, *figures);
  if (plan.verify) {
    auto findings = read_back(target, stream->name(), stream->own(), load, live);
    if (!findings) return std::unexpected(std::move(findings.error()));
    measured.findings = *findings;
  }
  measured.latencies = std::move(figures->latencies);
  return measured;
}

}  // namespace penstock::tools::bench
