#include "storage/producer_table.h"

#include <algorithm>

namespace penstock::storage {

ProducerTable::ProducerTable(const CellSnapshot* snapshot) {
  if (snapshot == nullptr) return;
  for (const ProducerState& state : snapshot->producers) {
    states_.insert_or_assign(Key{state.shard, state.producer}, Known{state, ++uses_});
  }
}

void ProducerTable::apply_batches(ShardKey shard, const BlockFrame& frame) {
  if (!frame.body_good) return forget(shard);
  for (std::size_t at = 0; at < frame.body.size();) {
    const auto header = format::load<format::BatchHeader>(frame.body, at);
    if (header.producer_id != 0) apply({shard, header.producer_id}, header);
    at += sizeof(header) + header.length;
  }
}

// Sequences are dense in an epoch, and an epoch begins with its opening: what does not follow shows that
// something between is lost.
void ProducerTable::apply(const Key& key, const format::BatchHeader& batch) {
  const auto at = states_.find(key);
  if (at == states_.end()) return;
  ProducerState& state = at->second.state;
  if (batch.producer_epoch != state.epoch ||
      batch.base_sequence != std::uint64_t{state.last_sequence} + 1) {
    states_.erase(at);
    return;
  }
  if (state.count == ProducerState::kWindow) {
    std::shift_left(state.window.begin(), state.window.end(), 1);
    --state.count;
  }
  state.window[state.count++] = {RecordIndex(batch.first), WallMillis(batch.arrival)};
  state.last_sequence = batch.base_sequence;
  state.last_used = WallMillis(batch.arrival);
  at->second.use = ++uses_;
}

// Written only where the cell did not know the epoch: so it begins there, whatever was known before.
void ProducerTable::apply_control(ShardKey shard, const ShardControl& control, WallMillis opened) {
  if (control.kind == ShardControlKind::kTrim && control.index == UINT64_MAX) return forget(shard);
  if (control.kind != ShardControlKind::kProducer) return;
  const std::uint64_t producer = control.range_begin[0];
  ProducerState state;
  state.shard = shard;
  state.producer = producer;
  state.epoch = static_cast<std::uint32_t>(control.range_begin[1]);
  state.last_used = opened;
  states_.insert_or_assign(Key{shard, producer}, Known{state, ++uses_});
}

void ProducerTable::forget(ShardKey shard) {
  std::erase_if(states_, [&](const auto& known) { return known.first.shard == shard; });
}

std::vector<ProducerState> ProducerTable::take() {
  std::vector<Known> known;
  known.reserve(states_.size());
  for (const auto& [key, one] : states_) known.push_back(one);
  std::ranges::sort(known, {}, &Known::use);
  std::vector<ProducerState> states;
  states.reserve(known.size());
  for (const Known& one : known) states.push_back(one.state);
  states_.clear();
  return states;
}

}  // namespace penstock::storage
