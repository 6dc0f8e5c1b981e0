// Entries that are whole batches: admitted as one, stored verbatim, each a batch of its own between
// those that are made of records.
#include "base/assert.h"
#include "shard/cell.h"
#include "storage/batch.h"

#include <algorithm>

namespace penstock::shard {

bool Cell::take_batch(PutEntry& entry, Shard* shard, Nanos now) {
  PENSTOCK_ASSERT(entry.batch != nullptr);
  const BatchPut& batch = *entry.batch;
  entry.repeated = false;
  const auto refused = [&](ErrorCode error) {
    entry.stored = false;
    entry.error = error;
    count_refused(error, batch.count);
    return false;
  };
  if (storage::kBatchHeaderBytes + batch.bytes.size() > journal_.frame_body_max())
    return refused(ErrorCode::kTooLarge);
  // What an opening under way may change by its turn is not the producer's to count on.
  if (batch.producer != 0 && shard != nullptr && shard->life == ShardLife::kOpen && !failed_) {
    const ProducerWindow* window = producers_.find(shard->key, batch.producer);
    if (const auto open = ProducerWindows::check(window, batch.epoch); !open) {
      return refused(open.error().code);
    }
  }
  if (!take(entry, shard, now)) return false;
  ++shard->pending_batches;
  // Whoever built it may have left room that no record fills: it is stored all the same.
  const std::size_t needed = storage::batch_bytes(batch.count, batch.payload_bytes);
  const std::size_t stored = storage::kBatchHeaderBytes + batch.bytes.size();
  shard->write_bytes.debit(std::max(needed, stored) - needed, now);
  shard->write_records.debit(batch.count - 1, now);
  return true;
}

PutEntry& Cell::take_first(Shard& shard) {
  PutEntry& entry = shard.pop();
  pending_bytes_ -= entry.payload_bytes();
  entry.next = nullptr;
  return entry;
}

std::size_t Cell::write_batch(Shard& shard, std::span<std::byte> room, WallMillis arrival) {
  const Nanos deadline = shard.pending_deadline;
  PutEntry& entry = take_first(shard);
  const BatchPut& batch = *entry.batch;
  entry.index = shard.next;
  entry.arrival = arrival;
  shard.next = shard.next + batch.count;
  Ticket& ticket = open_ticket();
  ticket.append(entry, entry, 1, deadline);
  if (batch.producer != 0) {
    ProducerWindow& window = *producers_.find(shard.key, batch.producer);
    producers_.place(window, entry.index, arrival);
    ticket.marks.push_back({&window, batch.sequence});
  }
  counters_.records_in += batch.count;
  counters_.bytes_in += batch.payload_bytes;
  return storage::write_verbatim_batch(room,
                                       {.first = entry.index,
                                        .arrival = arrival,
                                        .producer_id = batch.producer,
                                        .producer_epoch = batch.epoch,
                                        .base_sequence = batch.sequence},
                                       batch.bytes, batch.count);
}

}  // namespace penstock::shard
