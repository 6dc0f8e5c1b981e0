// Entries that are whole batches: admitted as one, stored verbatim, each a batch of its own between
// those that are made of records.
#include "base/assert.h"
#include "shard/cell.h"
#include "storage/batch.h"

#include <algorithm>

namespace penstock::shard {
namespace {

// What the entry takes at least, as the first of a batch.
std::size_t bytes_of(const PutEntry& entry) {
  return entry.batch != nullptr ? storage::kBatchHeaderBytes + entry.batch->bytes.size()
                                : storage::batch_bytes(1, entry.payload_bytes());
}

}  // namespace

bool Cell::take_batch(PutEntry& entry, Shard* shard, Nanos now) {
  PENSTOCK_ASSERT(entry.batch != nullptr);
  const BatchPut& batch = *entry.batch;
  entry.repeated = false;
  if (bytes_of(entry) > journal_.frame_body_max()) {
    entry.stored = false;
    entry.error = ErrorCode::kTooLarge;
    count_refused(entry.error, batch.count);
    return false;
  }
  if (!take(entry, shard, now)) return false;
  ++shard->pending_batches;
  shard->write_records.debit(batch.count - 1, now);
  return true;
}

PutEntry& Cell::take_first(Shard& shard) {
  PutEntry& entry = shard.pop();
  pending_bytes_ -= entry.payload_bytes();
  entry.next = nullptr;
  return entry;
}

// One frame, of as many of the first entries as the open block takes.
void Cell::place_mixed(Shard& shard, WallMillis wall) {
  const WallMillis arrival = std::max(shard.last_arrival, wall);
  const RecordIndex first = shard.next;
  std::span<std::byte> room;
  std::size_t used = 0;
  while (shard.pending_head != nullptr) {
    const PutEntry& entry = *shard.pending_head;
    const std::size_t least = bytes_of(entry);
    if (used == 0) {
      room = journal_.open_frame(least, std::max<std::size_t>(least, options_.block_target));
      if (room.empty()) return;
    }
    const std::span<std::byte> rest = room.subspan(used);
    if (least > rest.size()) break;
    if (entry.batch != nullptr) {
      used += write_batch(shard, rest, arrival);
    } else {
      const PutEntry* end = &entry;
      while (end != nullptr && end->batch == nullptr) end = end->next;
      used += write_piece(shard, first_piece(&entry, end, rest.size()), rest, arrival);
    }
  }
  if (used > 0) close_frame(shard, first, arrival, used);
}

std::size_t Cell::write_batch(Shard& shard, std::span<std::byte> room, WallMillis arrival) {
  const Nanos deadline = shard.pending_deadline;
  PutEntry& entry = take_first(shard);
  const BatchPut& batch = *entry.batch;
  entry.index = shard.next;
  entry.arrival = arrival;
  shard.next = shard.next + batch.count;
  open_ticket().append(entry, entry, 1, deadline);
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
