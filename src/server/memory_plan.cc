#include "server/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace penstock::server {

namespace {
constexpr std::uint64_t kShardBytes = 1 * kKiB;  // measured: bench/results, memory of an idle shard
constexpr std::uint64_t kConnectionBytes =
    2 * kKiB;  // head and state; bodies have their own budget
constexpr std::uint64_t kReadBuffers = 8 * 256 * kKiB;
constexpr std::uint64_t kParcels = 8192 * 96;
}  // namespace

std::uint64_t MemoryPlan::total() const {
  std::uint64_t sum = 0;
  for (const Term& term : terms) sum += term.total();
  return sum;
}

std::string MemoryPlan::text() const {
  std::string out;
  for (const Term& term : terms) {
    out += fmt::format("  {:>8.1f} MiB  {} ({} x {:.1f} KiB)\n",
                       static_cast<double>(term.total()) / kMiB, term.name, term.count,
                       static_cast<double>(term.each) / kKiB);
  }
  out += fmt::format("  {:>8.1f} MiB  in all\n", static_cast<double>(total()) / kMiB);
  return out;
}

std::expected<MemoryPlan, std::string> plan_memory(const Config& config, std::uint16_t cells,
                                                   std::uint64_t slot_bytes) {
  const std::uint64_t cores = config.data_cpus.size();
  MemoryPlan plan;
  // One entry per 512 bytes of a slot, 48 bytes each: what the open segment's index may need.
  const std::uint64_t open_index = slot_bytes / 512 * 48;
  plan.index_cache_bytes = 4 * kMiB;
  const auto fill = [&] {
    plan.terms = {
        {"blocks in flight and tail window, a cell", plan.tail_bytes, cells},
        {"index of the open segment, a cell", open_index, cells},
        {"index pages, a cell", plan.index_cache_bytes, cells},
        {"read buffers, a cell", kReadBuffers, cells},
        {"HTTP bodies, a core", plan.body_bytes, cores},
        {"connections, a core", kConnectionBytes * config.connections_max, cores},
        {"pieces of puts under way, a core", kParcels, cores},
        {"shards", kShardBytes, config.shards_max},
    };
  };
  // What is left over after the fixed terms: half to the tail windows, half to the bodies.
  fill();
  const std::uint64_t fixed = plan.total();
  constexpr std::uint64_t kTailMin = 40 * kMiB;  // two largest blocks and their padding
  constexpr std::uint64_t kBodyMin = 32 * kMiB;  // two largest bodies
  const std::uint64_t least = fixed + cells * kTailMin + cores * kBodyMin;
  if (config.memory_budget < least) {
    return std::unexpected(fmt::format("[memory] budget is {} MiB; this core plan needs {} MiB",
                                       config.memory_budget / kMiB, div_ceil(least, kMiB)));
  }
  const std::uint64_t rest = config.memory_budget - fixed;
  plan.tail_bytes =
      std::clamp(round_down(rest / 2 / cells, kMiB), kTailMin, std::uint64_t{1} * kGiB);
  plan.body_bytes = round_down((rest - cells * plan.tail_bytes) / cores, kMiB);
  fill();
  return plan;
}

}  // namespace penstock::server
