// penstock bench shards: the same load into one shard and into many.
#include "bench/put_scenario.h"
#include "bench/scenarios.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace penstock::tools::bench {
namespace {

Ended shards(const GlobalOptions& globals, const Options& options) {
  const auto plan = put_plan(options);
  if (!plan) return std::unexpected(plan.error());
  PutScenario scenario{"shards", false, {}, facts_of(*plan)};
  for (const std::uint32_t count : {1U, options.shards}) {
    PutVariant variant{fmt::format("{} shard{}", count, count == 1 ? "" : "s"), *plan};
    variant.plan.shards = count;
    scenario.variants.push_back(std::move(variant));
    if (options.shards == 1) break;
  }
  return run_put_scenario(globals, options, scenario);
}

}  // namespace

void add_bench_shards(CLI::App& group, Context& context) {
  auto options = std::make_shared<Options>();
  options->shards = 64;
  CLI::App* command = group.add_subcommand("shards", "the same load into 1 and into N shards");
  add_target_options(*command, *options);
  add_load_options(*command, *options);
  add_verify_option(*command, *options);
  command->footer(R"(
Two arms, one with a stream of one shard and one with --shards. A batch of a producer goes to one shard: with
many, batches are smaller, or wait longer (--linger) to become full.

Examples:
  penstock --dir ./data bench shards
  penstock --dir ./data bench shards --shards 1024 --keys 10000 --record 100)");
  command->callback([&context, options] {
    context.action = [&context, options] { return shards(context.globals, *options); };
  });
}

}  // namespace penstock::tools::bench
