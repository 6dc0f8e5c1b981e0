// penstock bench fanout: what consumers at the end of a stream cost its producer, and how soon they have a record.
#include "bench/consumers.h"
#include "bench/options.h"
#include "bench/others.h"
#include "bench/scenarios.h"
#include "words.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace penstock::tools::bench {
namespace {

struct FanoutOptions : Options {
  std::vector<std::uint32_t> consumers = {0, 1, 5, 20};
};

Attempt<Measured> measure_fanout(Target& target, const PutPlan& plan, std::uint32_t count,
                                 const Live& live) {
  const std::uint32_t run = new_run_id();
  const auto stream = ScratchStream::make(target, "", run, plan.shards);
  if (!stream) return std::unexpected(stream.error());
  Load load(plan.load, run, machine_clock());
  Consumers consumers(target, {stream->name(), From::kHorizon, false, count}, machine_clock(),
                      &load);
  if (auto opened = consumers.open(); !opened) return std::unexpected(std::move(opened.error()));
  const Others others(target.processes());
  const auto figures = load.run(
      [&](Track& track) { return target.writer(stream->name(), plan.shape, track); },
      [&](double seconds, std::uint64_t stored) {
        live(fmt::format("{:.1f} s, {} records acknowledged", seconds, format_count(stored)));
      });
  if (!figures) return std::unexpected(figures.error());
  Measured measured;
  measured.others = others.share();
  if (count > 0) {
    const auto delivered = consumers.wait(figures->stored_total, [&](std::uint64_t records) {
      live(format_count(records) + " records delivered");
    });
    if (!delivered) return std::unexpected(delivered.error());
  }
  consumers.close();
  const double rate = static_cast<double>(figures->stored) / figures->seconds;
  measured.figures["records_per_s"] = rate;
  measured.figures["bytes_per_s"] = rate * plan.load.record_bytes;
  measured.figures["p50_us"] = static_cast<double>(figures->latencies.quantile(0.5)) / 1e3;
  measured.figures["p99_us"] = static_cast<double>(figures->latencies.quantile(0.99)) / 1e3;
  add_problems(measured.problems, *figures);
  if (count > 0) {
    HdrHistogram latencies = consumers.latencies();
    measured.figures["delivered_bytes_per_s"] =
        static_cast<double>(consumers.bytes_in_window()) / plan.load.seconds;
    measured.figures["delivered_p50_us"] = static_cast<double>(latencies.quantile(0.5)) / 1e3;
    measured.figures["delivered_p99_us"] = static_cast<double>(latencies.quantile(0.99)) / 1e3;
    measured.latencies = std::move(latencies);
  }
  if (plan.verify) {
    auto findings = read_back(target, stream->name(), true, load, live);
    if (!findings) return std::unexpected(std::move(findings.error()));
    measured.findings = *findings;
  }
  return measured;
}

Ended fanout(const GlobalOptions& globals, const FanoutOptions& options) {
  const auto plan = put_plan(options);
  if (!plan) return std::unexpected(plan.error());
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  const auto targets = open_targets(*session, options);
  if (!targets) return std::unexpected(targets.error());
  std::vector<Arm> arms;
  std::string all;
  for (const std::uint32_t count : options.consumers) {
    arms.push_back(
        {fmt::format("{} consumer{}", count, count == 1 ? "" : "s"), [&, count](const Live& live) {
           return measure_fanout(*targets->front(), *plan, count, live);
         }});
    all += fmt::format("{}{}", all.empty() ? "" : ", ", count);
  }
  auto ended = run_rounds(rounds_plan(options, "fanout"), arms);
  if (!ended) return std::unexpected(std::move(ended.error()));
  Facts load = facts_of(*plan);
  load.emplace_back("consumers", all);
  return finish(globals, std::move(*ended), *targets, std::move(load));
}

}  // namespace

void add_bench_fanout(CLI::App& group, Context& context) {
  auto options = std::make_shared<FanoutOptions>();
  CLI::App* command =
      group.add_subcommand("fanout", "put while consumers read at the end of the stream");
  add_target_options(*command, *options);
  add_load_options(*command, *options);
  add_verify_option(*command, *options);
  command->add_option("--consumers", options->consumers, "consumers of every shard, an arm each")
      ->delimiter(',')
      ->check(CLI::Range(0U, 1'000U))
      ->capture_default_str();
  command->footer(R"(
An arm for each number of consumers; each consumer reads all shards, over a connection of its own. Figures
besides those of the producer: delivered_bytes_per_s, of all consumers together, and delivered_p50_us and
delivered_p99_us, from when a record was put (--rate: due) until a consumer has it. --hdr logs the latter.

Examples:
  penstock --dir ./data bench fanout
  penstock --dir ./data bench fanout --rate 20k --consumers 0,1,10)");
  command->callback([&context, options] {
    context.action = [&context, options] { return fanout(context.globals, *options); };
  });
}

}  // namespace penstock::tools::bench
