// What the service core (catalogue, retention) asks of cells, and the answer. A command travels by mail
// to the data core that owns the cell and comes back when its effect is durable.
//
// Owner      the service core makes and frees a command; it is the cells' between `start` and `done`.
//            `done` runs on the service core, never inside `start`
// Errors     kJournalFull (the reserved slot is used up, too: try again when segments were recycled),
//            kFenced: nothing was written. kUnknownOutcome: fenced with it in flight. kStopping
#pragma once

#include "env/disk.h"
#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "route/map.h"
#include "storage/journal.h"
#include "storage/store.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace penstock::shard {

enum class CommandKind : std::uint8_t {
  kCatalogue,   // append `body` as a catalogue frame (cell 0 alone); done when durable
  kOpenShard,   // apply and write `control`; idempotent; done when durable
  kCloseShard,  // from now on the shard refuses puts with kWrongShard (they wait for a newer map).
                // control.index is filled in with the final next index; done when all is durable.
                // `last_arrival` tells the wall time of its last record
  kReopenShard,  // undoes a close whose split or merge was abandoned before its COMMIT; durable where
                 // the CLOSE was. REQUIRES: a catalogue version above that of the CLOSE
  kTrimShard,    // control.index: first index that stays; UINT64_MAX removes the shard altogether
  kExpire,       // advance every shard's trim point: `horizons` by stream, on the retention clock
  kDescribe,     // fill `snapshot` (durable prefix only), `spent`, `metrics`, `seal_count`
  kAddSlot,      // hand over `slot_file`, `slot`
  kRecycle,      // forget `segments`, free their slots
};

struct CellCommand {
  CommandKind kind = CommandKind::kDescribe;
  CellId cell;
  std::vector<std::byte> body;
  ShardKey shard;
  storage::ShardControl control;
  WallMillis last_arrival;
  struct Horizon {
    StreamUid stream;
    RetentionMillis oldest;  // what was written before it has expired
  };
  std::vector<Horizon> horizons;
  storage::CellSnapshot snapshot;
  // Whether a snapshot is to be written of it. If not, it comes without its producers, up to 2.6 MiB
  // that the data core would copy on every tick.
  bool for_snapshot = true;
  // Sealed segments that no shard here needs any more, oldest first; of many, some now, more later.
  std::vector<storage::SegmentSummary> spent;
  storage::JournalMetrics metrics;
  std::uint64_t seal_count = 0;
  std::uint32_t slots_free = 0;
  bool fenced = false;
  bool full = false;  // refuses puts
  // In, of kDescribe: the cell's journal is being given a slot, or is about to be: where it has none,
  // puts wait for that, as long as they may.
  bool room_coming = false;
  env::FileId slot_file = env::FileId::kNone;
  std::uint32_t slot = 0;
  std::vector<SegmentNumber> segments;

  Result<> outcome;
  void (*done)(CellCommand& command, Nanos now) = nullptr;
  void* context = nullptr;
};

// All cells, as the service core sees them.
class CellPlane {
 public:
  virtual ~CellPlane() = default;
  [[nodiscard]] virtual std::uint16_t cells() const = 0;
  [[nodiscard]] virtual CoreId core_of(CellId cell) const = 0;
  virtual void start(CellCommand& command, Nanos now) = 0;
  // Gives every data core the map; `done` when all have it. Calls are answered in order.
  virtual void publish(std::shared_ptr<const route::RouteMap> map,
                       void (*done)(void* context, Nanos now), void* context, Nanos now) = 0;
};

}  // namespace penstock::shard
