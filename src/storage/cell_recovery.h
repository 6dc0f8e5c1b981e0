// Recovers one cell: slots and snapshot in, the journal's state out. Writes nothing.
//
//   survey ─► segments the snapshot lists ─► segments that continue them ─► what the tail means
//
// Units      offsets and lengths in bytes
// Owner      one thread, at start-up. Borrows the Volume
// Errors     kSuperblockStale; the Volume's, where what cannot be read decides between a torn tail
//            and loss
// Source     src/storage/FORMAT.md §7
#pragma once

#include "env/disk.h"
#include "penstock/result.h"
#include "storage/recovery.h"
#include "storage/slot_survey.h"
#include "storage/store.h"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::storage {

struct CellRecoveryInput {
  CellIdentity identity;
  std::uint32_t stored_epoch = 0;          // the superblock's, before this boot raises it
  const CellSnapshot* snapshot = nullptr;  // null: none was ever written
};

// Bytes to be written again as they are, before anybody relies on them (§7, 7).
struct TailPiece {
  env::FileId file = env::FileId::kNone;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct CellRecoveryOutput {
  RecoveredCell cell;  // epoch and fence are the caller's to fill in
  std::vector<TailPiece> tail;
  std::vector<std::string> partial;  // files to remove
  std::uint32_t next_slot = 0;
  std::int64_t retention_ms = 0;  // of the last block that was read; 0 where there was none
};

// Adds to `report`.
[[nodiscard]] Result<CellRecoveryOutput> recover_cell(env::Volume& volume,
                                                      const CellRecoveryInput& input,
                                                      RecoveryReport& report);

}  // namespace penstock::storage
