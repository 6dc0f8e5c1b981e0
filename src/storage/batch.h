// A batch: the unit that a producer sends, the journal keeps verbatim and a consumer receives.
// In the journal it is a 64-byte batch header followed by a FlatBuffer `penstock.proto.Batch`
// (src/proto/penstock.fbs). Record i of a batch has index `first + i`; all share one arrival time.
//
// Units      lengths in bytes; arrival in milliseconds since 1970 UTC
// Shape      1..10,000 records; the FlatBuffer at most 16 MiB
// Source     src/storage/FORMAT.md
#pragma once

#include "base/assert.h"
#include "base/hash_key.h"
#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace penstock::storage {

// One record as it is handed in and out. The bytes belong to someone else.
struct RecordRef {
  const std::byte* key = nullptr;
  const std::byte* data = nullptr;
  std::uint32_t data_bytes = 0;
  std::uint16_t key_bytes = 0;
  std::uint16_t flags = 0;
  base::HashKey hash;
};

inline constexpr std::size_t kBatchHeaderBytes = 64;
inline constexpr std::size_t kRecordEntryBytes = 32;
inline constexpr std::size_t kBatchOverheadBytes = 64;  // upper bound of the FlatBuffer's own frame
inline constexpr std::uint32_t kBatchRecordsMax = 10'000;

enum class Codec : std::uint8_t { kNone = 0 };

struct BatchFields {
  RecordIndex first;
  WallMillis arrival;
  std::uint64_t producer_id = 0;  // 0: not an idempotent producer
  std::uint32_t producer_epoch = 0;
  std::uint32_t base_sequence = 0;
};

// Bytes that `write_batch` needs, header and padding to 8 included.
[[nodiscard]] constexpr std::size_t batch_bytes(std::size_t records, std::size_t payload_bytes) {
  return round_up(
      kBatchHeaderBytes + kBatchOverheadBytes + records * kRecordEntryBytes + payload_bytes,
      std::size_t{8});
}

// `RecordEntry` of penstock.fbs as it lies in memory.
struct RecordEntry {
  std::uint32_t key_offset;
  std::uint32_t data_offset;
  std::uint32_t data_length;
  std::uint16_t key_length;
  std::uint16_t flags;
  std::uint64_t hash_high;
  std::uint64_t hash_low;
};
static_assert(sizeof(RecordEntry) == kRecordEntryBytes);

// What a verified FlatBuffer `penstock.proto.Batch` is made of. The pointers lead into it.
struct BatchShape {
  std::uint32_t count = 0;
  std::uint32_t data_bytes_max = 0;    // of the longest record's data
  std::size_t payload_bytes = 0;       // keys and data of all records
  const std::byte* entries = nullptr;  // `count` times RecordEntry, at any address
  const std::byte* payload = nullptr;
};

// Whether the bytes, of any origin, are such a FlatBuffer as a batch holds: conditions 2 and 3 of
// FORMAT.md §6, at an address that is a multiple of 8. Errors kMalformed, kTooLarge.
[[nodiscard]] Result<BatchShape> verify_batch(std::span<const std::byte> flat);

// REQUIRES: i < shape.count, and the FlatBuffer is still there.
[[nodiscard]] inline RecordRef record_of(const BatchShape& shape, std::uint32_t i) {
  RecordEntry entry;
  std::memcpy(&entry, shape.entries + std::size_t{i} * sizeof(entry), sizeof(entry));
  return {.key = shape.payload + entry.key_offset,
          .data = shape.payload + entry.data_offset,
          .data_bytes = entry.data_length,
          .key_bytes = entry.key_length,
          .flags = entry.flags,
          .hash = {entry.hash_high, entry.hash_low}};
}

// Writes a batch of a FlatBuffer as it is: copying and CRC32C in one pass. Returns the bytes used,
// kBatchHeaderBytes + flat.size(). No allocation.
// REQUIRES: verify_batch(flat) said `count`; `out` has room.
std::size_t write_verbatim_batch(std::span<std::byte> out, const BatchFields& fields,
                                 std::span<const std::byte> flat, std::uint32_t count);

// Writes header and FlatBuffer at `out` (8-byte aligned, `batch_bytes` long): one pass of copying,
// one of CRC32C over bytes still in cache. No allocation.
class BatchWriter {
 public:
  // REQUIRES: 1 ≤ records ≤ kBatchRecordsMax; payload_bytes is the exact sum of keys and data.
  BatchWriter(std::span<std::byte> out, const BatchFields& fields, std::uint32_t records,
              std::size_t payload_bytes);
  // All records: `next()` gives one after the other, so that the caller's own list serves.
  template <class Next>
  void add_all(Next next) {
    // Kept beside the members: the bytes that are written might be these.
    const Space space = space_;
    Cursor at = at_;
    for (std::uint32_t left = records_; left > 0; --left) put(next(), space, at);
    at_ = at;
  }
  void add(const RecordRef& record) { put(record, space_, at_); }
  // Returns the bytes used. REQUIRES: all records were added.
  [[nodiscard]] std::size_t finish();

 private:
  struct Cursor {
    std::byte* entry = nullptr;
    std::uint32_t offset = 0;  // in the payload
  };
  struct Space {
    std::byte* bytes = nullptr;  // the payload; the entries end 4 bytes in front of it
    std::size_t payload_bytes = 0;
  };
  static void put(const RecordRef& record, const Space& space, Cursor& at) {
    const std::uint32_t data_offset = at.offset + record.key_bytes;
    PENSTOCK_ASSERT(at.entry != space.bytes - sizeof(std::uint32_t));
    PENSTOCK_ASSERT(data_offset + std::size_t{record.data_bytes} <= space.payload_bytes);
    const RecordEntry entry{at.offset,    data_offset,      record.data_bytes, record.key_bytes,
                            record.flags, record.hash.high, record.hash.low};
    std::memcpy(at.entry, &entry, sizeof(entry));
    at.entry += sizeof(entry);
    if (record.key_bytes > 0) std::memcpy(space.bytes + at.offset, record.key, record.key_bytes);
    if (record.data_bytes > 0) {
      std::memcpy(space.bytes + data_offset, record.data, record.data_bytes);
    }
    at.offset = data_offset + record.data_bytes;
  }

  std::byte* out_;
  Space space_;
  Cursor at_;
  std::uint32_t records_;
  BatchFields fields_;
};

// A verified batch, read in place.
class BatchView {
 public:
  // Checks the header and its CRC, the payload's CRC, the FlatBuffer, and that the ranges of the
  // records ascend, do not overlap and add up. `consumed` (may be null) gets the batch's padded length.
  // Errors kMalformed, kCorrupt.
  [[nodiscard]] static Result<BatchView> open(std::span<const std::byte> bytes,
                                              std::size_t* consumed);
  [[nodiscard]] RecordIndex first() const { return fields_.first; }
  [[nodiscard]] WallMillis arrival() const { return fields_.arrival; }
  [[nodiscard]] const BatchFields& fields() const { return fields_; }
  [[nodiscard]] std::uint32_t count() const { return shape_.count; }
  [[nodiscard]] std::size_t payload_bytes() const { return shape_.payload_bytes; }  // keys and data
  // REQUIRES: i < count().
  [[nodiscard]] RecordRef record(std::uint32_t i) const;
  // Header and FlatBuffer, as stored.
  [[nodiscard]] std::span<const std::byte> stored() const { return stored_; }

 private:
  BatchFields fields_;
  BatchShape shape_;
  std::span<const std::byte> stored_;
};

}  // namespace penstock::storage
