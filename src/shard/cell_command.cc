// What the service core asks of a cell.
#include "shard/cell.h"
#include "storage/sabotage.h"

#include <algorithm>
#include <unordered_set>

namespace penstock::shard {

void Cell::command(CellCommand& command, Nanos now, WallMillis wall) {
  turn_now_ = now;
  turn_wall_ = wall;
  command.outcome = {};
  switch (command.kind) {
    case CommandKind::kOpenShard: {
      const Shard* shard = find(command.shard);
      if (shard != nullptr && shard->catalogue_version >= command.control.catalogue_version) break;
      command.control.kind = storage::ShardControlKind::kOpen;
      commands_.push_back(&command);
      return;
    }
    case CommandKind::kCloseShard: {
      Shard* shard = find(command.shard);
      if (shard == nullptr) {
        command.outcome = fail(ErrorCode::kNotFound);
        break;
      }
      const bool closed = shard->life == ShardLife::kClosed;
      apply_close(command);
      if (closed) break;
      commands_.push_back(&command);
      return;
    }
    case CommandKind::kTrimShard:
      if (find(command.shard) == nullptr) break;
      command.control.kind = storage::ShardControlKind::kTrim;
      commands_.push_back(&command);
      return;
    case CommandKind::kCatalogue:
      commands_.push_back(&command);
      return;
    case CommandKind::kReopenShard: {
      Shard* shard = find(command.shard);
      if (shard == nullptr) {
        command.outcome = fail(ErrorCode::kNotFound);
        break;
      }
      if (shard->life == ShardLife::kClosing) shard->life = ShardLife::kOpen;
      if (shard->life == ShardLife::kOpen) break;
      // Its CLOSE is durable, so its opening must be: an OPEN of a later catalogue version.
      command.control.kind = storage::ShardControlKind::kOpen;
      command.kind = CommandKind::kOpenShard;
      commands_.push_back(&command);
      return;
    }
    case CommandKind::kExpire:
      apply_expiry(command);
      break;
    case CommandKind::kDescribe:
      room_until_ = command.room_coming ? turn_now_ + kRoomToldNanos : Nanos();
      describe(command);
      break;
    case CommandKind::kAddSlot:
      journal_.add_slot(command.slot_file, command.slot);
      break;
    case CommandKind::kRecycle:
      journal_.recycle(command.segments);
      for (const SegmentNumber number : command.segments) spent_runs_.erase(number);
      break;
  }
  outlet_.finished(command, now);
}

// An OPEN is durable. One for a shard that exists opens it again.
void Cell::apply_open(CellCommand& command, Nanos) {
  const storage::ShardControl& control = command.control;
  Shard* shard = find(command.shard);
  if (shard == nullptr) {
    auto made = std::make_unique<Shard>();
    shard = made.get();
    shard->key = command.shard;
    shard->next = shard->visible = shard->trim = RecordIndex(control.index);
    shards_.insert_or_assign(command.shard, std::move(made));
  }
  // One that recovery made of its records alone learns the rest now.
  shard->begin = {control.range_begin[0], control.range_begin[1]};
  shard->end = {control.range_end[0], control.range_end[1]};
  shard->created_second = control.created_second;
  shard->catalogue_version = std::max(shard->catalogue_version, control.catalogue_version);
  shard->life = ShardLife::kOpen;
}

// From here on the shard takes nothing more. Its CLOSE stands behind all its records, in the same block
// or a later one, so once that is durable, they are.
void Cell::apply_close(CellCommand& command) {
  Shard& shard = *find(command.shard);
  if (shard.life == ShardLife::kOpen) shard.life = ShardLife::kClosing;
  refuse_pending(shard, ErrorCode::kWrongShard, turn_now_);
  command.control.kind = storage::ShardControlKind::kClose;
  command.control.index = shard.next.raw();
  command.last_arrival = shard.last_arrival;
}

void Cell::apply_trim(CellCommand& command) {
  Shard* shard = find(command.shard);
  if (shard == nullptr) return;
  if (command.control.index == UINT64_MAX) {
    shard->removed = true;
    shard->life = ShardLife::kClosed;
    wake_readers(*shard);
    remove_if_idle(*shard);
    return;
  }
  shard->trim = std::max(shard->trim, std::min(RecordIndex(command.control.index), shard->visible));
}

void Cell::apply_expiry(const CellCommand& command) {
  std::unordered_set<StreamUid> here;
  for (const auto& [key, shard] : shards_) here.insert(key.stream);
  std::erase_if(horizons_, [&](const auto& known) { return !here.contains(known.first); });
  for (const CellCommand::Horizon& horizon : command.horizons) {
    if (!here.contains(horizon.stream)) continue;
    RetentionMillis& known = horizons_[horizon.stream];
    known = std::max(known, horizon.oldest);
  }
  for (const auto& [key, shard] : shards_) {
    const auto horizon = horizons_.find(key.stream);
    if (horizon == horizons_.end() || shard->trim == shard->visible) continue;
    RecordIndex trim = journal_.find_retention(key, horizon->second, shard->trim, shard->visible);
    if (storage::sabotaged(storage::Sabotage::kTrimOffByOne) && trim < shard->visible &&
        trim > shard->trim) {
      ++trim;
    }
    shard->trim = std::max(shard->trim, trim);
  }
}

// Segments of which no shard here needs a record any more. Trim points only rise, so of each segment it
// is remembered up to which run that was so: a turn costs one look a segment, and for what is new at
// most about kRunsPerDescribe.
void Cell::describe_spent(CellCommand& command) {
  command.spent.clear();
  std::size_t runs_left = kRunsPerDescribe;
  const auto spend = [&](std::size_t runs) { runs_left -= std::min(runs, runs_left); };
  journal_.visit_sealed([&](SegmentNumber number, Lsn last, const auto& runs) {
    const auto [at, seen_first] = spent_runs_.try_emplace(number, 0);
    if (seen_first) spend(runs.size());
    std::size_t& spent = at->second;
    const std::size_t before = spent;
    while (spent < runs.size()) {
      const Shard* shard = find(runs[spent].shard);
      if (shard != nullptr && runs[spent].last_index >= shard->trim) break;
      ++spent;
    }
    spend(spent - before);
    if (spent == runs.size()) {
      spend(runs.size());
      command.spent.push_back({.number = number, .last = last, .runs = {runs.begin(), runs.end()}});
    }
    return runs_left > 0;
  });
}

// The durable prefix, and nothing beyond it.
void Cell::describe(CellCommand& command) {
  command.snapshot.cell = id_;
  command.snapshot.covered = covered_;
  command.snapshot.shards.clear();
  for (const auto& [key, shard] : shards_) {
    if (shard->removed) continue;
    storage::ShardState state;
    state.shard = key;
    state.next_index = shard->visible.raw();
    state.trim_index = shard->trim.raw();
    state.last_arrival = shard->visible_arrival.raw();
    state.range_begin[0] = shard->begin.high;
    state.range_begin[1] = shard->begin.low;
    state.range_end[0] = shard->end.high;
    state.range_end[1] = shard->end.low;
    state.created_second = shard->created_second;
    state.catalogue_version = shard->catalogue_version;
    state.closed = shard->life == ShardLife::kClosed ? 1 : 0;
    command.snapshot.shards.push_back(state);
  }
  std::ranges::sort(command.snapshot.shards, {}, &storage::ShardState::shard);
  command.snapshot.producers.clear();
  if (command.for_snapshot) producers_.describe(command.snapshot.producers);
  command.snapshot.segments = journal_.sealed_numbers();
  describe_spent(command);
  command.metrics = journal_.metrics();
  command.seal_count = journal_.seal_count();
  command.slots_free = journal_.slots_free();
  command.fenced = journal_.fenced();
  command.full = full();
}

}  // namespace penstock::shard
