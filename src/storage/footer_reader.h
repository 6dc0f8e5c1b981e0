// Reads a segment's footer: the trailer and the directory of runs. Entry pages are the index's.
//
// Errors     a footer that is not valid is no footer: the segment is scanned
// Source     src/storage/FORMAT.md §8
#pragma once

#include "storage/format.h"

#include <optional>
#include <span>
#include <vector>

namespace penstock::storage {

// Conditions 1 and 2 of §8. Total against any bytes.
[[nodiscard]] bool trailer_fits(const format::Trailer& trailer, const format::SlotHeader& header);
// Conditions 3 and 4. `pages`: the run pages. Total against any bytes.
[[nodiscard]] std::optional<std::vector<format::RunEntry>> parse_directory(
    const format::Trailer& trailer, std::span<const std::byte> pages);

}  // namespace penstock::storage
