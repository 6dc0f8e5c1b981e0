#include "bench/scenarios.h"
#include "command.h"

namespace penstock::tools {

void add_bench(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("bench", "measure a disk or a server, and compare results");
  group->require_subcommand(1);
  group->footer(R"(
Figures are medians of interleaved rounds with their 95 % bootstrap interval. An interval wider than
± 10 %, fewer than 7 rounds, or a machine that was never quiet: inconclusive.

SIGINT and SIGTERM end a run with 130 and 143, when the stream of its round (bench-…) is removed, or after 10 s;
once more ends it at once.

Examples:
  penstock bench disk /var/lib/penstock -o json >disk.json
  penstock --dir ./data bench put
  penstock --dir ./data bench put --against redis://127.0.0.1:6379)");
  bench::add_bench_disk(*group, context);
  bench::add_bench_put(*group, context);
  bench::add_bench_get(*group, context);
  bench::add_bench_fanout(*group, context);
  bench::add_bench_catchup(*group, context);
  bench::add_bench_shards(*group, context);
  bench::add_bench_sizes(*group, context);
  bench::add_bench_http(*group, context);
  bench::add_bench_compare(*group, context);
}

}  // namespace penstock::tools
