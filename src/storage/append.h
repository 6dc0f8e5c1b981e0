// Group commit: fills blocks in the tail window, writes them, and says which are durable.
//
//   block    open ─► in flight ─► durable       (a failed or short write fences everything after it)
//   segment  header in flight with its first blocks; a block counts as durable only behind it
//
// Shape      at most `depth` blocks in flight besides SEAL and idle blocks, one more being filled;
//            durable in order
// Owner      its journal
// Allocates  when a segment is opened or sealed
// Source     FORMAT.md §4, §5; blueprint §5
#pragma once

#include "runtime/disk_queue.h"
#include "storage/append_limits.h"
#include "storage/block_writer.h"
#include "storage/index.h"
#include "storage/journal.h"
#include "storage/segment_table.h"
#include "storage/slots.h"
#include "storage/tail.h"

#include <array>
#include <cstdint>
#include <span>

namespace penstock::storage {

struct AppendCounters {
  std::uint64_t blocks = 0;
  std::uint64_t idle_blocks = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t frames = 0;
  std::uint64_t seals = 0;
};

class Appender {
 public:
  Appender(const JournalOptions& options, const AppendLimits& limits,
           const RecoveredJournal& recovered, TailWindow& tail, Index& index,
           SegmentTable& segments, runtime::DiskQueue& writes);

  // The segment that recovery found open: the first block goes behind its last.
  void resume(Segment& open);

  [[nodiscard]] AppendState append_state(bool control) const;
  [[nodiscard]] std::span<std::byte> open_frame(std::size_t body_min, std::size_t body_max);
  void close_frame(const FrameFields& fields, std::size_t body_bytes);
  [[nodiscard]] bool block_open() const { return block_.open(); }
  [[nodiscard]] bool can_submit() const { return flying_ < limits_.depth; }
  [[nodiscard]] std::size_t frame_body_max() const {
    return limits_.block_max - sizeof(format::BlockHeader) - sizeof(format::FrameHeader);
  }
  Lsn submit_block(Nanos now, WallMillis wall, RetentionMillis retention);
  // The idle block, where one is due.
  [[nodiscard]] runtime::WorkCount poll(Nanos now, WallMillis wall, RetentionMillis retention);
  [[nodiscard]] Nanos next_deadline() const;
  [[nodiscard]] bool quiet() const { return outstanding_ == 0 && slots_.quiet(); }

  [[nodiscard]] Lsn durable() const { return durable_; }
  // Whether the frame at `offset` of the segment is in a durable block.
  [[nodiscard]] bool durable(const Segment& segment, std::uint32_t offset) const {
    return segment.number < durable_segment_ ||
           (segment.number == durable_segment_ && offset < durable_end_);
  }
  [[nodiscard]] bool fenced() const { return fenced_; }
  void fence() { fenced_ = true; }
  // A trailer that states `durable()` is on the disk.
  void stated_durable(Lsn lsn);

  [[nodiscard]] Slots& slots() { return slots_; }
  [[nodiscard]] const Slots& slots() const { return slots_; }
  [[nodiscard]] AppendCounters& counters() { return counters_; }
  [[nodiscard]] const AppendCounters& counters() const { return counters_; }

 private:
  struct Flight : runtime::DiskCall {
    Appender* appender = nullptr;
    Segment* segment = nullptr;
    Lsn lsn;
    std::uint64_t end = 0;
    bool done = false;
    bool idle = false;
  };
  struct Rewrite : runtime::DiskCall {
    bool busy = false;
  };
  // SEAL and idle blocks come on top of `depth`.
  static constexpr std::size_t kFlights = 16;
  static_assert(kFlights >= kDepthMax + 4);
  // A block this long is written while the next one is filled; several shorter ones go to the device
  // together, at the end of the turn.
  static constexpr std::uint32_t kHandOverBytes = 128 * 1024;

  // Where the segment's blocks must end with so many more frames, each of a shard of its own.
  [[nodiscard]] std::uint64_t blocks_limit(std::uint64_t more_frames) const;
  // Room in the open segment for a block of one frame, sector for a SEAL block set aside.
  [[nodiscard]] std::uint64_t segment_room() const;
  // Bytes left for the body of one more frame in the open block.
  [[nodiscard]] std::uint64_t body_room() const;
  [[nodiscard]] bool begin_block(std::size_t body_min);
  void open_segment();
  [[nodiscard]] bool should_seal() const;
  [[nodiscard]] bool idle_block_due() const;
  Lsn finish_block(bool seal);
  // A block without frames; the last of the segment where `seal`.
  void write_empty(bool seal);
  void seal_segment();
  void index_frame(const format::FrameHeader& frame, std::uint32_t offset);
  void start_write(std::byte* block, const format::BlockHeader& header);
  void fly(Flight& flight);
  void rewrite_tail();  // a planted bug (append_sabotage.cc)
  [[nodiscard]] Flight& flight(std::size_t i) { return flights_[(first_flight_ + i) % kFlights]; }
  static void written(runtime::DiskCall& call, std::int32_t result, Nanos now);
  static void header_written(void* self, Segment& segment, bool good);
  void advance();
  void land(const Flight& flight);

  AppendLimits limits_;
  std::int64_t idle_nanos_;
  TailWindow& tail_;
  Index& index_;
  SegmentTable& segments_;
  runtime::DiskQueue& writes_;
  Slots slots_;
  BlockWriter block_;
  std::byte* block_at_ = nullptr;
  std::uint64_t block_capacity_ = 0;
  std::uint64_t wanted_ = 0;  // of a frame that found no room in the tail window

  // Identity and position.
  CellId cell_;
  format::Uuid box_;
  std::uint64_t tag_;
  std::uint32_t epoch_;
  Lsn recovered_;
  bool first_ = true;  // no block of this epoch yet
  Lsn next_;
  std::uint64_t chain_;
  std::uint64_t frame_no_ = 1;
  SegmentNumber next_segment_;
  Segment* open_ = nullptr;

  // As of the latest call; retention never goes back, whatever the clock does over a restart.
  Nanos now_;
  WallMillis wall_;
  RetentionMillis retention_{INT64_MIN};

  std::array<Flight, kFlights> flights_;
  std::size_t first_flight_ = 0;
  std::size_t flying_ = 0;       // not durable yet
  std::size_t outstanding_ = 0;  // writes that the device has not answered
  Lsn durable_;
  SegmentNumber durable_segment_;
  std::uint64_t durable_end_ = 0;
  bool fenced_ = false;

  std::uint64_t last_offset_ = 0;  // of the newest block in its slot
  Lsn stated_;                     // highest LSN that something written later calls durable
  bool last_idle_ = false;
  Nanos last_submit_;
  bool polled_ = false;
  Rewrite rewrite_;
  AppendCounters counters_;
};

}  // namespace penstock::storage
