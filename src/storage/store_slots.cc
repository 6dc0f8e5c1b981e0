// Slots: zero-filling new ones, step by step.
#include "base/assert.h"
#include "base/pages.h"
#include "storage/slot_survey.h"
#include "storage/store_impl.h"

#include <algorithm>

namespace penstock::storage {

Result<> write_zeros(env::Volume& volume, env::FileId file, std::uint64_t offset,
                     std::uint64_t bytes) {
  const std::uint64_t piece_bytes = std::min<std::uint64_t>(bytes, 4 * kMiB);
  const base::Pages zeros(piece_bytes);
  while (bytes > 0) {
    const std::uint64_t piece = std::min(bytes, piece_bytes);
    if (auto written = volume.write(file, offset, zeros.bytes().first(piece)); !written) {
      return written;
    }
    offset += piece;
    bytes -= piece;
  }
  return {};
}

// What was begun is taken back, so that a full disk is not made fuller by what nobody can use. What
// cannot be removed now is removed at the next start: the file is short.
void Store::Impl::abandon(CellId cell) {
  Growing& growing = *growing_[cell.raw()];
  volume.close(growing.file);
  if (volume.remove(growing.name)) {
    static_cast<void>(volume.sync_directory(cell_directory(cell.raw())));
  }
  growing_[cell.raw()].reset();
}

Result<> Store::Impl::step(Growing& growing, std::uint64_t bytes_max) {
  const std::uint64_t step_bytes =
      std::min(round_up(std::max(bytes_max, std::uint64_t{1}), format::kSectorBytes),
               superblock.slot_bytes - growing.written);
  if (auto written = write_zeros(volume, growing.file, growing.written, step_bytes); !written) {
    return written;
  }
  growing.written += step_bytes;
  return {};
}

Result<Store::NewSlot> Store::Impl::grow(CellId cell, std::uint64_t bytes_max) {
  PENSTOCK_ASSERT(cell.raw() < superblock.cells);
  std::optional<Growing>& growing = growing_[cell.raw()];
  if (!growing) {
    auto info = volume.info();
    if (!info) return std::unexpected(info.error());
    if (info->free_bytes < superblock.slot_bytes) return fail(ErrorCode::kNoSpace);
    const std::uint32_t slot = next_slot_[cell.raw()]++;
    Growing begun;
    begun.slot = slot;
    begun.name = slot_name(cell.raw(), slot);
    auto file = volume.create(begun.name);
    if (!file) return std::unexpected(file.error());
    begun.file = *file;
    growing = begun;
  }
  auto done = step(*growing, bytes_max);
  const bool full = growing->written == superblock.slot_bytes;
  // The name must be durable before a block in the file may be called so.
  if (done && full) done = volume.sync_directory(cell_directory(cell.raw()));
  if (!done) {
    abandon(cell);
    return std::unexpected(done.error());
  }
  NewSlot slot{growing->file, growing->slot, full};
  if (full) growing.reset();
  return slot;
}

}  // namespace penstock::storage
