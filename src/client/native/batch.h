// A batch as a producer builds it, and batches as a consumer gets them.
//
// Units      bytes
// Shape      1 to 10,000 records; the FlatBuffer at most kBatchBytesMax
// Owner      a producer's lane shares BatchBytes with messages under way, and never changes them then
// Allocates  the two vectors, as they grow
// Errors     StoredBatches is total against any bytes: kMalformed, kCorrupt
// Source     src/proto/PROTOCOL.md §5; src/storage/FORMAT.md §6; src/proto/penstock.fbs
#pragma once

#include "base/hash_key.h"
#include "penstock/result.h"
#include "penstock/units.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace penstock::client::native {

inline constexpr std::uint32_t kBatchRecordsMax = 10'000;
inline constexpr std::size_t kBatchBytesMax = 16 * kMiB - 128;
inline constexpr std::uint16_t kExplicitHash = 1;  // RecordEntry.flags

// `RecordEntry` of penstock.fbs as it lies in memory.
struct BatchEntry {
  std::uint32_t key_offset = 0;
  std::uint32_t data_offset = 0;
  std::uint32_t data_bytes = 0;
  std::uint16_t key_bytes = 0;
  std::uint16_t flags = 0;
  base::HashKey hash;
};
static_assert(sizeof(BatchEntry) == 32);

struct RecordView {
  std::string_view key;
  std::span<const std::byte> data;
  base::HashKey hash;
  std::uint16_t flags = 0;
};

// The records of one batch. The FlatBuffer is made of it when it is sent, around these bytes.
struct BatchBytes {
  std::vector<BatchEntry> entries;
  std::vector<std::byte> bytes;

  void add(const RecordView& record);
  [[nodiscard]] RecordView record(std::size_t i) const;
  // Of the FlatBuffer.
  [[nodiscard]] std::size_t flat_bytes() const { return flat_bytes(entries.size(), bytes.size()); }
  [[nodiscard]] static std::size_t flat_bytes(std::size_t records, std::size_t payload);
};

// What a FlatBuffer `Batch` has around and behind its entries. One layout, of which offsets are:
//   0 root offset │ 4 vtable │ 12 table │ 28 count, 32 entries … │ size, bytes … │ zeros to 8
struct BatchFrame {
  std::uint32_t root = 12;
  std::uint16_t vtable_bytes = 8;
  std::uint16_t table_bytes = 12;
  std::uint16_t records_field = 4;  // where in the table
  std::uint16_t bytes_field = 8;
  std::int32_t to_vtable = 8;
  std::uint32_t to_records = 12;
  std::uint32_t to_bytes = 0;
  std::uint32_t pad = 0;
  std::uint32_t count = 0;
  // Behind the entries, behind the bytes.
  std::uint32_t size = 0;
  std::array<std::byte, 8> zeros{};
  std::uint32_t zero_count = 0;
};

[[nodiscard]] BatchFrame frame_of(const BatchBytes& batch);
// The FlatBuffer in pieces, one behind the other; some may be empty.
[[nodiscard]] std::array<std::span<const std::byte>, 5> parts_of(const BatchBytes& batch,
                                                                 const BatchFrame& frame);

// One batch as it is stored. Its pointers lead into what was given to `open`.
class StoredBatch {
 public:
  // The first of `bytes`, verified; `rest` gets what is behind it.
  [[nodiscard]] static Result<StoredBatch> open(std::span<const std::byte> bytes,
                                                std::span<const std::byte>& rest);
  [[nodiscard]] RecordIndex first() const { return first_; }
  [[nodiscard]] WallMillis arrival() const { return arrival_; }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  // REQUIRES: i < count().
  [[nodiscard]] RecordView record(std::uint32_t i) const;

 private:
  RecordIndex first_;
  WallMillis arrival_;
  std::uint32_t count_ = 0;
  const std::byte* entries_ = nullptr;
  const std::byte* payload_ = nullptr;
};

}  // namespace penstock::client::native
