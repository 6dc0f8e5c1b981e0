// The Store's state, shared by store.cc (opening, snapshots, fences) and store_slots.cc (growing).
#pragma once

#include "env/disk.h"
#include "storage/recovery.h"
#include "storage/store.h"
#include "storage/superblock.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock::storage {

inline constexpr std::array<const char*, 2> kSnapshotNames = {"snapshot-a", "snapshot-b"};

// Writes `bytes` zeros from `offset` on, durably, in pieces.
[[nodiscard]] Result<> write_zeros(env::Volume& volume, env::FileId file, std::uint64_t offset,
                                   std::uint64_t bytes);

class Store::Impl {
 public:
  explicit Impl(env::Volume& v) : volume(v) {}
  ~Impl();

  Result<> open();
  Result<> write_snapshot(const Snapshot& next);
  Result<NewSlot> grow(CellId cell, std::uint64_t bytes_max);
  Result<> set_fence(CellId cell, bool fenced);
  Result<> set_clock(RetentionClockState state);

  env::Volume& volume;
  Superblock superblock;
  Snapshot snapshot;  // as opened; `cells` is given up once recovery is done
  RetentionClockState clock;
  std::vector<RecoveredCell> cells;
  RecoveryReport report;

 private:
  struct Growing {
    std::string name;
    env::FileId file = env::FileId::kNone;
    std::uint32_t slot = 0;
    std::uint64_t written = 0;
  };

  Result<> open_snapshot();
  [[nodiscard]] Result<Snapshot> load_snapshot(const SnapshotPointer& pointer);
  Result<env::FileId> snapshot_file(std::uint32_t which);
  Result<> recover_cells();
  Result<> settle_cell(std::uint16_t cell, const std::vector<std::string>& partial);
  Result<> commit(Superblock next);
  Result<> step(Growing& growing, std::uint64_t bytes_max);
  void abandon(CellId cell);

  env::FileId superblock_file_ = env::FileId::kNone;
  std::array<env::FileId, 2> snapshot_files_ = {env::FileId::kNone, env::FileId::kNone};
  SnapshotPointer loaded_;                       // what a start now would begin with
  std::vector<std::uint32_t> next_slot_;         // per cell
  std::vector<std::optional<Growing>> growing_;  // per cell
};

}  // namespace penstock::storage
