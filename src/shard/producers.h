// What a cell knows of idempotent producers: for each producer and shard the epoch that it has opened,
// and where its latest batches lie. So a batch that is sent again is answered instead of stored again,
// and one that came past a refused one is refused, too.
//
//   unknown ─► opening (its PRODUCER frame is under way) ─► known ─► opening a later epoch ─► known …
//
// Sequences are decided where a batch is placed, so nothing is ever undone: what is placed is durable or
// the cell fails. An epoch begins when its opening is durable; until then the window is that of the
// epoch before, as the durable prefix has it, and takes nothing more.
//
// Units      idleness by `now`, since clocks are set; wall time in milliseconds since 1970 UTC
// Shape      kWindow batches of each; at most `producers_max` of producer and shard
// Owner      its cell
// Allocates  when a producer is first seen, up to the bound; never per batch
// Source     src/storage/FORMAT.md §3, §6
#pragma once

#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "storage/store.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace penstock::shard {

inline constexpr std::uint32_t kProducersMax = 16 * 1024;  // of one cell
// An idle producer is not forgotten earlier: longer than clients go on sending the same batch.
inline constexpr std::uint32_t kProducerIdleSeconds = 15 * 60;

struct ProducerWindow {
  using Entry = storage::ProducerState::Entry;
  static constexpr std::uint32_t kSize = storage::ProducerState::kWindow;

  ShardKey shard;
  std::uint64_t producer = 0;
  std::uint32_t epoch = 0;
  std::uint32_t last = 0;       // sequence of the last batch placed; 0: none in this epoch
  std::uint32_t durable = 0;    // … of the last that is durable
  std::uint32_t opening = 0;    // the epoch whose opening is under way, where `is_opening`
  std::uint32_t under_way = 0;  // its batches and openings in blocks that are not settled
  std::uint32_t less_used = 0;  // links: use, least first; hash chain, and free list
  std::uint32_t more_used = 0;
  std::uint32_t chain = 0;
  WallMillis last_used;
  std::uint32_t used_second = 0;  // the same by `now`; 0: before the start
  std::uint8_t count = 0;         // of `entries`: the batches up to `last`
  bool known = false;             // `epoch` is open, durably
  bool is_opening = false;
  std::array<Entry, kSize> entries;  // of sequence s at s % kSize

  // The latest epoch that was asked for. REQUIRES: known or opening.
  [[nodiscard]] std::uint32_t newest() const { return is_opening ? opening : epoch; }
};
static_assert(sizeof(ProducerWindow) <= 200);

class ProducerWindows {
 public:
  explicit ProducerWindows(std::uint32_t producers_max);
  // What recovery found, those used least first; of more than there is room for, the last.
  void load(std::span<const storage::ProducerState> states);
  // The time from here on. What was loaded counts as used when it is told first: how long the machine
  // was off, nobody knows.
  void set_now(Nanos now);

  [[nodiscard]] ProducerWindow* find(ShardKey shard, std::uint64_t producer);

  // What becomes of a batch. `window` may be null.
  struct Decision {
    enum class Kind : std::uint8_t { kNext, kRepeated, kRefused };
    Kind kind = Kind::kNext;
    ErrorCode error = ErrorCode::kProducerUnknown;  // kRefused
    ProducerWindow::Entry first;                    // kRepeated: where the batch is
  };
  [[nodiscard]] static Decision decide(const ProducerWindow* window, std::uint32_t epoch,
                                       std::uint32_t sequence);
  // Whether the epoch takes batches: what can be said before the batch's turn comes.
  [[nodiscard]] static Result<> check(const ProducerWindow* window, std::uint32_t epoch);
  // The next batch stands in a block. REQUIRES: decided kNext.
  void place(ProducerWindow& window, RecordIndex first, WallMillis arrival);
  // The block with the batch of this sequence is durable, or will never be. In the order of blocks.
  static void settle(ProducerWindow& window, std::uint32_t sequence, bool durable);

  // Whether a producer that is not known finds room.
  [[nodiscard]] bool has_room() const;
  // The opening of a later epoch, or of a new producer (`window` null), stands in a block.
  // REQUIRES: has_room, where it is new.
  ProducerWindow& begin(ProducerWindow* window, ShardKey shard, std::uint64_t producer,
                        std::uint32_t epoch, WallMillis wall);
  static void settle_opening(ProducerWindow& window, std::uint32_t epoch, bool durable);
  // It was heard of: it is the last to be forgotten.
  void use(ProducerWindow& window, WallMillis wall);
  // Those of shards that are gone: all together, since it looks at every one that there is.
  template <class Gone>
  void remove_if(Gone gone) {
    for (std::uint32_t at = least_used_; at != kNone;) {
      ProducerWindow& window = windows_[at];
      at = window.more_used;
      if (gone(window.shard)) forget(window);
    }
  }

  // As placed; where an opening is under way, as it will be.
  [[nodiscard]] static storage::ProducerState state(const ProducerWindow& window);
  // As the durable prefix has it.
  void describe(std::vector<storage::ProducerState>& out) const;
  [[nodiscard]] std::size_t size() const { return used_; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  [[nodiscard]] std::uint32_t& bucket(ShardKey shard, std::uint64_t producer);
  [[nodiscard]] std::uint32_t number(const ProducerWindow& window) const;
  ProducerWindow& add(ShardKey shard, std::uint64_t producer);
  void forget(ProducerWindow& window);
  void link_last(ProducerWindow& window);
  void unlink(ProducerWindow& window);

  std::uint32_t max_;
  std::uint32_t first_second_ = 0;       // of the times told; 0: none
  std::uint32_t second_ = 0;             // the latest
  std::vector<ProducerWindow> windows_;  // never moves: its memory is reserved
  std::vector<std::uint32_t> buckets_;
  std::uint32_t free_ = kNone;
  std::uint32_t least_used_ = kNone;
  std::uint32_t most_used_ = kNone;
  std::size_t used_ = 0;
};

}  // namespace penstock::shard
