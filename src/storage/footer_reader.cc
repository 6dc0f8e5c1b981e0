#include "storage/footer_reader.h"

#include <tuple>

namespace penstock::storage {
namespace {

std::tuple<std::uint64_t, std::uint32_t> key_of(const format::RunEntry& run) {
  return {run.stream, run.shard};
}

bool runs_consistent(const std::vector<format::RunEntry>& runs, std::uint32_t frames) {
  std::uint64_t next_entry = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const format::RunEntry& run = runs[i];
    if (i > 0 && key_of(run) <= key_of(runs[i - 1])) return false;
    if (run.entry_begin != next_entry || run.entry_count == 0) return false;
    if (run.first_index > run.last_index) return false;
    next_entry += run.entry_count;
  }
  return next_entry == frames;
}

}  // namespace

bool trailer_fits(const format::Trailer& t, const format::SlotHeader& header) {
  if (!format::valid(t)) return false;
  if (t.tag != header.tag || t.cell != header.cell) return false;
  if (t.segment_no != header.segment_no || t.base_lsn != header.base_lsn) return false;
  if (t.base_chain != header.prev_chain) return false;
  if (t.run_count > t.frame_count) return false;
  const std::uint64_t footer = format::footer_shape(t.frame_count, t.run_count).bytes();
  if (footer > header.slot_bytes || t.footer_offset != header.slot_bytes - footer) return false;
  if (t.blocks_end > t.footer_offset || t.blocks_end < 2 * format::kSectorBytes) return false;
  return t.last_lsn >= t.base_lsn && t.durable_lsn >= t.last_lsn;
}

std::optional<std::vector<format::RunEntry>> parse_directory(const format::Trailer& trailer,
                                                             std::span<const std::byte> pages) {
  const std::uint64_t count =
      div_ceil(std::uint64_t{trailer.run_count}, std::uint64_t{format::kRunsPerPage});
  if (pages.size() != count * format::kSectorBytes) return std::nullopt;
  if (base::crc32c(pages) != trailer.directory_crc) return std::nullopt;
  std::vector<format::RunEntry> runs;
  runs.reserve(trailer.run_count);
  for (std::uint64_t p = 0; p < count; ++p) {
    const auto page = pages.subspan(p * format::kSectorBytes, format::kSectorBytes);
    if (!format::valid_page(page, format::kRunPageMagic, trailer.segment_no)) return std::nullopt;
    for (std::uint32_t i = 0; i < format::kRunsPerPage && runs.size() < trailer.run_count; ++i) {
      runs.push_back(format::load<format::RunEntry>(
          page, sizeof(format::PageHeader) + i * sizeof(format::RunEntry)));
    }
  }
  if (!runs_consistent(runs, trailer.frame_count)) return std::nullopt;
  return runs;
}

}  // namespace penstock::storage
