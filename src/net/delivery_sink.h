// Takes batches as they are stored, one behind the other, into a buffer, on the core that owns the shard.
//
// Shape      whole batches only: one, and as many more as the bytes aimed at allow; of the last one only the records
//            up to `records_max` are meant. If already the first has no room, none, and `wanted` says how much it
//            needs
// Owner      the reader's core, lent to the shard's between `read` and `done`
// Allocates  never
// Source     src/proto/PROTOCOL.md §6
#pragma once

#include "storage/journal.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace penstock::net {

class DeliverySink final : public storage::BatchSink {
 public:
  DeliverySink() = default;
  // REQUIRES: room for `bytes_max`.
  DeliverySink(std::span<std::byte> room, std::size_t bytes_max, std::uint32_t records_max)
      : room_(room), bytes_max_(bytes_max), records_max_(records_max) {}

  [[nodiscard]] Taken on_batch(const storage::BatchView& batch, std::uint32_t from,
                               std::uint32_t until) override;

  [[nodiscard]] std::size_t used() const { return used_; }
  [[nodiscard]] std::uint64_t records() const { return records_; }
  // 0: the first one had room, or there was none.
  [[nodiscard]] std::size_t wanted() const { return wanted_; }
  // The first record that is meant. REQUIRES: used() > 0.
  [[nodiscard]] RecordIndex first() const { return first_; }

 private:
  std::span<std::byte> room_;
  std::size_t bytes_max_ = 0;
  std::uint64_t records_max_ = 0;
  std::size_t used_ = 0;
  std::size_t wanted_ = 0;
  std::uint64_t records_ = 0;
  RecordIndex first_;
};

}  // namespace penstock::net
