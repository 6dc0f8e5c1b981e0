// What a cell's idempotent producers have stored, while its journal is replayed: snapshot, then frame
// by frame.
//
// What it cannot know it does not claim: a producer whose batches or opening may have been in a hole, or
// in a frame that is lost, is forgotten. It hears that it is unknown and opens an epoch again.
//
// Shape      work per batch is constant
// Source     src/storage/FORMAT.md §3, §6, §7
#pragma once

#include "storage/block_reader.h"
#include "storage/store.h"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace penstock::storage {

class ProducerTable {
 public:
  // `snapshot` may be null: nothing is covered.
  explicit ProducerTable(const CellSnapshot* snapshot);
  // Frames behind what the snapshot covers, in journal order.
  void apply_batches(ShardKey shard, const BlockFrame& frame);
  void apply_control(ShardKey shard, const ShardControl& control, WallMillis opened);
  // A frame of the shard cannot be read, or the shard is gone.
  void forget(ShardKey shard);
  // Blocks cannot be read: nobody knows whose batches were in them.
  void forget_all() { states_.clear(); }
  // Those used least first: as the snapshot has them, then by the journal.
  [[nodiscard]] std::vector<ProducerState> take();

 private:
  struct Key {
    ShardKey shard;
    std::uint64_t producer = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    [[nodiscard]] std::size_t operator()(const Key& key) const {
      return std::hash<ShardKey>{}(key.shard) ^ (key.producer * 0x9E3779B97F4A7C15ULL);
    }
  };
  struct Known {
    ProducerState state;
    std::uint64_t use =
        0;  // the number of its last one. Wall clocks are set, so they tell no order
  };
  void apply(const Key& key, const format::BatchHeader& batch);

  std::unordered_map<Key, Known, Hash> states_;
  std::uint64_t uses_ = 0;
};

}  // namespace penstock::storage
