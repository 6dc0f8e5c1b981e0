// Formatting: an empty directory becomes a data directory, the superblock last.
#include "base/pages.h"
#include "storage/slot_survey.h"
#include "storage/store_impl.h"

#include <algorithm>
#include <string_view>

namespace penstock::storage {
namespace {

// Written through at format, so that the first snapshots need no space of a full disk.
constexpr std::uint64_t kSnapshotFileBytes = 1 * kMiB;

// What the server keeps beside the store, and what a file system keeps in its root.
bool servers_own(std::string_view name) {
  if (name.starts_with("lost+found/")) return true;
  if (name.find('/') != std::string_view::npos) return false;
  return name == "LOCK" || name == "credentials" || name.ends_with(".pem") ||
         name.ends_with(".key") || name.ends_with(".toml");
}

bool stores_own(std::string_view name) {
  return name == kSuperblockName || name == kSnapshotNames[0] || name == kSnapshotNames[1] ||
         (name.starts_with("cell-") && name.find("/slot-") != std::string_view::npos);
}

// Whether nothing but zeros stands where a header would: a format that was interrupted.
Result<bool> blank(env::Volume& volume, const env::FileInfo& info) {
  auto file = volume.open(info.name);
  if (!file) return std::unexpected(file.error());
  base::Pages sector(format::kSectorBytes);
  const auto bytes = sector.bytes().first(format::kSectorBytes);
  Result<> read;
  if (info.bytes >= format::kSectorBytes) read = read_patiently(volume, *file, 0, bytes);
  volume.close(*file);
  if (!read) return std::unexpected(read.error());
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

// Removes what an interrupted format left. kExists where there is anything else.
Result<> clear_directory(env::Volume& volume) {
  auto files = volume.list("");
  if (!files) return std::unexpected(files.error());
  for (const env::FileInfo& info : *files) {
    if (servers_own(info.name)) continue;
    if (!stores_own(info.name)) return fail(ErrorCode::kExists);
    auto unused = blank(volume, info);
    if (!unused) return std::unexpected(unused.error());
    if (!*unused) return fail(ErrorCode::kExists);
  }
  for (const env::FileInfo& info : *files) {
    if (servers_own(info.name)) continue;
    if (auto removed = volume.remove(info.name); !removed) return removed;
  }
  return {};
}

// Creates a file of zeros.
Result<> make_file(env::Volume& volume, const std::string& name, std::uint64_t bytes) {
  auto file = volume.create(name);
  if (!file) return std::unexpected(file.error());
  auto written = write_zeros(volume, *file, 0, bytes);
  volume.close(*file);
  return written;
}

Result<> make_cell(env::Volume& volume, std::uint16_t cell, const FormatOptions& options) {
  const std::string directory = cell_directory(cell);
  auto made = volume.make_directory(directory);
  if (!made && made.error().code != ErrorCode::kExists) return made;
  // One more than are kept ahead: the one reserved for control frames.
  for (std::uint32_t slot = 0; slot <= options.slots_ahead; ++slot) {
    auto file = make_file(volume, slot_name(cell, slot), options.slot_bytes);
    if (!file) return file;
  }
  return volume.sync_directory(directory);
}

Superblock first_superblock(env::Entropy& entropy, const FormatOptions& options) {
  Superblock block;
  entropy.fill(block.box);
  // RFC 9562: version 4, variant 10.
  block.box[6] = (block.box[6] & std::byte{0x0F}) | std::byte{0x40};
  block.box[8] = (block.box[8] & std::byte{0x3F}) | std::byte{0x80};
  entropy.fill(std::as_writable_bytes(std::span(&block.tag, 1)));
  block.incompat = kIncompatProducers;
  block.slot_bytes = options.slot_bytes;
  block.cells = options.cells;
  return block;
}

bool sensible(const FormatOptions& o) {
  if (o.cells == 0 || o.cells > format::kCellsMax) return false;
  if (o.slot_bytes < format::kSlotBytesMin || o.slot_bytes % kMiB != 0) return false;
  return o.slot_bytes <= format::kSlotBytesMax - format::kSlotBytesMin;
}

}  // namespace

Result<> Store::format(env::Volume& volume, env::Entropy& entropy, const FormatOptions& options) {
  if (!sensible(options)) return fail(ErrorCode::kConfig);
  if (auto cleared = clear_directory(volume); !cleared) return cleared;
  auto info = volume.info();
  if (!info) return std::unexpected(info.error());
  const std::uint64_t needed =
      options.slot_bytes * options.cells * (std::uint64_t{options.slots_ahead} + 1) +
      kSnapshotFileBytes * kSnapshotNames.size() + kSuperblockFileBytes;
  if (info->free_bytes < needed) {
    return fail(ErrorCode::kNoSpace, static_cast<std::int32_t>(div_ceil(needed, kMiB)));
  }

  for (std::uint16_t cell = 0; cell < options.cells; ++cell) {
    if (auto made = make_cell(volume, cell, options); !made) return made;
  }
  for (const char* name : kSnapshotNames) {
    if (auto made = make_file(volume, name, kSnapshotFileBytes); !made) return made;
  }
  auto file = volume.create(kSuperblockName);
  if (!file) return std::unexpected(file.error());
  auto done = write_zeros(volume, *file, 0, kSuperblockFileBytes);
  if (done) done = volume.sync_directory("");
  Superblock block = first_superblock(entropy, options);
  if (done) done = write_superblock(volume, *file, block);
  volume.close(*file);
  return done;
}

}  // namespace penstock::storage
