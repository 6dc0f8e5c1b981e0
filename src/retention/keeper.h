// Keeps the journals able to go on: free slots ahead of need, expiry, snapshots, recycling, fences.
//
//   each second   EXPIRE (clock sure) ─► DESCRIBE of every cell ─► fences, closed shards, fullness
//   when due      catalogue held ─► DESCRIBE of every cell, catalogue encoded ─► released
//                   ─► snapshot durable, without the segments that nobody needs ─► those recycled
//   in between    one step of zero-filling a slot at a time, at a bounded rate
//
// A segment is recycled only after a durable snapshot that covers it and does not list it: until then a
// crash would replay it. The catalogue is held while cells are described, so the snapshot's catalogue
// is exactly what cell 0's frames up to its covered block amount to (src/catalog/FORMAT.md).
//
// Units      bytes; nanoseconds
// Owner      the service core. Borrows store, cells, catalogue and clock, which outlive it; by the time
//            it is destroyed no command of its own may be in the cells' hands
// Allocates  freely: control work
// Errors     counted and reported; each is tried again
#pragma once

#include "retention/clock.h"
#include "retention/fullness.h"
#include "retention/store_door.h"
#include "runtime/task_loop.h"
#include "runtime/work.h"
#include "shard/await_cell.h"
#include "shard/commands.h"
#include "shard/service.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock::retention {

struct KeeperOptions {
  std::uint64_t size_min = 0;          // journals of all cells together: grown to at once
  std::uint64_t size_max = 64 * kGiB;  // and never beyond
  // Free slots per cell, besides the reserved one: what it fills in `ahead_seconds` at its present rate,
  // between these two.
  std::uint32_t slots_ahead = 2;
  std::uint32_t slots_ahead_max = 16;
  double ahead_seconds = 5;
  // While half of those are there; below that, no bound.
  std::uint64_t grow_bytes_per_second = 256 * kMiB;
  std::uint64_t grow_step_bytes = 2 * kMiB;  // of one turn: some milliseconds
  std::int64_t tick_nanos = kNanosPerSecond;
  std::int64_t tick_busy_nanos = 100 * kNanosPerMilli;        // while slots are being used up
  std::int64_t snapshot_nanos = 60 * kNanosPerSecond;         // where anything changed
  std::int64_t snapshot_idle_nanos = 3600 * kNanosPerSecond;  // for the clock's sake
  std::int64_t snapshot_gap_nanos = kNanosPerSecond;          // at least between two
  std::int64_t recycle_gap_nanos = 5 * kNanosPerSecond;       // the same where slots are plenty
  std::int64_t retry_nanos = 10 * kNanosPerSecond;            // after a full disk
};

struct KeeperReport {
  std::vector<CellFullness> cells;
  std::uint64_t slot_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t limit_bytes = 0;
  std::uint64_t bytes_per_second = 0;
  double hours = kHoursMax;  // that the whole journal holds at the present rate; the worst cell's
  double hours_left = kHoursMax;  // until some cell has no free slot
  bool growth_possible = true;    // false: size_max is reached or the disk is full
  bool disk_full = false;
  std::uint64_t snapshots = 0;
  std::uint64_t snapshot_failures = 0;
  bool snapshots_fail = false;  // the last one did
  std::uint64_t segments_recycled = 0;
  std::uint64_t slots_added = 0;
  std::uint64_t shards_expired = 0;
  std::string last_failure;  // in words; empty: none
};

class Keeper final : public runtime::Agent {
 public:
  Keeper(const KeeperOptions& options, storage::Store& store, shard::CellPlane& cells,
         shard::CatalogueSource& catalogue, Clock& clock);
  Keeper(const KeeperOptions& options, std::unique_ptr<StoreDoor> store, shard::CellPlane& cells,
         shard::CatalogueSource& catalogue, Clock& clock);

  // REQUIRES: the clock was observed.
  [[nodiscard]] runtime::WorkCount poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] Nanos next_deadline() const override;

  // The next tick writes a snapshot, whatever else.
  void want_snapshot() { snapshot_wanted_ = true; }
  [[nodiscard]] KeeperReport report() const;

 private:
  using Calls = std::deque<shard::CellCommand>;
  template <class T = void>
  using Task = runtime::Task<T>;

  struct CellView {
    CellFullness fullness;
    Rate rate{60};
    Rate pace{1};  // the same of late: what slots are made ahead for
    std::uint64_t seal_count = 0;
    std::uint32_t slots_coming = 0;  // handed over, not yet counted by the cell
    bool fence_recorded = false;
    std::uint64_t recyclable = 0;  // slots, as of the last tick
    Lsn covered;
    Lsn covered_by_snapshot;
  };

  [[nodiscard]] Task<> watch();
  [[nodiscard]] Task<> tick();
  [[nodiscard]] Task<> expire();
  // False: some cell did not answer.
  [[nodiscard]] Task<bool> describe(Calls* calls, bool for_snapshot);
  void observe(const Calls& calls);
  void note_fences();
  void expire_closed_shards(const Calls& calls);
  [[nodiscard]] bool snapshot_due() const;
  [[nodiscard]] Task<> snapshot();
  [[nodiscard]] Task<> recycle(std::vector<std::vector<SegmentNumber>> numbers);
  [[nodiscard]] Task<> add_slot(CellId cell, storage::Store::NewSlot slot);

  // Growth, from `poll`.
  [[nodiscard]] std::optional<CellId> cell_to_grow() const;
  [[nodiscard]] bool wants_slot(const CellView& view) const;
  [[nodiscard]] std::uint64_t slots_wanted(const CellView& view) const;
  [[nodiscard]] bool short_of_slots(const CellView& view) const;
  // Whether the cell's journal may have one slot more.
  [[nodiscard]] bool may_grow(const CellView& view) const;
  // Whether the cell gets a slot without anybody's doing.
  [[nodiscard]] bool room_coming(const CellView& view) const;
  [[nodiscard]] std::uint64_t cell_bytes_max() const;
  [[nodiscard]] runtime::WorkCount grow(Nanos now);
  void failed(std::string_view what, const Error& error);

  KeeperOptions options_;
  std::unique_ptr<StoreDoor> store_;
  shard::CellPlane& cells_;
  shard::CatalogueSource& catalogue_;
  Clock& clock_;
  std::vector<CellView> views_;
  bool described_ = false;
  std::uint64_t sealed_by_snapshot_ = 0;
  std::uint64_t version_by_snapshot_ = 0;
  Nanos last_snapshot_;
  bool snapshot_wanted_ = false;
  bool busy_ = false;  // slots were used up since the last tick
  std::optional<CellId> growing_;
  Nanos next_grow_;
  bool disk_full_ = false;
  bool grow_failed_ = false;      // the last time, whatever for
  bool snapshot_failed_ = false;  // likewise
  KeeperReport counters_;         // its counters alone
  bool started_ = false;
  runtime::TaskLoop loop_;
};

}  // namespace penstock::retention
