// A cell: its journal and the shards in it. Admits entries, numbers them, places them in the open
// block, and settles them when their block is durable.
//
// A turn calls, in this order: `settle` (after the disk queues were polled), then `take`, `read`,
// `command` for what arrived, then `place`, which gives the disk what this turn collected, as far as
// blocks may leave.
//
// Units      `now` nanoseconds since boot, `wall` milliseconds since 1970 UTC
// Shape      at most kTickets blocks open or in flight; frames of records per block ≤
//            kPlacedPerBlock
// Owner      one data core
// Allocates  in the constructor and for commands; never per record
// Errors     a fenced journal: entries in flight become kUnknownOutcome, later ones kFenced; the
//            durable prefix stays readable
#pragma once

#include "penstock/ids.h"
#include "penstock/units.h"
#include "runtime/work.h"
#include "shard/commands.h"
#include "shard/producers.h"
#include "shard/requests.h"
#include "shard/shard.h"
#include "shard/waiting_reads.h"
#include "storage/journal.h"
#include "storage/store.h"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace penstock::shard {

struct CellCounters {
  std::uint64_t records_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t records_throttled = 0;
  std::uint64_t records_refused = 0;
  std::uint64_t records_unknown = 0;
  std::uint64_t records_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t reads_throttled = 0;
};

class Cell {
 public:
  // What the cell hands back to its core: entries with an outcome, finished commands and reads.
  class Outlet {
   public:
    virtual ~Outlet() = default;
    virtual void settled(PutEntry* list, std::uint32_t count, Nanos now) = 0;
    virtual void finished(CellCommand& command, Nanos now) = 0;
    virtual void finished(ReadRequest& request, Nanos now) = 0;
    virtual void finished(ProducerRequest& request, Nanos now) = 0;
  };

  Cell(const storage::JournalOptions& options, storage::RecoveredCell recovered,
       runtime::DiskQueue& writes, runtime::DiskQueue& reads, Outlet& outlet,
       std::uint32_t producers_max = kProducersMax);
  ~Cell();

  [[nodiscard]] CellId id() const { return id_; }
  [[nodiscard]] Shard* find(ShardKey key);

  // Takes an entry for a shard of this cell: pending, or refused at once with its outcome set
  // (then the result is false and the caller has it back). `shard` may be null: no such shard here.
  // REQUIRES: the entry is a record.
  [[nodiscard]] bool take(PutEntry& entry, Shard* shard, Nanos now);
  // The same for a batch.
  [[nodiscard]] bool take_batch(PutEntry& entry, Shard* shard, Nanos now);
  void read(ReadRequest& request, Nanos now, WallMillis wall);
  void open_producer(ProducerRequest& request, Nanos now, WallMillis wall);
  void command(CellCommand& command, Nanos now, WallMillis wall);

  [[nodiscard]] runtime::WorkCount settle(Nanos now, WallMillis wall);
  [[nodiscard]] runtime::WorkCount place(Nanos now, WallMillis wall);
  // Entries past their deadline: what is in flight becomes unknown, what is not is refused. Reads that have
  // waited long enough come back.
  void expire(Nanos now);
  // Reads that wait come back, and none waits from now on: the daemon stops.
  void end_waits(Nanos now);

  void set_retention_now(RetentionMillis now) { retention_now_ = now; }
  [[nodiscard]] Nanos next_deadline() const { return journal_.next_deadline(); }
  // Nothing pending and nothing in flight. Reads may wait.
  [[nodiscard]] bool quiet() const;
  [[nodiscard]] bool reads_wait() const { return !waiting_.empty(); }
  [[nodiscard]] bool fenced() const { return journal_.fenced(); }
  // The journal has no room for records, and none is coming: puts are refused as kJournalFull. What
  // refuses them asks this, and so does what tells of it.
  [[nodiscard]] bool full() const { return refuses(journal_.append_state(false)); }
  [[nodiscard]] const CellCounters& counters() const { return counters_; }
  [[nodiscard]] storage::JournalMetrics journal_metrics() const { return journal_.metrics(); }
  [[nodiscard]] std::size_t shard_count() const { return shards_.size(); }

