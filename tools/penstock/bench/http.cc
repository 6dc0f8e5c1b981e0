// penstock bench http: `put` over the Kinesis API.
#include "bench/put_scenario.h"
#include "bench/scenarios.h"

#include <memory>

namespace penstock::tools::bench {
namespace {

Ended http(const GlobalOptions& globals, const Options& options) {
  const auto plan = put_plan(options);
  if (!plan) return std::unexpected(plan.error());
  return run_put_scenario(globals, options, {"http", true, {{"", *plan}}, facts_of(*plan)});
}

}  // namespace

void add_bench_http(CLI::App& group, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = group.add_subcommand("http", "put records over the Kinesis API");
  add_target_options(*command, *options);
  add_load_options(*command, *options);
  add_stream_options(*command, *options);
  add_against_option(*command, *options);
  command->footer(R"(
PutRecords to the endpoint of the session (--endpoint, --dir), unless --target names another: one call
under way on each of --connections connections, with what lies ready, up to 500 records and --batch bytes.

Examples:
  penstock --dir ./data bench http
  penstock --dir ./data bench http --record 100 --connections 16
  penstock --dir ./data bench http --against http://127.0.0.1:4568 --durability media)");
  command->callback([&context, options] {
    context.action = [&context, options] { return http(context.globals, *options); };
  });
}

}  // namespace penstock::tools::bench
