// What a disk's figures say: which block size and how many in flight fill it, and what penstockd is to be
// told.
//
// Shape      an arm of the result is a shape: "64 KiB x 4"
#pragma once

#include "bench/disk_writes.h"
#include "bench/result.h"

#include <optional>
#include <string>
#include <vector>

namespace penstock::tools::bench {

// Every pair of a size and a depth that is measured, sizes and depths rising.
[[nodiscard]] std::vector<DiskShape> disk_shapes();
[[nodiscard]] std::string name_of(DiskShape shape);

struct DiskAdvice {
  DiskShape shape;          // the fewest bytes in flight with which throughput stops growing
  double share = 0;         // of the best throughput, that it reaches
  double bytes_per_s = 0;   // the best
  std::uint32_t cells = 1;  // that keep the disk busy; each data core has one at least
};
// Nothing where no shape has a figure.
[[nodiscard]] std::optional<DiskAdvice> advise(const Result& result);
// In words, and as facts of the manifest.
[[nodiscard]] std::string as_text(const DiskAdvice& advice);
void add_facts(const DiskAdvice& advice, Manifest& manifest);

// Throughput and latencies as tables, a row for each size.
[[nodiscard]] std::string disk_tables(const Result& result);

}  // namespace penstock::tools::bench
