// GetRecords: writes records as JSON while batches come, on the core that owns the shard.
//
// It writes into room that the exchange's core reserved, then into pieces of its own: the response
// takes its memory from its connection's core, and must not grow on another. `move_to` brings the
// pieces home.
//
// Shape      at most `records_max` records and `bytes_max` bytes of data; the first record always
//            fits
// Owner      the exchange's core, lent to the shard's core between `read` and `done`: nobody else
//            touches the response meanwhile
// Allocates  pieces of 64 KiB and more, once the reserved room is full
#pragma once

#include "http/exchange.h"
#include "penstock/ids.h"
#include "penstock/units.h"
#include "storage/journal.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace penstock::http {

class RecordsSink final : public storage::BatchSink {
 public:
  struct Limits {
    std::uint32_t records_max = 0;
    std::uint64_t bytes_max = 0;
  };
  // `room`: of the response, uncommitted.
  RecordsSink(ShardNumber shard, std::int64_t shard_created_second, Limits limits,
              std::span<char> room)
      : shard_(shard), shard_created_second_(shard_created_second), limits_(limits), room_(room) {}

  [[nodiscard]] Taken on_batch(const storage::BatchView& batch, std::uint32_t from,
                               std::uint32_t until) override;

  [[nodiscard]] std::uint32_t records() const { return records_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // data and keys
  // One past the last record taken. REQUIRES: records() > 0.
  [[nodiscard]] RecordIndex after_last() const { return after_last_; }
  // Commits what was written into the room, appends the rest. On the exchange's core, once.
  void move_to(ResponseBody& body);
  // Frees what was written: the answer is another one.
  void discard() { std::vector<Piece>().swap(pieces_); }

 private:
  struct Piece {
    std::unique_ptr<char[]> bytes;
    std::size_t used = 0;
  };
  [[nodiscard]] bool fits(const storage::RecordRef& record) const;
  // Makes room for at least `bytes`.
  void make_room(std::size_t bytes);
  void close_room();

  ShardNumber shard_;
  std::int64_t shard_created_second_;
  Limits limits_;
  std::span<char> room_;        // what is being written into
  std::size_t used_ = 0;        // of room_
  std::size_t first_used_ = 0;  // of the response's own room
  std::vector<Piece> pieces_;
  std::uint32_t records_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::uint64_t bytes_ = 0;
  RecordIndex after_last_;
};

}  // namespace penstock::http
