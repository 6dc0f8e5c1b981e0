// penstock bench sizes: the same load with short and with long records.
#include "bench/put_scenario.h"
#include "bench/scenarios.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace penstock::tools::bench {
namespace {

struct SizesOptions : Options {
  std::vector<std::string> sizes = {"100", "1KiB", "10KiB", "100KiB"};
};

Ended sizes(const GlobalOptions& globals, const SizesOptions& options) {
  PutScenario scenario{"sizes", false, {}, {}};
  std::string all;
  for (const std::string& size : options.sizes) {
    Options one = options;
    one.record = size;
    const auto plan = put_plan(one);
    if (!plan) return std::unexpected(plan.error());
    scenario.variants.push_back({fmt::format("{} B", plan->load.record_bytes), *plan});
    all += fmt::format("{}{}", all.empty() ? "" : ", ", plan->load.record_bytes);
    scenario.load = facts_of(*plan);
  }
  for (auto& [name, value] : scenario.load) {
    if (name == "record bytes") value = all;
    if (name == "in flight" && options.in_flight == 0) value = "16 MiB of records";
  }
  return run_put_scenario(globals, options, scenario);
}

}  // namespace

void add_bench_sizes(CLI::App& group, Context& context) {
  auto options = std::make_shared<SizesOptions>();
  CLI::App* command = group.add_subcommand("sizes", "the same load with records of several sizes");
  add_target_options(*command, *options);
  add_load_options(*command, *options);
  add_verify_option(*command, *options);
  command->add_option("--sizes", options->sizes, "bytes of a record's data, an arm each")
      ->delimiter(',')
      ->capture_default_str();
  command->footer(R"(
An arm for each size; --record is not looked at. Ratios are to the first size.

Examples:
  penstock --dir ./data bench sizes
  penstock --dir ./data bench sizes --sizes 100,1KiB,1MiB --batch 1MiB)");
  command->callback([&context, options] {
    context.action = [&context, options] { return sizes(context.globals, *options); };
  });
}

}  // namespace penstock::tools::bench
