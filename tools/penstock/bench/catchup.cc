// penstock bench catchup: what readers that come from far behind do to a producer's latency.
#include "bench/consumers.h"
#include "bench/filled.h"
#include "bench/options.h"
#include "bench/others.h"
#include "bench/scenarios.h"
#include "words.h"

#include <fmt/format.h>

#include <memory>
#include <thread>
#include <utility>

namespace penstock::tools::bench {
namespace {

constexpr std::chrono::milliseconds kLookAgain{2};

struct CatchupOptions : Options {
  std::string fill = "256MiB";
  std::uint32_t readers = 1;
};

// Readers that begin anew whenever they have read what was there at first, for as long as it lives.
class Rereading {
 public:
  Rereading(Consumers& consumers, std::uint32_t readers, std::uint64_t records)
      : thread_([&consumers, readers, records, this](const std::stop_token& stop) {
          while (!stop.stop_requested() && ended_) {
            std::this_thread::sleep_for(kLookAgain);
            for (std::uint32_t i = 0; i < readers && ended_; ++i) {
              if (consumers.records(i) < records) continue;
              ended_ = consumers.open_again(i);
            }
            if (auto stopped = consumers.problem()) ended_ = std::unexpected(std::move(*stopped));
          }
        }) {}
  // Ends it.
  Ended stop() {
    thread_.request_stop();
    thread_.join();
    return ended_;
  }

 private:
  Ended ended_ = Exit::kDone;
  std::jthread thread_;  // last: it uses the others
};

Attempt<Measured> measure_catchup(Target& target, const PutPlan& plan, std::uint64_t bytes,
                                  std::uint32_t readers, const Live& live) {
  auto filled = fill_stream(target, plan, bytes, live);
  if (!filled) return std::unexpected(std::move(filled.error()));
  Load load(plan.load, new_run_id(), machine_clock());
  Consumers consumers(target, {filled->stream.name(), From::kHorizon, false, readers},
                      machine_clock(), &load);
  if (auto opened = consumers.open(); !opened) return std::unexpected(std::move(opened.error()));
  const Others others(target.processes());
  Rereading rereading(consumers, readers, filled->records);
  const auto figures = load.run(
      [&](Track& track) { return target.writer(filled->stream.name(), plan.shape, track); },
      [&](double seconds, std::uint64_t stored) {
        live(fmt::format("{:.1f} s, {} records acknowledged", seconds, format_count(stored)));
      });
  const Ended read = rereading.stop();
  if (!figures) return std::unexpected(figures.error());
  if (!read) return std::unexpected(read.error());
  Measured measured;
  measured.others = others.share();
  consumers.close();
  measured.figures["records_per_s"] = static_cast<double>(figures->stored) / figures->seconds;
  add_latencies(measured.figures, figures->latencies);
  if (readers > 0) {
    measured.figures["read_bytes_per_s"] =
        static_cast<double>(consumers.bytes_in_window()) / plan.load.seconds;
  }
  add_problems(measured.problems, *figures);
  measured.findings = filled->findings;
  // Among what the stream was filled with: that is no error here.
  auto findings = read_back(target, filled->stream.name(), false, load, live);
  if (!findings) return std::unexpected(std::move(findings.error()));
  findings->alone = true;
  findings->foreign = 0;
  measured.findings->add(*findings);
  measured.latencies = figures->latencies;
  return measured;
}

Ended catchup(const GlobalOptions& globals, const CatchupOptions& options) {
  const auto plan = put_plan(options);
  if (!plan) return std::unexpected(plan.error());
  const auto bytes = fill_bytes(options.fill);
  if (!bytes) return std::unexpected(bytes.error());
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  const auto targets = open_targets(*session, options);
  if (!targets) return std::unexpected(targets.error());
  std::vector<Arm> arms;
  for (const std::uint32_t readers : {0U, options.readers}) {
    arms.push_back(
        {readers == 0 ? "producer alone" : fmt::format("with {} from the horizon", readers),
         [&, readers](const Live& live) {
           return measure_catchup(*targets->front(), *plan, *bytes, readers, live);
         }});
  }
  auto ended = run_rounds(rounds_plan(options, "catchup"), arms);
  if (!ended) return std::unexpected(std::move(ended.error()));
  Facts load = facts_of(*plan);
  load.emplace_back("filled bytes", std::to_string(*bytes));
  load.emplace_back("readers", std::to_string(options.readers));
  return finish(globals, std::move(*ended), *targets, std::move(load));
}

}  // namespace

void add_bench_catchup(CLI::App& group, Context& context) {
  auto options = std::make_shared<CatchupOptions>();
  options->rate = "10k";
  CLI::App* command = group.add_subcommand("catchup", "put while readers come from the horizon");
  add_target_options(*command, *options);
  add_load_options(*command, *options);
  command
      ->add_option("--fill", options->fill, "bytes of data that the stream is filled with before")
      ->capture_default_str();
  command->add_option("--readers", options->readers, "readers, each of the whole stream")
      ->check(CLI::Range(1U, 1'000U))
      ->capture_default_str();
  command->footer(R"(
Two arms, both with an open loop at --rate into a stream that was filled and read back before: the producer
alone, and with readers that begin at the horizon, and there again when they have read what was filled.
read_bytes_per_s is what all readers got together.

Examples:
  penstock --dir ./data bench catchup
  penstock --dir ./data bench catchup --rate 50k --readers 4 --fill 1GiB)");
  command->callback([&context, options] {
    context.action = [&context, options] { return catchup(context.globals, *options); };
  });
}

}  // namespace penstock::tools::bench
