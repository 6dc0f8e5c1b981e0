// Finds the frames of a sealed segment again from its blocks, when an entry page of its footer cannot be
// read: in the background, a buffer at a time. The entries then stay in memory until the segment is
// recycled.
//
// Shape      one segment at a time, others wait in order
// Owner      its journal's reader
// Allocates  one footer; a buffer while it works
// Errors     a block that cannot be read either gives up: `Segment.entries_lost`
// Source     src/storage/FORMAT.md §8 "An entry page is checked when it is read"
#pragma once

#include "base/pages.h"
#include "runtime/disk_queue.h"
#include "storage/format.h"
#include "storage/index.h"
#include "storage/segment.h"

#include <cstdint>
#include <deque>
#include <vector>

namespace penstock::storage {

class Rescan {
 public:
  // The segment is released: its entries are in memory, or lost, or it was recycled.
  using Finished = void (*)(void* owner, Segment& segment);

  Rescan(const Index& index, std::uint64_t slot_bytes, runtime::DiskQueue& reads, void* owner,
         Finished finished);
  // Harmless where the segment is at work or waits.
  void start(Segment& segment);
  [[nodiscard]] bool quiet() const { return !reading_; }
  [[nodiscard]] std::uint64_t scans() const { return scans_; }

 private:
  struct Call : runtime::DiskCall {
    Rescan* rescan = nullptr;
  };
  void begin();
  void go_on();
  // The bytes at the cursor, or null: they are being read.
  [[nodiscard]] const std::byte* need(std::uint64_t bytes);
  void read();
  [[nodiscard]] bool take_block(const std::byte* bytes);
  [[nodiscard]] bool take_frame(const std::byte* bytes);
  [[nodiscard]] bool complete() const;
  void finish(bool good);
  static void arrived(runtime::DiskCall& call, std::int32_t result, Nanos now);

  const Index& index_;
  std::uint64_t slot_bytes_;
  runtime::DiskQueue& reads_;
  void* owner_;
  Finished finished_;
  std::deque<Segment*> queue_;        // the front one is at work
  std::vector<std::uint32_t> found_;  // frames per run of the segment
  std::uint64_t at_ = 0;              // cursor in the slot
  std::uint64_t block_end_ = 0;
  std::uint64_t lsn_ = 0;
  std::uint32_t frames_left_ = 0;
  base::Pages buffer_;
  std::uint64_t held_ = 0;  // where the buffer's bytes lie in the slot
  std::uint64_t held_bytes_ = 0;
  bool retried_ = false;
  bool reading_ = false;
  std::uint64_t scans_ = 0;
  Call call_;
};

}  // namespace penstock::storage
