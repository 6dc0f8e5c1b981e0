// One cell's journal: blocks of frames appended by group commit, and the index that finds them again.
//
// The owner opens frames in the open block, fills and closes them, and submits the block. A block is
// one O_DIRECT|O_DSYNC write of whole sectors, never rewritten; up to `depth` are in flight. A block is
// durable when its write and those of all earlier blocks are.
//
// Units      lengths in bytes; `now` in nanoseconds since boot
// Shape      block ≤ block_target, or one frame larger than that up to block_max; frames of one shard
//            in one block; a control frame has key {0, 0}
// Owner      one data core. Borrows two `DiskQueue`s (writes; reads of older data), which outlive it
// Allocates  in the constructor and when a segment seals; never per frame or block
// Errors     a failed or short write fences the journal: nothing is acknowledged any more, the durable
//            prefix stays readable. `append_state` says so
// States     Open ─► Fenced (until `penstock cell clear`)
// Source     src/storage/FORMAT.md; blueprint §5
#pragma once

#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "runtime/disk_queue.h"
#include "storage/batch.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace penstock::storage {

enum class FrameKind : std::uint8_t {
  kBatches = 1,    // one shard's batches
  kCatalogue = 2,  // catalogue log, cell 0 only; body belongs to src/catalog
  kShard = 3,      // OPEN, CLOSE, TRIM, PRODUCER of one shard; body is a ShardControl
};

// What a shard's cell writes about the shard itself. Derived from the catalogue's decision and
// idempotent by (stream, shard, kind, catalogue version); all but PRODUCER, which is the shard's own:
// a producer has opened an epoch here. Stored as is, little endian.
enum class ShardControlKind : std::uint8_t { kOpen = 1, kClose = 2, kTrim = 3, kProducer = 4 };
struct ShardControl {
  ShardControlKind kind = ShardControlKind::kOpen;
  std::uint8_t reserved[7] = {};
  std::uint64_t catalogue_version = 0;
  std::uint64_t index = 0;  // CLOSE: final next index. TRIM: first index that stays
  // OPEN: inclusive hash range, high then low. PRODUCER: the producer's id and the epoch.
  std::uint64_t range_begin[2] = {};
  std::uint64_t range_end[2] = {};
  std::int64_t created_second = 0;  // OPEN: creation second of the shard (sequence numbers, §4.5)
};
static_assert(sizeof(ShardControl) == 64);

struct FrameFields {
  FrameKind kind = FrameKind::kBatches;
  ShardKey shard = {};
  RecordIndex first = {};     // kBatches
  std::uint32_t records = 0;  // kBatches
  WallMillis arrival_min = {};
  WallMillis arrival_max = {};
};

struct JournalOptions {
  CellId cell = {};
  std::uint64_t slot_bytes = 256 * kMiB;
  std::uint64_t tail_bytes = 64 * kMiB;  // tail window: the memory that blocks live in
  std::uint32_t block_target = 1 * kMiB;
  std::uint32_t block_max = 16 * kMiB;
  std::uint32_t depth = 4;  // blocks in flight
  std::int64_t idle_block_nanos = 100 * kNanosPerMilli;
  std::uint64_t index_cache_bytes = 8 * kMiB;
};

// A frame where it lies.
struct FrameRef {
  SegmentNumber segment;
  std::uint32_t offset = 0;  // in the segment's slot
  std::uint32_t length = 0;  // header and body
  RecordIndex first;
  std::uint32_t records = 0;
  WallMillis arrival;         // of its first record
  RetentionMillis retention;  // of its block: what expiry goes by
};

struct SegmentSummary {
  SegmentNumber number;
  Lsn last;
  // One per shard present: what decides when the slot may be recycled.
  struct Run {
    ShardKey shard;
    RecordIndex last_index;
    RetentionMillis retention_last;
  };
  std::vector<Run> runs;
};

// Receives batches in index order. Called on the journal's core.
class BatchSink {
 public:
  struct Taken {
    std::uint32_t records =
        0;                    // of the batch, counted from `from`; fewer than offered ends the read
    std::uint64_t bytes = 0;  // their data and keys: what read limits count
    bool more = true;         // false ends the read after these
  };
  virtual ~BatchSink() = default;
  // `from`: first record of the batch that is wanted; `until`: one past the last that may be taken.
  // The bytes are valid during the call only.
  [[nodiscard]] virtual Taken on_batch(const BatchView& batch, std::uint32_t from,
                                       std::uint32_t until) = 0;
};

// Reads records [from, until) of a shard, from the tail window at once where it can, else by the
// read queue. `done` is called exactly once, from `start` or later from the queue's poll.
struct ReadOp {
  ShardKey shard = {};
  RecordIndex from = {};
  RecordIndex until = {};
  WallMillis arrival_from{INT64_MIN};   // records that arrived earlier are passed over
  std::uint64_t bytes_max = 10 * kMiB;  // bytes of the device that one call may read
  BatchSink* sink = nullptr;
  void (*done)(ReadOp& op) = nullptr;
  RetentionMillis retention_from{INT64_MIN};  // frames written earlier have expired: passed over
  // Results. `next`: where a following read goes on: one past the last record taken or passed over. kDataLoss names the range [from, next) as lost;
  // the sink got what came before it.
  RecordIndex next = {};
  std::uint64_t bytes_taken = 0;
  WallMillis last_arrival = {};  // of the last record taken or passed over
  bool from_device = false;      // some of it had left the tail window
  Result<> outcome = {};
  void* context = nullptr;  // the caller's
};

