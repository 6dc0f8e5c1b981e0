// One shard on the core that owns its cell: the single writer of its numbers.
//
// Shape      ≤ 512 bytes; pending entries are a list through the entries themselves
// Owner      its Cell, on one data core
// States     kOpen ─► kClosing (a close is on its way to the disk) ─► kClosed;  kClosing ─► kOpen when
//            the split or merge was abandoned
#pragma once

#include "base/assert.h"
#include "base/hash_key.h"
#include "penstock/ids.h"
#include "penstock/units.h"
#include "quota/token_bucket.h"
#include "route/map.h"
#include "runtime/work.h"
#include "shard/requests.h"

#include <algorithm>
#include <cstdint>

namespace penstock::shard {

enum class ShardLife : std::uint8_t { kOpen, kClosing, kClosed };

struct Shard {
  ShardKey key;
  base::HashKey begin;  // inclusive
  base::HashKey end;    // inclusive
  std::int64_t created_second = 0;
  std::uint64_t catalogue_version = 0;
  ShardLife life = ShardLife::kOpen;
  bool touched = false;  // stands in the cell's list of shards with pending entries
  bool removed = false;  // leaves memory when nothing refers to it any more

  RecordIndex next;            // the next number to give
  RecordIndex visible;         // all below are durable: what readers may see
  RecordIndex trim;            // all below have expired
  WallMillis last_arrival;     // of the last record numbered
  WallMillis visible_arrival;  // of the last record visible

  PutEntry* pending_head = nullptr;
  PutEntry* pending_tail = nullptr;
  Nanos pending_deadline = runtime::kNever;  // no pending entry's is earlier
  std::size_t pending_bytes = 0;             // of keys and data
  std::uint32_t pending_count = 0;
  std::uint32_t pending_batches = 0;  // of these entries, those that are batches
  Shard* next_touched = nullptr;
  std::uint32_t frames_under_way = 0;  // its frames in blocks that are not settled
  std::uint32_t reads_in_flight = 0;   // waiting ones included
  ReadList readers;                    // that wait for `visible` to rise

  quota::TokenBucket write_bytes;
  quota::TokenBucket write_records;
  quota::TokenBucket read_bytes;
  quota::TokenBucket reads;
  std::uint64_t refusing = 0;  // serial of the call in which it last refused an entry
  ErrorCode refusal = ErrorCode::kThrottledInCall;  // what later entries of that call hear

  void push(PutEntry& entry) {
    entry.next = nullptr;
    if (pending_head == nullptr) {
      pending_head = &entry;
    } else {
      pending_tail->next = &entry;
    }
    pending_tail = &entry;
    pending_deadline = std::min(pending_deadline, entry.request->deadline);
    pending_bytes += entry.payload_bytes();
    ++pending_count;
  }
  // The first `count` entries, records of so many bytes, of which `last` is the last, belong to someone
  // else.
  void drop_front(PutEntry& last, std::uint32_t count, std::size_t bytes) {
    PENSTOCK_ASSERT(count <= pending_count);
    pending_head = last.next;
    pending_bytes -= bytes;
    pending_count -= count;
    if (pending_head == nullptr) pending_deadline = runtime::kNever;
  }
  PutEntry& pop() {
    PENSTOCK_ASSERT(pending_head != nullptr);
    PutEntry& entry = *pending_head;
    if (entry.batch != nullptr) --pending_batches;
    drop_front(entry, 1, entry.payload_bytes());
    return entry;
  }
  // Nothing on this core refers to it.
  [[nodiscard]] bool idle() const {
    return pending_head == nullptr && !touched && frames_under_way == 0 && reads_in_flight == 0;
  }
  void set_limits(const route::ShardLimits& limits, Nanos now) {
    const auto change = [now](quota::TokenBucket& bucket, std::uint64_t rate) {
      if (bucket.rate() != rate) bucket.set_rate(rate, now);
    };
    change(write_bytes, limits.write_bytes);
    change(write_records, limits.write_records);
    change(read_bytes, limits.read_bytes);
    change(reads, limits.reads);
  }
};
static_assert(sizeof(Shard) <= 512);

}  // namespace penstock::shard
