// What a front door asks of the data cores, and how it hears the outcome. Requests are owned by the
// core that received them and lent to the cores that own the shards; they come back by mail.
//
// Owner      the asking core makes and frees a request; between `put`/`read` and `done` it belongs to
//            the data plane, on whatever core. `done` runs on the asking core, never inside `put`/`read`
// Allocates  never
// Errors     per entry: kThrottled, kThrottledInCall, kJournalFull, kFenced, kOverloaded, kStopping:
//            certainly not stored. kUnknownOutcome: 0 or 1 copy. Batches besides: kWrongShard, kTooLarge,
//            kSequenceGap, kSequenceOld, kProducerFenced, kProducerUnknown
#pragma once

#include "base/intrusive_list.h"
#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "route/map.h"
#include "storage/batch.h"
#include "storage/journal.h"
#include "storage/store.h"

#include <cstdint>
#include <span>

namespace penstock::shard {

struct PutRequest;
struct PutParcel;
struct ProducerWindow;
struct Shard;
class Cell;

// A whole batch, as its producer sent it: a FlatBuffer that `storage::verify_batch` has passed. It is
// stored verbatim, and admitted or refused as one.
//
// An idempotent producer numbers its batches in each shard, from 1 in each epoch, and opens an epoch
// before the first. A batch that it sends again while it is among its last eight there is not stored
// again: the entry is `stored`, `repeated`, and says where the batch lies. A refusal is of this attempt
// alone: it says nothing of earlier ones of the same sequence.
struct BatchPut {
  std::span<const std::byte> bytes;  // stay valid until `done`
  std::uint32_t count = 0;           // of records
  std::uint32_t payload_bytes = 0;
  std::uint64_t producer = 0;  // 0: not of an idempotent producer
  std::uint32_t epoch = 0;
  std::uint32_t sequence = 0;
};

struct PutEntry {
  storage::RecordRef record;        // in: bytes stay valid until `done`
  const BatchPut* batch = nullptr;  // in, by `carry`: a batch in place of the record; as long
  // The data plane's, from `put` to `done`.
  PutRequest* request = nullptr;
  PutParcel* parcel = nullptr;
  PutEntry* next = nullptr;
  // Out. `stored` false: `error` says why.
  bool stored = false;
  bool repeated = false;  // a batch that was placed before: `index` and `arrival` are those of then
  ErrorCode error = ErrorCode::kUnknownOutcome;
  ShardNumber shard;  // of a batch: in
  std::int64_t shard_created_second = 0;
  RecordIndex index;  // of a batch: its first
  WallMillis arrival;

  // Makes it that batch's, for that shard. The record then only says how long it is.
  void carry(const BatchPut& put, ShardNumber to) {
    record = {};
    record.data_bytes = put.payload_bytes;
    batch = &put;
    shard = to;
  }
  [[nodiscard]] std::size_t payload_bytes() const {
    return std::size_t{record.key_bytes} + record.data_bytes;
  }
  [[nodiscard]] std::uint32_t records() const { return batch == nullptr ? 1 : batch->count; }
};

struct PutRequest {
  StreamUid stream;
  std::span<PutEntry> entries;
  // Every entry is a batch, by `carry`, and goes to the shard that it names or nowhere: where that is
  // closed or unknown it is refused as kWrongShard at once, and the producer asks for a newer map.
  bool batches = false;
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
  // Where no record is there from the position on, waits for one until then, some seconds at most
  // (WaitingReads). A wait for kLatest is for what comes after it began. 0: does not wait.
  Nanos wait_until;
  bool push = false;  // of a subscription: it is no transaction of the shard's five a second
  void (*done)(ReadRequest& request, Nanos now) = nullptr;
  void* context = nullptr;
  // Out.
  Result<>
      outcome;  // kThrottled, kNotFound (no such shard), kFenced (not opened), kDataLoss, kSystem
  RecordIndex next;     // where the next read goes on; of a wait that was in vain, where it waited
  bool at_end = false;  // closed shard, everything read
  std::int64_t millis_behind = 0;  // above 0 where records follow `next`, read or not
  bool from_device = false;        // what was read was not all in memory: the reader is catching up
  // The data plane's.
  CoreId home;
  Cell* cell = nullptr;
  WallMillis asked;
  storage::ReadOp op;
  base::ListLink<ReadRequest> waiting;  // at its shard, or among those that were woken
  base::ListLink<ReadRequest> timed;
  std::int64_t wait_step = 0;
};
using ReadList = base::IntrusiveList<ReadRequest, &ReadRequest::waiting>;

// Opens an epoch of an idempotent producer in one shard, and asks what the shard has stored of it. Of an
// epoch that is open already it only asks; so it is asked again where an answer did not come. In a
// closed shard nothing is opened: what it knows of the epoch is final, and resolves what was in doubt.
struct ProducerRequest {
  ShardKey shard;
  CoreId owner;  // from the route map
  std::uint64_t producer = 0;
  std::uint32_t epoch = 0;
  // It was open before, and has batches in doubt. Where it is not known it was forgotten, and is not
  // begun anew: that would say that none of them is stored.
  bool resume = false;
  Nanos deadline = Nanos{INT64_MAX};  // past it, it fails as refused if not yet written
  void (*done)(ProducerRequest& request, Nanos now) = nullptr;
  void* context = nullptr;
  // Out.
  // kProducerFenced (a later epoch is open), kProducerUnknown (a closed shard, or `resume`), kProducersFull,
  // kWrongShard (it is being closed: ask again by a newer map), kNotFound (no such shard),
  // kMalformed (producer 0), kJournalFull, kFenced, kUnknownOutcome
  Result<> outcome;
  bool closed = false;           // the shard takes no more
  storage::ProducerState state;  // of the epoch; all of it is durable
  // The data plane's.
  CoreId home;
  ProducerRequest* next = nullptr;
  Shard* at = nullptr;                // whose frame is under way
  ProducerWindow* opening = nullptr;  // …, and what it opens
};

// The data cores, as a front door on one of them sees them.
class DataPlane {
 public:
  virtual ~DataPlane() = default;
  // REQUIRES: entries not empty, each with key, data and hash set, or each a batch.
  virtual void put(PutRequest& request, Nanos now) = 0;
  virtual void read(ReadRequest& request, Nanos now) = 0;
  virtual void open_producer(ProducerRequest& request, Nanos now) = 0;
  // The map in force on this core for this turn.
  [[nodiscard]] virtual const std::shared_ptr<const route::RouteMap>& routes() const = 0;
};

}  // namespace penstock::shard
