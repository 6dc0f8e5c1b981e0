// The runs of the open segment: one per shard that has a frame in it, found by key.
//
// Shape      up to `runs_max`; open addressing, half full at most
// Owner      its journal's index
// Allocates  in the constructor only; pages become resident when first used
#pragma once

#include "base/pages.h"
#include "penstock/ids.h"
#include "storage/frame_ring.h"
#include "storage/segment.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace penstock::storage {

// One shard's frames in one segment. Its records are dense unless data was lost.
struct Run {
  Segment* segment = nullptr;
  std::uint64_t first_index = 0;
  std::uint64_t end_index = 0;  // one past the last record
  std::int64_t arrival_first = 0;
  std::int64_t arrival_last = 0;
  std::int64_t retention_first = 0;
  std::int64_t retention_last = 0;
  std::uint64_t bytes = 0;
  FrameSeq oldest = kNoFrame;  // in the frame ring, if it ever was there
  FrameSeq newest = kNoFrame;
  std::uint32_t entry_begin = 0;  // in the footer, once sealed
  std::uint32_t entry_count = 0;
};
static_assert(sizeof(Run) == 88);

struct OpenRun {
  ShardKey key;
  Run run;
};

class OpenRuns {
 public:
  explicit OpenRuns(std::uint32_t runs_max);

  [[nodiscard]] const Run* find(ShardKey key) const;
  // Finds or makes the run. REQUIRES: size() < runs_max where it is new.
  [[nodiscard]] Run& at(ShardKey key);
  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint32_t runs_max() const { return runs_max_; }
  [[nodiscard]] std::span<const OpenRun> all() const { return {runs_, size_}; }
  void clear();
  [[nodiscard]] std::size_t memory_bytes() const {
    return run_memory_.size() + bucket_memory_.size();
  }

 private:
  [[nodiscard]] std::uint32_t bucket_of(ShardKey key) const;

  std::uint32_t runs_max_;
  std::uint32_t bucket_bits_;
  base::Pages run_memory_;
  base::Pages bucket_memory_;
  OpenRun* runs_;
  std::uint32_t* buckets_;  // position in runs_ plus 1; 0: empty
  std::uint32_t size_ = 0;
};

}  // namespace penstock::storage