 private:
  // What one block holds that is open or in flight.
  struct Placed {
    Shard* shard;
    RecordIndex next;
    WallMillis arrival;
  };
  struct Mark {
    ProducerWindow* window;
    std::uint32_t sequence;
  };
  struct Ticket {
    Lsn lsn;
    PutEntry* head = nullptr;
    PutEntry* tail = nullptr;
    std::uint32_t entries = 0;
    Nanos deadline = runtime::kNever;  // no entry's is earlier
    std::vector<Placed> placed;
    std::vector<Mark> marks;  // its batches of idempotent producers
    std::vector<CellCommand*> commands;
    ProducerRequest* openings = nullptr;  // answered when it is durable, latest first

    // A list of entries of which none has an earlier deadline than that.
    void append(PutEntry& first, PutEntry& last, std::uint32_t count, Nanos earliest) {
      (tail == nullptr ? head : tail->next) = &first;
      tail = &last;
      last.next = nullptr;
      entries += count;
      deadline = std::min(deadline, earliest);
    }
  };
  static constexpr std::size_t kTickets = 16;
  static constexpr std::size_t kPlacedPerBlock = 8192;
  static constexpr std::size_t kMarksPerBlock = 8192;
  static constexpr std::size_t kRunsPerDescribe =
      std::size_t{16} * 1024;  // some tenths of a millisecond
  struct Kept {
    PutEntry* head = nullptr;
    PutEntry* tail = nullptr;
    std::uint32_t entries = 0;
    std::uint32_t batches = 0;
    std::size_t bytes = 0;
    Nanos deadline = runtime::kNever;
  };

  struct Piece {
    std::uint32_t records = 0;
    std::size_t payload = 0;  // bytes of keys and data
  };

