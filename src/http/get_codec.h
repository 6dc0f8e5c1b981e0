// GetRecords: writes records as JSON while batches come, on the core that owns the shard.
//
// It writes into room that the exchange's core reserved for the largest answer: the response takes its
// memory from its connection's core, and must not grow on another.
//
// Shape      at most `records_max` records and `bytes_max` bytes of data, and what the room holds; the
//            first record always fits
// Owner      the exchange's core, lent to the shard's core between `read` and `done`: nobody else
//            touches the response meanwhile
// Allocates  never
#pragma once

#include "penstock/ids.h"
#include "penstock/units.h"
#include "storage/journal.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace penstock::http {

// Of an answer: 10 MiB of data in base64, and 2 MiB for what stands around it, which 10,000 records
// with keys of 36 bytes take. Where keys are longer a page has fewer records.
inline constexpr std::size_t kRecordsAnswerBytesMax = 16 * kMiB - 4 * kKiB;
// What stands before the records.
inline constexpr std::string_view kRecordsBegin = R"({"Records":[)";
// What follows the records: an iterator, or two child shards.
inline constexpr std::size_t kRecordsEndBytesMax = 8 * kKiB;
// The room to reserve for an answer of so many records, however large they are, with what stands around it.
[[nodiscard]] std::size_t records_answer_bytes(std::uint32_t records_max,
                                               std::uint32_t record_bytes_max);

class RecordsSink final : public storage::BatchSink {
 public:
  struct Limits {
    std::uint32_t records_max = 0;
    std::uint64_t bytes_max = 0;
  };
  // `room`: of the response, uncommitted. REQUIRES: `records_answer_bytes` less what stands around.
  RecordsSink(ShardNumber shard, std::int64_t shard_created_second, Limits limits,
              std::span<char> room)
      : shard_(shard), shard_created_second_(shard_created_second), limits_(limits), room_(room) {}

  [[nodiscard]] Taken on_batch(const storage::BatchView& batch, std::uint32_t from,
                               std::uint32_t until) override;

  [[nodiscard]] std::uint32_t records() const { return records_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // data and keys
  // One past the last record taken. REQUIRES: records() > 0.
  [[nodiscard]] RecordIndex after_last() const { return after_last_; }
  // Of the room, to commit.
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  [[nodiscard]] bool fits(const storage::RecordRef& record) const;

  ShardNumber shard_;
  std::int64_t shard_created_second_;
  Limits limits_;
  std::span<char> room_;
  std::size_t used_ = 0;
  std::uint32_t records_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::uint64_t bytes_ = 0;
  RecordIndex after_last_;
};

}  // namespace penstock::http
