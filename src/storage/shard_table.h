// The shards' states, and those of their producers, while a cell's journal is replayed: snapshot, then
// frame by frame.
//
// It also finds what is lost: a gap before a frame is a lost range, and behind a hole whose content
// nobody knows each shard's next index is raised by what the hole can have held, unless a later frame
// of the shard tells exactly.
//
// Shape      work per frame is constant
// Source     src/storage/FORMAT.md §7, 4 and 6
#pragma once

#include "penstock/units.h"
#include "storage/block_reader.h"
#include "storage/producer_table.h"
#include "storage/recovery.h"
#include "storage/store.h"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace penstock::storage {

class ShardTable {
 public:
  // `snapshot` may be null: nothing is covered.
  explicit ShardTable(const CellSnapshot* snapshot);
  // In journal order. A frame with a bad body counts: its header is right, its records are lost.
  void apply(Lsn lsn, const BlockFrame& frame);
  // `bytes` of the journal, blocks up to `last`, could not be read.
  void hole(Lsn last, std::uint64_t bytes);
  // After the last frame: settles what no frame told.
  void finish();
  [[nodiscard]] std::vector<ShardState> take_shards() { return std::move(shards_); }
  // Of shards that exist.
  [[nodiscard]] std::vector<ProducerState> take_producers();
  [[nodiscard]] std::vector<LostRange> take_lost() { return std::move(lost_); }

 private:
  ShardState* find(const ShardKey& key);
  ShardState& find_or_add(const ShardKey& key);
  void apply_batches(Lsn lsn, const BlockFrame& frame);
  void apply_control(Lsn lsn, const BlockFrame& frame);
  void settle(const ShardState& state);

  Lsn covered_;
  std::vector<ShardState> shards_;
  std::vector<std::uint64_t> settled_;  // per shard: doubt_ when its last frame was seen
  std::unordered_map<ShardKey, std::size_t> places_;
  std::vector<LostRange> lost_;
  ProducerTable producers_;
  std::uint64_t doubt_ = 0;  // records that holes can have held, summed up
};

}  // namespace penstock::storage