  static constexpr std::int64_t kRoomToldNanos = 5 * kNanosPerSecond;
  [[nodiscard]] bool refuses(storage::AppendState state) const {
    return state == storage::AppendState::kFull && turn_now_ >= room_until_;
  }
  [[nodiscard]] static Piece first_piece(const PutEntry* head, const PutEntry* end,
                                         std::size_t bytes_max);
  [[nodiscard]] static Piece first_piece(const Shard& shard, std::size_t bytes_max);
  void place_shard(Shard& shard, WallMillis wall);
  // The same where some entries are batches.
  void place_mixed(Shard& shard, WallMillis wall);
  // Each writes one batch and returns the bytes used.
  [[nodiscard]] std::size_t write_piece(Shard& shard, const Piece& piece, std::span<std::byte> room,
                                        WallMillis arrival);
  [[nodiscard]] std::size_t write_batch(Shard& shard, std::span<std::byte> room,
                                        WallMillis arrival);
  void close_frame(Shard& shard, RecordIndex first, WallMillis arrival, std::size_t bytes);
  [[nodiscard]] bool place_command(CellCommand& command);
  // Whether the shard's first entry, a batch, is to be placed. Else it is gone from there: it has its
  // outcome, or awaits that of the batch that it repeats.
  [[nodiscard]] bool to_be_placed(Shard& shard);
  void repeat(PutEntry& entry, const Shard& shard, const ProducerWindow::Entry& first);
  // Whether the request needs no frame: it is answered, or will be with a block under way.
  [[nodiscard]] bool resolve(ProducerRequest& request);
  [[nodiscard]] bool resolve_closed(ProducerRequest& request, const ProducerWindow* window);
  // False: the open block is full and cannot leave yet.
  [[nodiscard]] bool place_openings(Nanos now, WallMillis wall);
  [[nodiscard]] bool place_opening(ProducerRequest& request);
  void settle_producers(Ticket& ticket, const Result<>& outcome, Nanos now);
  void answer(ProducerRequest& request, Result<> outcome);
  // Where the journal takes it, and there is one: the open block. False: it must wait.
  bool submit(Nanos now, WallMillis wall);
  // The same for a block that takes no more: what comes later does not try it again.
  [[nodiscard]] bool submit_full(Nanos now, WallMillis wall);
  [[nodiscard]] Ticket& open_ticket();
  [[nodiscard]] Ticket& newest_ticket();
  void settle_ticket(Ticket& ticket, const Result<>& outcome, Nanos now);
  void fail_all(Nanos now);
  void refuse_all(Nanos now);
  void refuse_pending(ErrorCode error, Nanos now);
  void refuse_pending(Shard& shard, ErrorCode error, Nanos now);
  void refuse_commands(ErrorCode error, Nanos now);
  void refuse_openings(ErrorCode error);
  void expire_openings(ErrorCode error, Nanos now);
  void expire_pending(Shard& shard, ErrorCode late, Nanos now);
  void refuse(PutEntry& entry, ErrorCode error, Nanos now);
  void count_refused(ErrorCode error, std::uint32_t records);
  [[nodiscard]] PutEntry& take_first(Shard& shard);
  [[nodiscard]] Kept refuse_late(PutEntry* entry, ErrorCode error, Nanos now);
  void touch(Shard& shard);
  void apply_open(CellCommand& command, Nanos now);
  void apply_close(CellCommand& command);
  void apply_trim(CellCommand& command);
  void apply_expiry(const CellCommand& command);
  void describe(CellCommand& command);
  void describe_spent(CellCommand& command);
  void remove_if_idle(Shard& shard);
  void start_read(ReadRequest& request, Shard& shard, Nanos now);
  static void tell_distance(ReadRequest& request, const Shard& shard, WallMillis reached);
  void wait(ReadRequest& request, Shard& shard, Nanos now);
  void wake_readers(Shard& shard);
  void go_on_reading(Nanos now);
  void end_wait(ReadRequest& request, Nanos now);
  static void read_done(storage::ReadOp& op);

  CellId id_;
  storage::JournalOptions options_;
  Outlet& outlet_;
  std::unordered_map<ShardKey, std::unique_ptr<Shard>> shards_;
  storage::Journal journal_;
  RetentionMillis retention_now_;
  std::unordered_map<StreamUid, RetentionMillis>
      horizons_;  // of streams with shards here, as last told
  // Of sealed segments: how many of its runs nobody here needs, from the first on.
  std::map<SegmentNumber, std::size_t> spent_runs_;

  Shard* touched_head_ = nullptr;
  Shard* touched_tail_ = nullptr;
  std::size_t pending_bytes_ = 0;        // of keys and data, of all shards
  std::deque<CellCommand*> commands_;    // waiting for a block
  ProducerRequest* openings_ = nullptr;  // the same
  ProducerRequest* last_opening_ = nullptr;
  ProducerWindows producers_;
  bool shards_gone_ = false;  // and their producers are to be, by the end of the next `settle`
  std::array<Ticket, kTickets> tickets_;
  std::size_t first_ticket_ = 0;  // oldest in flight
  std::size_t ticket_count_ = 0;  // in flight, the open one included
  bool ticket_open_ = false;
  bool block_full_ = false;  // the open block, which waits until the journal takes it
  WaitingReads waiting_;
  ReadList woken_;  // their shard has something, or has closed
  bool waits_ended_ = false;
  Lsn covered_;  // the durable prefix that `shards_` shows as visible
  bool failed_ = false;
  // Room is coming, as last told: it is told every second, and not for longer believed.
  Nanos room_until_;
  bool full_ = false;  // puts found no room, and there was none yet at this turn's `settle`
  Nanos turn_now_;
  WallMillis turn_wall_;
  CellCounters counters_;
};

}  // namespace penstock::shard
