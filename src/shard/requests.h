// What a front door asks of the data cores, and how it hears the outcome. Requests are owned by the
// core that received them and lent to the cores that own the shards; they come back by mail.
//
// Owner      the asking core makes and frees a request; between `put`/`read` and `done` it belongs to
//            the data plane, on whatever core. `done` runs on the asking core, never inside `put`/`read`
// Allocates  never
// Errors     per entry: kThrottled, kThrottledInCall, kJournalFull, kFenced, kOverloaded, kStopping:
//            certainly not stored. kUnknownOutcome: 0 or 1 copy
#pragma once

#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "route/map.h"
#include "storage/batch.h"
#include "storage/journal.h"

#include <cstdint>
#include <span>

namespace penstock::shard {

struct PutRequest;
struct PutParcel;
class Cell;

struct PutEntry {
  storage::RecordRef record;  // in: bytes stay valid until `done`
  // The data plane's, from `put` to `done`.
  PutRequest* request = nullptr;
  PutParcel* parcel = nullptr;
  PutEntry* next = nullptr;
  // Out. `stored` false: `error` says why.
  bool stored = false;
  ErrorCode error = ErrorCode::kUnknownOutcome;
  ShardNumber shard;
  std::int64_t shard_created_second = 0;
  RecordIndex index;
  WallMillis arrival;

  [[nodiscard]] std::size_t payload_bytes() const {
    return std::size_t{record.key_bytes} + record.data_bytes;
  }
};

struct PutRequest {
  StreamUid stream;
  std::span<PutEntry> entries;
  Nanos deadline;  // past it, entries fail as kUnknownOutcome, or as refused if not yet written
  void (*done)(PutRequest& request, Nanos now) = nullptr;
  void* context = nullptr;
  // The data plane's.
  CoreId home;
  std::uint32_t open_parcels = 0;
  bool parked = false;       // some entries wait for a newer map
  std::uint64_t serial = 0;  // never the same twice: the memory of a request is used again
};

enum class ReadStart : std::uint8_t { kIndex, kTrimHorizon, kLatest, kTimestamp };

struct ReadRequest {
  ShardKey shard;
  CoreId owner;  // from the route map
  ReadStart start = ReadStart::kIndex;
  RecordIndex index;     // kIndex
  WallMillis timestamp;  // kTimestamp
  // Receives batches on the owning core, in order; null asks for the resolved position alone
  // (`next`), reads nothing and debits nothing.
  storage::BatchSink* sink = nullptr;
  void (*done)(ReadRequest& request, Nanos now) = nullptr;
  void* context = nullptr;
  // Out.
  Result<>
      outcome;  // kThrottled, kNotFound (no such shard), kFenced (not opened), kDataLoss, kSystem
  RecordIndex next;     // where the next read goes on
  bool at_end = false;  // closed shard, everything read
  std::int64_t millis_behind = 0;
  // The data plane's.
  CoreId home;
  Cell* cell = nullptr;
  WallMillis asked;
  storage::ReadOp op;
};

// The data cores, as a front door on one of them sees them.
class DataPlane {
 public:
  virtual ~DataPlane() = default;
  // REQUIRES: entries not empty, each with key, data and hash set.
  virtual void put(PutRequest& request, Nanos now) = 0;
  virtual void read(ReadRequest& request, Nanos now) = 0;
  // The map in force on this core for this turn.
  [[nodiscard]] virtual const std::shared_ptr<const route::RouteMap>& routes() const = 0;
};

}  // namespace penstock::shard
