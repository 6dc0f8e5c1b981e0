#include "storage/store.h"

#include "base/assert.h"
#include "base/pages.h"
#include "storage/cell_recovery.h"
#include "storage/sabotage.h"
#include "storage/snapshot.h"
#include "storage/store_impl.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace penstock::storage {
namespace {

constexpr std::uint64_t kPieceBytes = 4 * kMiB;
constexpr std::uint64_t kSnapshotBytesMax = 4 * kGiB;

std::uint64_t sectors(std::uint64_t bytes) { return round_up(bytes, format::kSectorBytes); }

// The same bytes at the same place, now surely on stable media (FORMAT.md §7, 7).
Result<> write_again(env::Volume& volume, const TailPiece& piece) {
  base::Pages pages(piece.length);
  const auto bytes = pages.bytes().first(piece.length);
  if (auto read = read_patiently(volume, piece.file, piece.offset, bytes); !read) return read;
  return volume.write(piece.file, piece.offset, bytes);
}

}  // namespace

Store::Impl::~Impl() {
  for (const env::FileId file : {superblock_file_, snapshot_files_[0], snapshot_files_[1]}) {
    if (file != env::FileId::kNone) volume.close(file);
  }
}

// --- Opening ------------------------------------------------------------------------------------

Result<> Store::Impl::open() {
  auto file = volume.open(kSuperblockName);
  if (!file) {
    if (file.error().code != ErrorCode::kNotFound) return std::unexpected(file.error());
    auto files = volume.list("");
    if (!files) return std::unexpected(files.error());
    return fail(files->empty() ? ErrorCode::kNotFound : ErrorCode::kForeignFormat);
  }
  superblock_file_ = *file;
  auto read = read_superblock(volume, superblock_file_);
  if (!read) return std::unexpected(read.error());
  superblock = *read;
  if (auto opened = open_snapshot(); !opened) return opened;
  return recover_cells();
}

Result<env::FileId> Store::Impl::snapshot_file(std::uint32_t which) {
  env::FileId& file = snapshot_files_[which];
  if (file == env::FileId::kNone) {
    auto opened = volume.open(kSnapshotNames[which]);
    if (!opened) return opened;
    file = *opened;
  }
  return file;
}

Result<Snapshot> Store::Impl::load_snapshot(const SnapshotPointer& pointer) {
  if (pointer.file >= kSnapshotNames.size() || pointer.length > kSnapshotBytesMax) {
    return fail(ErrorCode::kCorrupt);
  }
  auto file = snapshot_file(pointer.file);
  if (!file) return std::unexpected(file.error());
  auto size = volume.size(*file);
  if (!size) return std::unexpected(size.error());
  if (sectors(pointer.length) > *size) return fail(ErrorCode::kCorrupt);
  base::Pages pages(sectors(pointer.length) + 1);
  const auto bytes = pages.bytes().first(sectors(pointer.length));
  if (auto read = read_patiently(volume, *file, 0, bytes); !read) {
    return std::unexpected(read.error());
  }
  const auto content = bytes.first(pointer.length);
  if (hash128(content) != pointer.hash) return fail(ErrorCode::kCorrupt);
  return decode_snapshot(content, superblock.box, superblock.cells);
}

Result<> Store::Impl::open_snapshot() {
  clock = {superblock.retention_ms, superblock.wall_ms};
  loaded_ = superblock.current;
  if (superblock.current.file == kNoSnapshot) return {};
  auto loaded = load_snapshot(superblock.current);
  if (!loaded && superblock.previous.file != kNoSnapshot) {
    report.notes.push_back("the current snapshot cannot be read; the one before it is used");
    loaded = load_snapshot(superblock.previous);
    if (loaded) loaded_ = superblock.previous;
  }
  if (!loaded) return std::unexpected(loaded.error());
  snapshot = std::move(*loaded);
  return {};
}

// Reads everything, then raises the epoch, and only then writes anything else.
Result<> Store::Impl::recover_cells() {
  std::vector<CellRecoveryOutput> outputs;
  for (std::uint16_t cell = 0; cell < superblock.cells; ++cell) {
    CellRecoveryInput input;
    input.identity = {superblock.box, superblock.tag, cell, superblock.slot_bytes};
    input.stored_epoch = superblock.boot_epoch;
    if (!snapshot.cells.empty()) input.snapshot = &snapshot.cells[cell];
    auto output = recover_cell(volume, input, report);
    if (!output) return std::unexpected(output.error());
    outputs.push_back(std::move(*output));
  }
  snapshot.cells.clear();

  Superblock next = superblock;
  if (!sabotaged(Sabotage::kSkipEpoch)) ++next.boot_epoch;
  next.incompat |= kIncompatProducers;
  if (auto raised = commit(next); !raised) return raised;

  for (CellRecoveryOutput& output : outputs) {
    const std::uint16_t cell = output.cell.cell.raw();
    if (auto settled = settle_cell(cell, output.partial); !settled) return settled;
    output.cell.fenced = (superblock.fences >> cell & 1) != 0;
    for (const TailPiece& piece : output.tail) {
      if (output.cell.fenced) break;  // nothing is retried on a device that has failed
      if (write_again(volume, piece)) continue;
      report.notes.push_back(fmt::format(
          "cell {}: the end of its journal cannot be made durable: it is read-only", cell));
      output.cell.fenced = true;
    }
    // Blocks say how far the clock has run. What wall time that is, only snapshots and the superblock do:
    // the wall clock beside a block was heard by nobody.
    if (output.retention_ms > clock.retention_ms) {
      const std::int64_t run = output.retention_ms - clock.retention_ms;
      clock.retention_ms = output.retention_ms;
      if (clock.wall_ms != 0) clock.wall_ms += clock.wall_ms > 0 ? run : -run;
    }
    output.cell.journal->fenced = output.cell.fenced;
    output.cell.journal->epoch = superblock.boot_epoch;
    next_slot_.push_back(output.next_slot);
    growing_.emplace_back();
    cells.push_back(std::move(output.cell));
  }
  return {};
}