enum class AppendState : std::uint8_t { kOpen, kBusy, kFull, kFenced };

struct JournalMetrics {
  std::uint64_t blocks = 0;  // acknowledged group commits, idle blocks excluded
  std::uint64_t idle_blocks = 0;
  std::uint64_t bytes_written = 0;  // to the device, padding, headers and footers included
  std::uint64_t frames = 0;
  std::uint64_t tail_reads = 0;  // frames served from memory
  std::uint64_t disk_reads = 0;  // reads of the device for consumers
  std::uint64_t segments = 0;
  std::uint64_t slots_free = 0;
  std::uint64_t slots_total = 0;
};

class JournalImpl;
struct RecoveredJournal;  // storage/recovery.h

class Journal {
 public:
  Journal(const JournalOptions& options, RecoveredJournal recovered, runtime::DiskQueue& writes,
          runtime::DiskQueue& reads);
  ~Journal();

  // --- Append ---------------------------------------------------------------------------------
  // kOpen: a block is open, or may be: one even while `depth` are in flight, so that it is ready when
  // the first of them returns. kBusy: not now, because a new segment's first block is not filled
  // ahead, or because the tail window is full of blocks in flight. kFull: no free slot (`control`
  // frames may use the reserved one). kFenced.
  [[nodiscard]] AppendState append_state(bool control) const;
  // Space for a frame's body in the open block: at least `body_min` and at most `body_max` bytes,
  // 8-byte aligned. Empty when the open block has no room: submit it and come back. Empty though
  // no block is open: `append_state` now says what there is to wait for.
  // REQUIRES: append_state is kOpen, no frame is open, body_min ≤ frame_body_max().
  [[nodiscard]] std::span<std::byte> open_frame(std::size_t body_min, std::size_t body_max);
  // `body_bytes` of the space were used. A frame of kBatches holds whole batches.
  void close_frame(const FrameFields& fields, std::size_t body_bytes);
  // What the options, the tail window (half of it) and the slot (half of it) leave for one body.
  [[nodiscard]] std::size_t frame_body_max() const;
  [[nodiscard]] bool block_open() const;
  // Fewer than `depth` blocks are in flight.
  [[nodiscard]] bool can_submit() const;
  // Seals the open block and starts its write. Returns its number.
  // REQUIRES: block_open(), can_submit() unless fenced, no frame open.
  Lsn submit_block(Nanos now, WallMillis wall, RetentionMillis retention);
  // All blocks up to here are durable. Rises only.
  [[nodiscard]] Lsn durable() const;
  [[nodiscard]] bool fenced() const;
  // Idle block, footers, slot headers. Once a turn, after the disk queues were polled.
  [[nodiscard]] runtime::WorkCount poll(Nanos now, WallMillis wall, RetentionMillis retention);
  [[nodiscard]] Nanos next_deadline() const;
  // Nothing in flight (for a clean stop).
  [[nodiscard]] bool quiet() const;

  // --- Read -----------------------------------------------------------------------------------
  void start(ReadOp& op, Nanos now);
  // Index of the first record of the shard that arrived at or after `arrival` within
  // [from, until), found through the index alone down to the frame: never later than the exact one.
  [[nodiscard]] RecordIndex find_arrival(ShardKey shard, WallMillis arrival, RecordIndex from,
                                         RecordIndex until) const;
  // The same by the retention clock: the first index in [from, until) whose frame was written at or
  // after `horizon`; `until` where all are older. What lies below it has expired.
  [[nodiscard]] RecordIndex find_retention(ShardKey shard, RetentionMillis horizon,
                                           RecordIndex from, RecordIndex until) const;
  // Oldest record that is still stored. `none` where the shard has none.
  [[nodiscard]] RecordIndex oldest(ShardKey shard, RecordIndex none) const;

  // --- Slots ----------------------------------------------------------------------------------
  // A slot of slot_bytes, written through once, that nobody uses.
  void add_slot(env::FileId file, std::uint32_t slot);
  [[nodiscard]] std::uint32_t slots_free() const;
  // Sealed segments, oldest first.
  [[nodiscard]] std::vector<SegmentSummary> sealed() const;
  [[nodiscard]] std::vector<SegmentNumber> sealed_numbers() const;
  // The same without a copy; a visit that says false is the last one. A segment's first costs a
  // search for each of its runs.
  using SealedVisit =
      std::function<bool(SegmentNumber, Lsn last, std::span<const SegmentSummary::Run> runs)>;
  void visit_sealed(const SealedVisit& visit) const;
  // Forgets the segments and makes their slots free again. REQUIRES: sealed, and a durable
  // snapshot that covers them and does not list them.
  void recycle(std::span<const SegmentNumber> segments);
  // Counts segments sealed since start: a change calls for a snapshot.
  [[nodiscard]] std::uint64_t seal_count() const;

  [[nodiscard]] JournalMetrics metrics() const;
  // What it may come to use; pages become resident when first touched.
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  std::unique_ptr<JournalImpl> impl_;
};

}  // namespace penstock::storage
