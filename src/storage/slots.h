// The slots of a journal that nobody uses, and the headers of those that get a segment.
//
// One slot is the reserve: only control frames may take it, so that administration goes on when data
// has filled the journal. Where none is free, the open segment is the one that took the reserve.
//
// Owner      its journal
// Allocates  when slots are added
#pragma once

#include "base/pages.h"
#include "runtime/disk_queue.h"
#include "storage/format.h"
#include "storage/recovery.h"
#include "storage/segment.h"

#include <array>
#include <cstdint>
#include <deque>

namespace penstock::storage {

class Slots {
 public:
  using Written = void (*)(void* owner, Segment& segment, bool good);

  // `written` hears of every header's outcome.
  Slots(runtime::DiskQueue& writes, void* owner, Written written);

  void add(FreeSlot slot);
  [[nodiscard]] std::uint32_t free() const { return static_cast<std::uint32_t>(free_.size()); }
  [[nodiscard]] FreeSlot take();
  // Whether another header can be written now.
  [[nodiscard]] bool can_write() const;
  // Starts the header's write.
  void write_header(Segment& segment, const format::SlotHeader& header);
  [[nodiscard]] bool quiet() const;

 private:
  struct HeaderWrite : runtime::DiskCall {
    Slots* slots = nullptr;
    Segment* segment = nullptr;  // null: free
    std::byte* sector = nullptr;
  };
  static void finished(runtime::DiskCall& call, std::int32_t result, Nanos now);

  runtime::DiskQueue& writes_;
  void* owner_;
  Written written_;
  std::deque<FreeSlot> free_;  // the one unused for longest first: wear is spread
  base::Pages sectors_;
  std::array<HeaderWrite, 4> headers_;
};

}  // namespace penstock::storage
