// penstock bench put: how many records a second are stored, how long that takes, and what it costs the server.
#include "bench/put_scenario.h"
#include "bench/scenarios.h"

#include <memory>

namespace penstock::tools::bench {
namespace {

Ended put(const GlobalOptions& globals, const Options& options) {
  const auto plan = put_plan(options);
  if (!plan) return std::unexpected(plan.error());
  return run_put_scenario(globals, options, {"put", false, {{"", *plan}}, facts_of(*plan)});
}

}  // namespace

void add_bench_put(CLI::App& group, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = group.add_subcommand("put", "put records, and read them back");
  add_target_options(*command, *options);
  add_load_options(*command, *options);
  add_stream_options(*command, *options);
  add_against_option(*command, *options);
  command->add_flag("--idempotence,!--no-idempotence", options->idempotent,
                    "native: each record once (default), or at least once, and the server keeps "
                    "nothing of the producer");
  command->footer(R"(
In each round a stream is made, loaded, read back and deleted. Every record names its run, producer and
number and has a checksum: what was acknowledged must be there, once over the native protocol and at least
once elsewhere (and with --no-idempotence), unchanged, and those of a key in order. Exit code 8 when it is not.

A closed loop (--in-flight) shows the most that is stored. How long an answer takes under a load that does
not wait for answers only an open loop shows (--rate): its records are due at times set before.

Two targets are compared only if an acknowledgement means the same at both (durability class; exit code 6).

Examples:
  penstock --dir ./data bench put
  penstock --dir ./data bench put --record 100 --producers 2 --shards 4 --explicit-hash
  penstock --dir ./data bench put --rate 50k --hdr put.hlog -o json >put.json
  penstock --dir ./data bench put --against redis://127.0.0.1:6379)");
  command->callback([&context, options] {
    context.action = [&context, options] { return put(context.globals, *options); };
  });
}

}  // namespace penstock::tools::bench
