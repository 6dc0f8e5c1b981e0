// Where each shard's frames lie: runs in memory, frames in the ring (newest segments) or in the
// footers of sealed segments, through the page cache.
//
//   shard ─► runs, one per segment, ascending ─► frames of the run, ascending
//
// Shape      control frames are the shard {0, 0} and are never read back through here
// Owner      its journal
// Allocates  when a segment seals or is recycled; `add` never does
// Errors     none: a page that is not in memory is an answer (`kNeedsPage`), not an error
#pragma once

#include "penstock/ids.h"
#include "penstock/units.h"
#include "storage/format.h"
#include "storage/frame_ring.h"
#include "storage/open_runs.h"
#include "storage/page_cache.h"
#include "storage/recovery.h"
#include "storage/segment.h"

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace penstock::storage {

struct IndexOptions {
  std::uint32_t frames_max = 0;  // of one segment
  std::uint32_t runs_max = 0;
  std::uint64_t cache_bytes = 0;
};

// What a search found.
struct Found {
  enum class Kind : std::uint8_t { kFrame, kNeedsPage, kNothing };
  Kind kind = Kind::kNothing;
  Segment* segment = nullptr;
  const Run* run = nullptr;  // valid until the next seal or recycling
  format::FrameEntry entry;
  std::uint32_t page = 0;  // kNeedsPage: entry page of the segment's footer
};

class Index {
 public:
  explicit Index(const IndexOptions& options);

  // --- The open segment -----------------------------------------------------------------------
  // Frames and runs that it can still take.
  [[nodiscard]] std::uint64_t frames_left() const;
  [[nodiscard]] std::uint32_t runs_left() const { return runs_.runs_max() - runs_.size(); }
  [[nodiscard]] std::uint32_t open_frames() const { return open_frames_; }
  [[nodiscard]] std::uint32_t open_runs() const { return runs_.size(); }
  void open(Segment& segment);
  // REQUIRES: frames_left() and runs_left() > 0.
  void add(ShardKey key, const format::FrameEntry& entry, std::int64_t arrival_last);
  // The open segment takes no more: its runs join those of their shards, its footer has a shape.
  void seal();

  // --- Sealed segments ------------------------------------------------------------------------
  // A segment whose footer lies on disk.
  void adopt(Segment& segment, std::span<const format::RunEntry> runs);
  // A segment that has no footer yet: makes it in memory.
  void adopt(Segment& segment, std::uint64_t slot_bytes, const std::vector<RecoveredFrame>& frames);
  // Oldest segment whose frames the ring must keep, because its footer is not built; null: none.
  void keep_frames(const Segment* oldest);
  // Run of a shard in a segment. REQUIRES: it is in `segment.shards`.
  [[nodiscard]] const Run& run(const Segment& segment, ShardKey key) const;
  // Forgets the segment's runs.
  void forget(const Segment& segment);
  [[nodiscard]] const FrameRing& ring() const { return ring_; }

  // --- Searches -------------------------------------------------------------------------------
  // The frame that holds record `at` of the shard, or the first one after it.
  [[nodiscard]] Found find(ShardKey key, std::uint64_t at) const;
  // Within a run: its first frame written at or after `retention`. kNothing: none.
  [[nodiscard]] Found first_retained(const Run& run, std::int64_t retention) const;
  // Within a run: a frame with no record that arrived at or after `arrival` before it.
  [[nodiscard]] Found first_arrived(const Run& run, std::int64_t arrival) const;
  // The first run that ends after `at`; null: none.
  [[nodiscard]] const Run* run_after(ShardKey key, std::uint64_t at) const;
  void put_page(SegmentNumber segment, std::uint32_t page, std::span<const std::byte> bytes) {
    cache_.put(segment, page, bytes);
  }

  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  template <class Wanted, class WantedRecent>
  [[nodiscard]] Found search(const Run& run, const Wanted& wanted,
                             const WantedRecent& wanted_recent) const;
  [[nodiscard]] const std::byte* page(const Segment& segment, std::uint32_t page) const;
  [[nodiscard]] bool recent(const Run& run) const {
    return run.newest != kNoFrame && ring_.holds(run.oldest);
  }
  void append_run(ShardKey key, const Run& run) { sealed_[key].push_back(run); }

  std::uint32_t frames_max_;
  FrameRing ring_;
  OpenRuns runs_;
  PageCache cache_;
  Segment* open_ = nullptr;
  std::uint32_t open_frames_ = 0;
  std::unordered_map<ShardKey, std::vector<Run>> sealed_;  // ascending
  std::size_t sealed_runs_ = 0;
};

}  // namespace penstock::storage
