#include "bench/filled.h"

#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace penstock::tools::bench {
namespace {

constexpr double kFillSecondsMax = 3'600;

}  // namespace

Attempt<std::uint64_t> fill_bytes(const std::string& text) {
  const auto bytes = parse_bytes(text);
  if (bytes && *bytes > 0) return *bytes;
  return std::unexpected(
      usage_problem("--fill is no size").found(text).needed("bytes of data: 64MiB, 1GB"));
}

Attempt<Filled> fill_stream(Target& target, const PutPlan& plan, std::uint64_t bytes,
                            const Live& live) {
  LoadPlan filling = plan.load;
  filling.rate = 0;
  filling.warmup_seconds = 0;
  filling.seconds = kFillSecondsMax;
  filling.records_max = std::max<std::uint64_t>(filling.producers, bytes / filling.record_bytes);
  const std::uint32_t run = new_run_id();
  auto stream = ScratchStream::make(target, "", run, plan.shards);
  if (!stream) return std::unexpected(std::move(stream.error()));
  Load load(filling, run, machine_clock());
  const auto figures =
      load.run([&](Track& track) { return target.writer(stream->name(), plan.shape, track); },
               [&](double, std::uint64_t stored) {
                 live(fmt::format("filling, {} records", format_count(stored)));
               });
  if (!figures) return std::unexpected(figures.error());
  auto findings = read_back(target, stream->name(), true, load, live);
  if (!findings) return std::unexpected(std::move(findings.error()));
  return Filled{std::move(*stream), findings->read, *findings};
}

}  // namespace penstock::tools::bench