// Removes slots whose zero-fill was interrupted.
Result<> Store::Impl::settle_cell(std::uint16_t cell, const std::vector<std::string>& partial) {
  for (const std::string& name : partial) {
    if (auto removed = volume.remove(name); !removed) return removed;
  }
  if (partial.empty()) return {};
  return volume.sync_directory(cell_directory(cell));
}

// --- Superblock -----------------------------------------------------------------------------------

// After a failure nobody knows which of the two the device holds: the old content stays in use, and
// the next attempt gets a higher number than either.
Result<> Store::Impl::commit(Superblock next) {
  auto written = write_superblock(volume, superblock_file_, next);
  if (written) {
    superblock = next;
  } else {
    superblock.seq = next.seq;
  }
  return written;
}

Result<> Store::Impl::set_fence(CellId cell, bool fenced) {
  PENSTOCK_ASSERT(cell.raw() < superblock.cells);
  const std::uint64_t bit = std::uint64_t{1} << cell.raw();
  Superblock next = superblock;
  next.fences = fenced ? next.fences | bit : next.fences & ~bit;
  if (next.fences == superblock.fences) return {};
  return commit(next);
}

Result<> Store::Impl::set_clock(RetentionClockState state) {
  PENSTOCK_ASSERT(state.retention_ms >= clock.retention_ms);
  Superblock next = superblock;
  next.retention_ms = state.retention_ms;
  next.wall_ms = state.wall_ms;
  return commit(next);
}

Result<> Store::Impl::write_snapshot(const Snapshot& state) {
  PENSTOCK_ASSERT(state.cells.size() == superblock.cells);
  Snapshot ordered;
  ordered.cells = state.cells;
  ordered.catalogue = state.catalogue;
  ordered.clock = state.clock;
  std::ranges::sort(ordered.cells, {}, &CellSnapshot::cell);
  for (CellSnapshot& cell : ordered.cells) std::ranges::sort(cell.segments);

  const std::uint64_t generation = superblock.current.generation + 1;
  const auto encoded = encode_snapshot(ordered, superblock.box, generation);
  SnapshotPointer pointer;
  pointer.length = encoded.size();
  pointer.generation = generation;
  pointer.hash = hash128(encoded);
  pointer.file = loaded_.file == 0 ? 1 : 0;  // never over the only one that can be read

  auto file = snapshot_file(pointer.file);
  if (!file) return std::unexpected(file.error());
  base::Pages piece(std::min(sectors(encoded.size()), kPieceBytes));
  for (std::uint64_t at = 0; at < encoded.size(); at += kPieceBytes) {
    const std::uint64_t bytes = std::min(encoded.size() - at, kPieceBytes);
    std::memcpy(piece.data(), encoded.data() + at, bytes);
    std::memset(piece.data() + bytes, 0, sectors(bytes) - bytes);
    auto written = volume.write(*file, at, piece.bytes().first(sectors(bytes)));
    if (!written) return written;
  }
  Superblock next = superblock;
  next.previous = loaded_;
  next.current = pointer;
  next.retention_ms = state.clock.retention_ms;
  next.wall_ms = state.clock.wall_ms;
  auto committed = commit(next);
  if (committed) loaded_ = pointer;
  return committed;
}

// --- The public face --------------------------------------------------------------------------------

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(env::Volume& volume) {
  auto impl = std::make_unique<Impl>(volume);
  if (auto opened = impl->open(); !opened) return std::unexpected(opened.error());
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

const std::vector<std::byte>& Store::catalogue_snapshot() const {
  return impl_->snapshot.catalogue;
}
RetentionClockState Store::retention_clock() const { return impl_->clock; }
std::vector<RecoveredCell> Store::take_cells() { return std::exchange(impl_->cells, {}); }
const RecoveryReport& Store::report() const { return impl_->report; }
std::uint32_t Store::boot_epoch() const { return impl_->superblock.boot_epoch; }
std::uint64_t Store::slot_bytes() const { return impl_->superblock.slot_bytes; }
std::uint16_t Store::cells() const { return impl_->superblock.cells; }
std::array<std::byte, 16> Store::box() const { return impl_->superblock.box; }
Result<> Store::write_snapshot(const Snapshot& snapshot) { return impl_->write_snapshot(snapshot); }
Result<Store::NewSlot> Store::grow(CellId cell, std::uint64_t bytes_max) {
  return impl_->grow(cell, bytes_max);
}
Result<> Store::record_fence(CellId cell) { return impl_->set_fence(cell, true); }
Result<> Store::clear_fence(CellId cell) { return impl_->set_fence(cell, false); }
Result<> Store::record_clock(RetentionClockState clock) { return impl_->set_clock(clock); }

}  // namespace penstock::storage
