// Reads records back: from the tail window at once, else from the device by the read queue.
//
//   start ─► (find frame ─► deliver from memory)* ─► done
//                 └─► waiting for a buffer ─► reading (index pages, or frames) ─┐
//                 ▲────────────────────────────────────────────────────────────┘
//
// A page that cannot be read makes its segment be scanned block by block (rescan.h).
//
// Shape      at most kReadBuffers operations read the device at once, one of them a frame larger than a
//            buffer; the others wait in order. An operation has one read in flight
// Owner      its journal
// Allocates  an operation's state, kept for the next; memory for a large frame while it is read
// Errors     a checksum that does not match and EIO are tried once more, then kDataLoss for exactly the
//            records that cannot be read. Records that are missing in the index are lost, too, unless
//            their segment was recycled under the reader's feet
#pragma once

#include "base/pages.h"
#include "runtime/disk_queue.h"
#include "storage/append.h"
#include "storage/index.h"
#include "storage/journal.h"
#include "storage/rescan.h"
#include "storage/tail.h"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace penstock::storage {

inline constexpr std::size_t kReadBuffers = 8;
inline constexpr std::uint32_t kReadBytes = 256 * kKiB;

class Reader {
 public:
  // `unpinned` hears of a recycled segment that no read uses any more.
  using Unpinned = void (*)(void* owner, Segment& segment);
  Reader(Index& index, const TailWindow& tail, const Appender& appender, std::uint64_t slot_bytes,
         runtime::DiskQueue& reads, void* owner, Unpinned unpinned);

  void start(ReadOp& op);
  // The segment's records are gone on purpose: operations pass over them.
  void recycled(const Segment& segment);

  [[nodiscard]] bool quiet() const { return reading_ == 0 && rescan_.quiet(); }
  [[nodiscard]] std::uint64_t tail_reads() const { return tail_reads_; }
  [[nodiscard]] std::uint64_t disk_reads() const { return disk_reads_; }
  [[nodiscard]] std::size_t memory_bytes() const { return buffers_.size(); }

 private:
  enum class Reads : std::uint8_t { kFrames, kPages };
  struct Active : runtime::DiskCall {
    Reader* reader = nullptr;
    ReadOp* asked = nullptr;
    std::uint64_t at = 0;     // next record to deliver
    std::uint64_t floor = 0;  // records below were recycled since the start
    std::uint64_t device_bytes = 0;
    bool retried = false;  // the read at hand is the second try
    bool distrusts_memory = false;
    Reads reads = Reads::kFrames;
    Segment* pinned = nullptr;  // while a read of it is in flight
    std::uint32_t page = 0;     // kPages: the first one read
    // Frames that were read: bytes of segment `held` from `held_offset` on.
    std::byte* buffer = nullptr;
    base::Pages large;
    SegmentNumber held;
    std::uint64_t held_offset = 0;
    std::uint32_t held_bytes = 0;
    Active* next = nullptr;  // waiting, or free
    void set_operation(const Segment& segment, std::uint64_t offset, std::uint64_t bytes);
    [[nodiscard]] std::byte* data() const { return large.size() > 0 ? large.data() : buffer; }
  };
  struct Waiting {
    Active* head = nullptr;
    Active* tail = nullptr;
    void push(Active& a);
    [[nodiscard]] Active* pop();
  };

  void advance(Active& a) {
    while (step(a)) {
    }
  }
  // One step; false when the operation waits or is done.
  [[nodiscard]] bool step(Active& a);
  [[nodiscard]] bool is_passed_over(const Active& a, const Found& found) const;
  [[nodiscard]] bool pass_over(Active& a, const Found& found);
  [[nodiscard]] bool take_frame(Active& a, const Found& found);
  [[nodiscard]] bool deliver(Active& a, const Found& found, const std::byte* bytes, bool memory);
  [[nodiscard]] bool missing(Active& a, std::uint64_t until);
  bool lost(Active& a, std::uint64_t until);
  bool finish(Active& a, Result<> outcome);

  [[nodiscard]] std::uint64_t useful_end(const Active& a, const Found& found) const;
  void read_frames(Active& a, const Found& found);
  void read_pages(Active& a, const Found& found);
  [[nodiscard]] bool get_buffer(Active& a);
  void start_read(Active& a, Segment& segment, std::uint64_t offset, std::uint64_t bytes);
  static void completed(runtime::DiskCall& call, std::int32_t result, Nanos now);
  void frames_arrived(Active& a, bool good);
  void pages_arrived(Active& a, bool good);
  static void rescanned(void* self, Segment& segment);
  void unpin(Active& a);
  void drop_large(Active& a);
  void release_buffer(Active& a);
  void serve_waiting();
  [[nodiscard]] Active& take();

  Index& index_;
  const TailWindow& tail_;
  const Appender& appender_;
  runtime::DiskQueue& reads_;
  void* owner_;
  Unpinned unpinned_;
  std::vector<std::unique_ptr<Active>> all_;
  Active* free_ = nullptr;
  Waiting waiting_;        // for a buffer
  Waiting waiting_large_;  // for the one large read to end
  Waiting waiting_rescan_;
  Rescan rescan_;
  bool serving_ = false;
  base::Pages buffers_;
  std::array<std::byte*, kReadBuffers> free_buffers_{};
  std::size_t free_count_ = 0;
  bool large_in_use_ = false;
  std::size_t reading_ = 0;
  std::uint64_t tail_reads_ = 0;
  std::uint64_t disk_reads_ = 0;
};

}  // namespace penstock::storage
