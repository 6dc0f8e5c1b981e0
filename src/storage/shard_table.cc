#include "storage/shard_table.h"

#include <algorithm>

namespace penstock::storage {

ShardTable::ShardTable(const CellSnapshot* snapshot) : producers_(snapshot) {
  if (snapshot == nullptr) return;
  covered_ = snapshot->covered;
  shards_ = snapshot->shards;
  settled_.assign(shards_.size(), 0);
  places_.reserve(shards_.size());
  for (std::size_t i = 0; i < shards_.size(); ++i) places_.emplace(shards_[i].shard, i);
}

ShardState* ShardTable::find(const ShardKey& key) {
  const auto place = places_.find(key);
  return place == places_.end() ? nullptr : &shards_[place->second];
}

ShardState& ShardTable::find_or_add(const ShardKey& key) {
  const auto [place, added] = places_.emplace(key, shards_.size());
  if (added) {
    shards_.emplace_back().shard = key;
    settled_.push_back(doubt_);
  }
  return shards_[place->second];
}

void ShardTable::settle(const ShardState& state) {
  settled_[static_cast<std::size_t>(&state - shards_.data())] = doubt_;
}

void ShardTable::apply(Lsn lsn, const BlockFrame& frame) {
  if (frame.header.kind == static_cast<std::uint8_t>(FrameKind::kBatches)) {
    apply_batches(lsn, frame);
  } else if (frame.header.kind == static_cast<std::uint8_t>(FrameKind::kShard)) {
    apply_control(lsn, frame);
  }
}

void ShardTable::apply_batches(Lsn lsn, const BlockFrame& frame) {
  const format::FrameHeader& h = frame.header;
  const ShardKey key{StreamUid(h.stream), ShardNumber(h.shard)};
  // What the snapshot covers is in it already, unless the shard is gone since.
  if (lsn <= covered_ && find(key) == nullptr) return;
  ShardState& state = find_or_add(key);
  const std::uint64_t end = h.first_index + h.records;
  if (lsn > covered_) {
    // Of a shard that nothing was known of before, the numbers begin at 0.
    if (h.first_index > state.next_index) {
      lost_.push_back({key, RecordIndex(state.next_index), RecordIndex(h.first_index)});
    }
    if (!frame.body_good) lost_.push_back({key, RecordIndex(h.first_index), RecordIndex(end)});
    settle(state);
    producers_.apply_batches(key, frame);
  }
  state.next_index = std::max(state.next_index, end);
  state.last_arrival = std::max(state.last_arrival, h.arrival_max);
}

// Every kind is idempotent, whatever the order of versions: an OPEN or CLOSE below the shard's version is
// passed over, TRIM only rises.
void ShardTable::apply_control(Lsn lsn, const BlockFrame& frame) {
  const ShardKey key{StreamUid(frame.header.stream), ShardNumber(frame.header.shard)};
  if (!frame.body_good) {
    if (lsn > covered_) producers_.forget(key);
    return;
  }
  const auto control = format::load<ShardControl>(frame.body);
  if (lsn > covered_) producers_.apply_control(key, control, WallMillis(frame.header.arrival_min));
  if (control.kind == ShardControlKind::kProducer) return;  // says nothing about the shard
  if (lsn <= covered_ && find(key) == nullptr) return;
  ShardState& state = find_or_add(key);
  switch (control.kind) {
    case ShardControlKind::kOpen:
      if (control.catalogue_version < state.catalogue_version) break;
      // Later than the CLOSE: the split or merge was abandoned and the shard opened again.
      if (control.catalogue_version > state.catalogue_version) state.closed = 0;
      std::copy_n(control.range_begin, 2, state.range_begin);
      std::copy_n(control.range_end, 2, state.range_end);
      state.created_second = control.created_second;
      break;
    case ShardControlKind::kClose:
      if (control.catalogue_version < state.catalogue_version) break;  // opened again since
      state.closed = 1;
      state.next_index = std::max(state.next_index, control.index);
      settle(state);
      break;
    case ShardControlKind::kTrim:
      state.trim_index = std::max(state.trim_index, control.index);
      break;
    case ShardControlKind::kProducer:
      break;
  }
  state.catalogue_version = std::max(state.catalogue_version, control.catalogue_version);
}

void ShardTable::hole(Lsn last, std::uint64_t bytes) {
  if (last <= covered_) return;
  doubt_ += bytes / kRecordEntryBytes + 1;
  producers_.forget_all();
}

std::vector<ProducerState> ShardTable::take_producers() {
  std::vector<ProducerState> states = producers_.take();
  std::erase_if(states,
                [this](const ProducerState& state) { return find(state.shard) == nullptr; });
  return states;
}

void ShardTable::finish() {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    ShardState& state = shards_[i];
    if (settled_[i] == doubt_ || state.closed != 0) continue;
    const std::uint64_t end = state.next_index + (doubt_ - settled_[i]);
    lost_.push_back({state.shard, RecordIndex(state.next_index), RecordIndex(end)});
    state.next_index = end;
  }
}

}  // namespace penstock::storage
