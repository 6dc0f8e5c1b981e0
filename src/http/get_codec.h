// GetRecords: writes records into the answer as batches come, on the core that owns the shard.
//
// Shape      at most `records_max` records and `bytes_max` bytes of data; the first record always
//            fits
// Owner      the exchange's core, lent to the shard's core between `read` and `done`: nobody else
//            touches the response meanwhile
// Allocates  never (the response grows as it must)
#pragma once

#include "http/exchange.h"
#include "penstock/ids.h"
#include "penstock/units.h"
#include "storage/journal.h"

#include <cstdint>

namespace penstock::http {

class RecordsSink final : public storage::BatchSink {
 public:
  RecordsSink(ResponseBody& body, ShardNumber shard, std::int64_t shard_created_second,
              std::uint32_t records_max, std::uint64_t bytes_max)
      : body_(body),
        shard_(shard),
        shard_created_second_(shard_created_second),
        records_max_(records_max),
        bytes_max_(bytes_max) {}

  [[nodiscard]] Taken on_batch(const storage::BatchView& batch, std::uint32_t from,
                               std::uint32_t until) override;

  [[nodiscard]] std::uint32_t records() const { return records_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // data and keys
  // One past the last record taken. REQUIRES: records() > 0.
  [[nodiscard]] RecordIndex after_last() const { return after_last_; }

 private:
  [[nodiscard]] bool fits(const storage::RecordRef& record) const;
  char* write_record(const storage::RecordRef& record, RecordIndex index, WallMillis arrival,
                     char* out) const;

  ResponseBody& body_;
  ShardNumber shard_;
  std::int64_t shard_created_second_;
  std::uint32_t records_max_;
  std::uint64_t bytes_max_;
  std::uint32_t records_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::uint64_t bytes_ = 0;
  RecordIndex after_last_;
};

}  // namespace penstock::http
