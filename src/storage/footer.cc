#include "storage/footer.h"

#include "base/assert.h"
#include "base/crc32c.h"

#include <algorithm>

namespace penstock::storage {
namespace {

[[nodiscard]] format::FooterShape shape_of(const Segment& segment) {
  return format::footer_shape(segment.frame_count,
                              static_cast<std::uint32_t>(segment.shards.size()));
}

[[nodiscard]] std::span<std::byte> page_of(Segment& segment, std::uint32_t page) {
  return segment.footer.bytes().subspan(std::size_t{page} * format::kSectorBytes,
                                        format::kSectorBytes);
}

[[nodiscard]] format::RunEntry run_entry(ShardKey key, const Run& run) {
  format::RunEntry entry;
  entry.stream = key.stream.raw();
  entry.shard = key.shard.raw();
  entry.first_index = run.first_index;
  entry.last_index = run.end_index - 1;
  entry.arrival_first = run.arrival_first;
  entry.arrival_last = run.arrival_last;
  entry.retention_first = run.retention_first;
  entry.retention_last = run.retention_last;
  entry.entry_begin = run.entry_begin;
  entry.entry_count = run.entry_count;
  entry.bytes = run.bytes;
  return entry;
}

void put_runs(Segment& segment, const Index& index, std::uint32_t first_page) {
  for (std::uint32_t i = 0; i < segment.shards.size(); ++i) {
    const ShardKey key = segment.shards[i];
    format::store(page_of(segment, first_page + i / format::kRunsPerPage),
                  sizeof(format::PageHeader) + i % format::kRunsPerPage * sizeof(format::RunEntry),
                  run_entry(key, index.run(segment, key)));
  }
}

}  // namespace

void footer_begin(Segment& segment, std::uint64_t slot_bytes) {
  PENSTOCK_ASSERT(segment.sealed);
  const std::uint64_t bytes = shape_of(segment).bytes();
  PENSTOCK_ASSERT(segment.blocks_end + bytes <= slot_bytes);
  segment.footer = base::Pages(bytes);
  segment.footer_offset = slot_bytes - bytes;
}

void footer_put(Segment& segment, std::uint32_t number, const format::FrameEntry& entry) {
  PENSTOCK_CHECK_FULL(number < segment.frame_count);
  format::store(
      page_of(segment, number / format::kEntriesPerPage),
      sizeof(format::PageHeader) + number % format::kEntriesPerPage * sizeof(format::FrameEntry),
      entry);
}

void footer_finish(Segment& segment, const Index& index, const FooterContext& context,
                   Lsn durable) {
  const format::FooterShape shape = shape_of(segment);
  put_runs(segment, index, shape.entry_pages);
  for (std::uint32_t i = 0; i < shape.entry_pages; ++i) {
    format::seal_page(page_of(segment, i), format::kEntryPageMagic, segment.number.raw());
  }
  for (std::uint32_t i = shape.entry_pages; i < shape.entry_pages + shape.run_pages; ++i) {
    format::seal_page(page_of(segment, i), format::kRunPageMagic, segment.number.raw());
  }
  format::Trailer trailer;
  trailer.cell = context.cell.raw();
  trailer.tag = context.tag;
  trailer.segment_no = segment.number.raw();
  trailer.epoch = segment.last_epoch;
  trailer.run_count = static_cast<std::uint32_t>(segment.shards.size());
  trailer.frame_count = segment.frame_count;
  trailer.block_count = segment.block_count;
  trailer.footer_offset = static_cast<std::uint32_t>(segment.footer_offset);
  trailer.blocks_end = static_cast<std::uint32_t>(segment.blocks_end);
  trailer.base_lsn = segment.base.raw();
  trailer.last_lsn = segment.last.raw();
  trailer.durable_lsn = std::min(durable, segment.last).raw();
  trailer.base_chain = segment.base_chain;
  trailer.last_chain = segment.last_chain;
  trailer.directory_crc = base::crc32c(segment.footer.bytes().subspan(
      shape.entry_pages * format::kSectorBytes, shape.run_pages * format::kSectorBytes));
  format::seal(trailer);
  format::store(page_of(segment, shape.entry_pages + shape.run_pages), 0, trailer);
}

}  // namespace penstock::storage
