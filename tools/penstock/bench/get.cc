// penstock bench get: how many records a second are read, from the horizon to the end.
#include "bench/consumers.h"
#include "bench/filled.h"
#include "bench/options.h"
#include "bench/others.h"
#include "bench/scenarios.h"
#include "words.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

namespace penstock::tools::bench {
namespace {

struct GetOptions : Options {
  std::string fill = "256MiB";
  std::uint32_t readers = 1;
  bool pull = false;
};

Attempt<Measured> measure_get(Target& target, const PutPlan& plan, std::uint64_t bytes,
                              const GetOptions& options, const Live& live) {
  auto filled = fill_stream(target, plan, bytes, live);
  if (!filled) return std::unexpected(std::move(filled.error()));
  LoadClock& clock = machine_clock();
  Consumers consumers(target,
                      {filled->stream.name(), From::kHorizon, options.pull, options.readers}, clock,
                      nullptr);
  const ServerCost before = target.cost();
  const Others others(target.processes());
  const Nanos begin = clock.now();
  if (auto opened = consumers.open(); !opened) return std::unexpected(std::move(opened.error()));
  const auto read = consumers.wait(filled->records, [&](std::uint64_t records) {
    live(format_count(records) + " records read");
  });
  const double seconds = static_cast<double>(clock.now() - begin) / 1e9;
  if (!read) return std::unexpected(read.error());
  Measured measured;
  measured.others = others.share();
  consumers.close();
  const ServerCost after = target.cost();
  const double records = static_cast<double>(filled->records) * options.readers;
  measured.figures["records_per_s"] = records / seconds;
  measured.figures["bytes_per_s"] = records / seconds * plan.load.record_bytes;
  if (before.cpu_seconds && after.cpu_seconds) {
    measured.figures["server_cpu_s_per_million_records"] =
        (*after.cpu_seconds - *before.cpu_seconds) / records * 1e6;
  }
  measured.findings = filled->findings;
  return measured;
}

Ended get(const GlobalOptions& globals, const GetOptions& options) {
  const auto plan = put_plan(options);
  if (!plan) return std::unexpected(plan.error());
  const auto bytes = fill_bytes(options.fill);
  if (!bytes) return std::unexpected(bytes.error());
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  const auto targets = open_targets(*session, options);
  if (!targets) return std::unexpected(targets.error());
  std::vector<Arm> arms;
  for (const auto& target : *targets) {
    arms.push_back({target->name(), [&](const Live& live) {
                      return measure_get(*target, *plan, *bytes, options, live);
                    }});
  }
  auto ended = run_rounds(rounds_plan(options, "get"), arms);
  if (!ended) return std::unexpected(std::move(ended.error()));
  return finish(globals, std::move(*ended), *targets,
                {{"record bytes", std::to_string(plan->load.record_bytes)},
                 {"batch bytes", std::to_string(plan->shape.batch_bytes)},
                 {"filled bytes", std::to_string(*bytes)},
                 {"shards", std::to_string(plan->shards)},
                 {"readers", std::to_string(options.readers)},
                 {"by", options.pull ? "pull" : "subscription, where there is one"}});
}

}  // namespace

void add_bench_get(CLI::App& group, Context& context) {
  auto options = std::make_shared<GetOptions>();
  CLI::App* command = group.add_subcommand("get", "read a stream from its horizon to its end");
  add_target_options(*command, *options);
  add_record_options(*command, *options);
  add_against_option(*command, *options);
  command->add_option("--fill", options->fill, "bytes of data that the stream is filled with")
      ->capture_default_str();
  command->add_option("--readers", options->readers, "readers at once, each of the whole stream")
      ->check(CLI::Range(1U, 1'000U))
      ->capture_default_str();
  command->add_flag("--pull", options->pull,
                    "native: ask again and again, instead of one subscription for each shard");
  command->footer(R"(
In each round a stream is made, filled, read back and judged as by `put`, and only then read by all readers
together, from the opening of the first until the last has every record. --hdr has nothing to log here.

Examples:
  penstock --dir ./data bench get
  penstock --dir ./data bench get --readers 4 --shards 4 --fill 1GiB
  penstock --dir ./data bench get --target https://127.0.0.1:4567)");
  command->callback([&context, options] {
    context.action = [&context, options] { return get(context.globals, *options); };
  });
}

}  // namespace penstock::tools::bench
