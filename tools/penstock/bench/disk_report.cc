#include "bench/disk_report.h"

#include "table.h"
#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace penstock::tools::bench {
namespace {

constexpr std::array<std::uint32_t, 5> kBlocks = {4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20};
constexpr std::array<std::uint32_t, 4> kDepths = {1, 2, 4, 8};
// What is missing then is less than what an interval may be wide.
constexpr double kGrownShare = 0.9;
// [journal] blocks_in_flight, unless the configuration says otherwise.
constexpr std::uint32_t kBlocksOfACell = 4;

std::string name_of_block(std::uint32_t bytes) {
  return bytes >= (1 << 20) ? fmt::format("{} MiB", bytes >> 20)
                            : fmt::format("{} KiB", bytes >> 10);
}

std::uint64_t bytes_in_flight(DiskShape shape) { return std::uint64_t{shape.block} * shape.depth; }

std::string cell_of(const Result& result, DiskShape shape, const char* figure) {
  const Summary summary = result.summary(name_of(shape), figure);
  if (summary.rounds == 0) return "-";
  const bool rate = std::string_view(figure) == "bytes_per_s";
  return (rate ? format_bytes(summary.median) + "/s" : format_figure(summary.median)) +
         (conclusive(summary) ? "" : " ?");
}

std::string table_of(const Result& result, const std::string& heading, const char* figure) {
  std::vector<std::string> headings{heading};
  for (const std::uint32_t depth : kDepths) headings.push_back(fmt::format("x {}", depth));
  Table table(headings);
  for (const std::uint32_t block : kBlocks) {
    std::vector<std::string> row{name_of_block(block)};
    for (const std::uint32_t depth : kDepths)
      row.push_back(cell_of(result, {block, depth}, figure));
    table.add(std::move(row));
  }
  return table.text();
}

}  // namespace

std::vector<DiskShape> disk_shapes() {
  std::vector<DiskShape> shapes;
  for (const std::uint32_t block : kBlocks) {
    for (const std::uint32_t depth : kDepths) shapes.push_back({block, depth});
  }
  return shapes;
}

std::string name_of(DiskShape shape) {
  return fmt::format("{} x {}", name_of_block(shape.block), shape.depth);
}

std::optional<DiskAdvice> advise(const Result& result) {
  std::vector<std::pair<DiskShape, double>> rates;
  double best = 0;
  for (const DiskShape shape : disk_shapes()) {
    const Summary summary = result.summary(name_of(shape), "bytes_per_s");
    if (summary.rounds == 0) continue;
    rates.emplace_back(shape, summary.median);
    best = std::max(best, summary.median);
  }
  if (best <= 0) return std::nullopt;
  std::erase_if(rates, [best](const auto& rate) { return rate.second < kGrownShare * best; });
  // The fewest bytes in flight; of these the fewest writes.
  const auto chosen = std::ranges::min_element(rates, {}, [](const auto& rate) {
    return std::pair(bytes_in_flight(rate.first), rate.first.depth);
  });
  const std::uint32_t depth = chosen->first.depth;
  return DiskAdvice{chosen->first, chosen->second / best, best,
                    (depth + kBlocksOfACell - 1) / kBlocksOfACell};
}

std::string as_text(const DiskAdvice& advice) {
  return fmt::format(
      "{} in flight reach {:.0f} % of the best, {}/s. {} cell{} fill{} the disk, with {} blocks in "
      "flight in each; a data core needs one at least",
      name_of(advice.shape), advice.share * 100, format_bytes(advice.bytes_per_s), advice.cells,
      advice.cells == 1 ? "" : "s", advice.cells == 1 ? "s" : "", kBlocksOfACell);
}

void add_facts(const DiskAdvice& advice, Manifest& manifest) {
  manifest.set("advised block", name_of_block(advice.shape.block));
  manifest.set("advised blocks in flight", std::to_string(advice.shape.depth));
  manifest.set("advised cells", std::to_string(advice.cells));
}

std::string disk_tables(const Result& result) {
  std::string text = table_of(result, "THROUGHPUT", "bytes_per_s");
  text += "\n" + table_of(result, "P50, us", "p50_us");
  text += "\n" + table_of(result, "P99, us", "p99_us");
  if (text.find(" ?") != std::string::npos) text += "\n?: inconclusive\n";
  return text;
}

}  // namespace penstock::tools::bench
