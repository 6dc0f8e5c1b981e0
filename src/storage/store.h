// The data directory: superblock, snapshots, slots; formatting, opening and recovery.
//
// Used at start-up by `server`, and afterwards by the service core alone (snapshots, new slots,
// fences). Blocking calls on the Volume.
//
// Units      bytes, milliseconds
// Owner      one thread at a time. Borrows Volume and Entropy, which outlive it
// Errors     kForeignFormat, kNewerFormat, kCorrupt, kSuperblockStale, kNoSpace, kSystem …
// Source     src/storage/FORMAT.md
#pragma once

#include "env/disk.h"
#include "env/entropy.h"
#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "storage/journal.h"
#include "storage/recovery.h"  // RecoveredCell owns one

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace penstock::storage {

struct FormatOptions {
  std::uint16_t cells = 4;
  std::uint64_t slot_bytes = 256 * kMiB;
  std::uint32_t slots_ahead = 2;  // zero-filled before the first start, besides the reserved one
};

// What the catalogue and the shards need to carry over a restart; `catalogue` is opaque here.
struct ShardState {
  ShardKey shard;
  std::uint64_t next_index = 0;
  std::uint64_t trim_index = 0;   // records below are gone
  std::int64_t last_arrival = 0;  // ms
  std::uint64_t range_begin[2] = {};
  std::uint64_t range_end[2] = {};
  std::int64_t created_second = 0;
  std::uint64_t catalogue_version = 0;  // of the latest control frame applied
  std::uint8_t closed = 0;
  std::uint8_t reserved[7] = {};
};

// What a shard's cell knows of one idempotent producer, as of some block.
struct ProducerState {
  static constexpr std::uint32_t kWindow = 8;
  struct Entry {
    RecordIndex first = {};
    WallMillis arrival = {};
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  ShardKey shard;
  std::uint64_t producer = 0;
  std::uint32_t epoch = 0;
  std::uint32_t last_sequence = 0;  // of its latest batch there; 0: none in this epoch
  std::uint32_t count = 0;          // of `window`, ≤ last_sequence
  WallMillis last_used = {};        // when that batch arrived, or the epoch was opened
  // Oldest first: entry k is the batch of sequence last_sequence − count + 1 + k.
  std::array<Entry, kWindow> window = {};
  friend bool operator==(const ProducerState&, const ProducerState&) = default;
};

struct CellSnapshot {
  CellId cell;
  Lsn covered;  // state as of this block
  std::vector<ShardState> shards;
  std::vector<SegmentNumber> segments;        // sealed or open, that must exist
  std::vector<ProducerState> producers = {};  // those used least first
};

struct RetentionClockState {
  std::int64_t retention_ms = 0;  // RetentionMillis at `boot_ns`
  // The wall clock then, by the relation that a synchronised one taught. 0: nobody knows it.
  // Negative: minus that, and the boot that saved it doubted the wall clock.
  std::int64_t wall_ms = 0;
};

struct Snapshot {
  std::vector<CellSnapshot> cells;
  std::vector<std::byte> catalogue;  // src/catalog's encoding, as of cells[0].covered
  RetentionClockState clock;
};

// A catalogue or shard control frame found after the snapshot, in journal order.
struct RecoveredControl {
  FrameKind kind;
  ShardKey shard;
  Lsn lsn;
  std::vector<std::byte> body;
};

struct RecoveryReport {
  std::uint64_t blocks_scanned = 0;
  std::uint64_t bytes_scanned = 0;
  std::uint64_t torn_blocks = 0;         // never acknowledged, truncated
  std::uint64_t quarantined_blocks = 0;  // acknowledged, unreadable: data loss, named in `notes`
  std::vector<std::string> notes;
};

struct RecoveredCell {
  CellId cell;
  bool fenced = false;
  std::vector<ShardState> shards;          // snapshot plus every later frame
  std::vector<ProducerState> producers;    // the same, of shards that exist; those used least first
  std::vector<RecoveredControl> controls;  // catalogue frames of cell 0
  std::unique_ptr<RecoveredJournal> journal;
};

class Store {
 public:
  // Formats an empty directory. Errors kExists (it holds something), kNoSpace.
  [[nodiscard]] static Result<> format(env::Volume& volume, env::Entropy& entropy,
                                       const FormatOptions& options);
  // Opens, raises the boot epoch durably, recovers every cell.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(env::Volume& volume);
  ~Store();

  [[nodiscard]] const std::vector<std::byte>& catalogue_snapshot() const;
  [[nodiscard]] RetentionClockState retention_clock() const;
  [[nodiscard]] std::vector<RecoveredCell> take_cells();
  [[nodiscard]] const RecoveryReport& report() const;
  [[nodiscard]] std::uint32_t boot_epoch() const;
  [[nodiscard]] std::uint64_t slot_bytes() const;
  [[nodiscard]] std::uint16_t cells() const;
  [[nodiscard]] std::array<std::byte, 16> box() const;  // UUID of the data directory

  // Durable when it returns: the snapshot file, then the superblock that names it.
  [[nodiscard]] Result<> write_snapshot(const Snapshot& snapshot);
  // Creates one more slot of a cell and zero-fills it in steps: call until it returns a slot.
  // Each step writes at most `bytes_max`. kNoSpace leaves nothing behind.
  struct NewSlot {
    env::FileId file = env::FileId::kNone;
    std::uint32_t slot = 0;
    bool ready = false;
  };
  [[nodiscard]] Result<NewSlot> grow(CellId cell, std::uint64_t bytes_max);
  // The cell is read-only from the next start on, too, until `clear_fence`.
  [[nodiscard]] Result<> record_fence(CellId cell);
  [[nodiscard]] Result<> clear_fence(CellId cell);
  // What the next start goes on from. REQUIRES: not before what `open` found; nothing was written
  // since.
  [[nodiscard]] Result<> record_clock(RetentionClockState clock);

 private:
  class Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::storage
