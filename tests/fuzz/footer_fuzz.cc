// Any bytes as the end of a slot: a footer that is taken has runs in order which tile its entries, as
// they are and with checksums made right.
#include "storage/footer_reader.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using namespace penstock::storage;

void check(const format::Trailer& trailer, std::span<const std::byte> pages) {
  format::SlotHeader header;
  header.tag = trailer.tag;
  header.cell = trailer.cell;
  header.segment_no = trailer.segment_no;
  header.base_lsn = trailer.base_lsn;
  header.prev_chain = trailer.base_chain;
  header.slot_bytes = 64 * penstock::kMiB;
  if (trailer_fits(trailer, header)) {
    const auto shape = format::footer_shape(trailer.frame_count, trailer.run_count);
    if (trailer.footer_offset + shape.bytes() != header.slot_bytes) std::abort();
  }
  const auto runs = parse_directory(trailer, pages);
  if (!runs) return;
  if (runs->size() != trailer.run_count) std::abort();
  std::uint64_t entries = 0;
  for (const format::RunEntry& run : *runs) {
    if (run.entry_begin != entries) std::abort();
    entries += run.entry_count;
  }
  if (entries != trailer.frame_count) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static format::Trailer trailer;
  trailer = format::Trailer{};
  constexpr std::size_t kFields = 96;
  if (size < kFields) return 0;
  std::memcpy(static_cast<void*>(&trailer), data, kFields);
  const std::size_t left = size - kFields;
  std::vector<std::byte> pages(penstock::round_up(left, std::size_t{format::kSectorBytes}));
  if (left > 0) std::memcpy(pages.data(), data + kFields, left);
  check(trailer, pages);

  // Pages and trailer sealed; counts small enough that the pages can hold them.
  const std::size_t count = pages.size() / format::kSectorBytes;
  trailer.magic = format::kTrailerMagic;
  trailer.version = format::kVersion;
  trailer.run_count = count == 0
                          ? 0
                          : static_cast<std::uint32_t>((count - 1) * format::kRunsPerPage + 1 +
                                                       trailer.run_count % format::kRunsPerPage);
  for (std::size_t i = 0; i < count; ++i) {
    format::seal_page(std::span(pages).subspan(i * format::kSectorBytes, format::kSectorBytes),
                      format::kRunPageMagic, trailer.segment_no);
  }
  trailer.directory_crc = penstock::base::crc32c(pages);
  format::seal(trailer);
  check(trailer, pages);
  return 0;
}
