// The commands below `penstock bench`.
//
// Shape      one `add_bench_…` per file
#pragma once

#include "command.h"

#include <CLI/CLI.hpp>

namespace penstock::tools::bench {

void add_bench_catchup(CLI::App& bench, Context& context);
void add_bench_compare(CLI::App& bench, Context& context);
void add_bench_disk(CLI::App& bench, Context& context);
void add_bench_fanout(CLI::App& bench, Context& context);
void add_bench_get(CLI::App& bench, Context& context);
void add_bench_http(CLI::App& bench, Context& context);
void add_bench_put(CLI::App& bench, Context& context);
void add_bench_shards(CLI::App& bench, Context& context);
void add_bench_sizes(CLI::App& bench, Context& context);

}  // namespace penstock::tools::bench
