// Splits and merges after their INTENT, and what all decisions ask of cells.
#include "base/assert.h"
#include "catalog/catalog.h"
#include "storage/sabotage.h"

#include <algorithm>
#include <utility>

namespace penstock::catalog {

using route::StreamStatus;
using runtime::Gate;
using shard::CellCommand;
using shard::CommandKind;

// The parents' CLOSE is durable before the COMMIT that names their last numbers, and the COMMIT before
// any child can take a record: that is what keeps children above parents over every crash.
auto Catalog::reshard(StreamUid uid, Nanos settle_at) -> Task<> {
  if (storage::sabotaged(storage::Sabotage::kOpenChildrenEarly)) {
    co_await reshard_children_first(uid, settle_at);
    co_return;
  }
  const std::optional<std::vector<ParentClose>> closes = co_await close_parents(uid);
  if (!closes) {
    co_await abandon(uid);
    co_return;
  }
  Result<> decided;
  {
    const Gate::Pass pass = co_await gate_.enter();
    if (!alive(uid)) co_return;
    Commit change = plan_commit(*state_.find(uid), load(), *closes, wall_, retention_.now);
    change.map_epoch = (std::uint64_t{options_.boot_epoch} << 32) + epoch_;
    decided = co_await decide(std::move(change));
  }
  if (!decided) {
    // Perhaps durable: opening a parent again could lose what it then takes. It stays closed until
    // the next start, which knows.
    if (decided.error().code == ErrorCode::kUnknownOutcome) co_return;
    co_await abandon(uid);
    co_return;
  }
  co_await open_shards(uid);
  if (!alive(uid)) co_return;
  touch(uid);
  co_await publish();
  co_await settle_active(uid, settle_at);
}

// The planted bug: children take records while their parents still do.
auto Catalog::reshard_children_first(StreamUid uid, Nanos settle_at) -> Task<> {
  Intent intent;
  {
    const Gate::Pass pass = co_await gate_.enter();
    if (!alive(uid)) co_return;
    intent = *state_.find(uid)->intent;
    std::vector<ParentClose> guesses;
    guesses.push_back({.number = intent.parent, .final_index = 0, .last_arrival = wall_});
    if (intent.is_merge()) {
      guesses.push_back(
          {.number = intent.adjacent_parent, .final_index = 0, .last_arrival = wall_});
    }
    Commit change = plan_commit(*state_.find(uid), load(), guesses, wall_, retention_.now);
    const Result<> decided = co_await decide(std::move(change));
    if (!decided) co_return;
    state_.find(uid)->intent = intent;  // `close_parents` asks for it
  }
  co_await open_shards(uid);
  touch(uid);
  co_await publish();
  const std::optional<std::vector<ParentClose>> closes = co_await close_parents(uid);
  if (!closes || !alive(uid)) co_return;
  StreamEntry& stream = *state_.find(uid);
  for (const ParentClose& close : *closes)
    stream.find(close.number)->final_index = close.final_index;
  stream.intent.reset();
  touch(uid);
  co_await settle_active(uid, settle_at);
}

// Nothing: a parent could not be closed, or the stream is being deleted.
auto Catalog::close_parents(StreamUid uid) -> Task<std::optional<std::vector<ParentClose>>> {
  std::deque<CellCommand> commands;
  const StreamEntry* stream = state_.find(uid);
  if (stream != nullptr && stream->intent) {
    const Intent& intent = *stream->intent;
    for (const ShardNumber number : {intent.parent, intent.adjacent_parent}) {
      if (number == route::kNoShard) continue;
      const ShardEntry* parent = stream->find(number);
      PENSTOCK_ASSERT(parent != nullptr);
      commands.push_back(shard_command(CommandKind::kCloseShard, uid, *parent, intent.version));
    }
  }
  if (commands.empty()) co_return std::nullopt;
  shard::CellCalls calls(cells_, loop_, commands);
  co_await calls;
  std::vector<ParentClose> closes;
  for (const CellCommand& command : commands) {
    if (!command.outcome) co_return std::nullopt;
    closes.push_back({command.shard.shard, command.control.index, command.last_arrival});
  }
  co_return closes;
}

// Gives up a split or merge before its COMMIT. The ABORT comes first: once it is durable no later start
// closes the parents again at a number that they have passed. Where cell 0 takes no ABORT, the next
// start announces the intent anew, under a version above the one that opens the parents now.
auto Catalog::abandon(StreamUid uid) -> Task<> {
  std::vector<Placed> parents;
  std::uint64_t reopen_version = 0;
  {
    const Gate::Pass pass = co_await gate_.enter();
    const StreamEntry* stream = alive(uid) ? state_.find(uid) : nullptr;
    if (stream == nullptr || !stream->intent) co_return;
    const Intent intent = *stream->intent;
    for (const ShardNumber number : {intent.parent, intent.adjacent_parent}) {
      if (const ShardEntry* shard = stream->find(number)) {
        parents.push_back({{uid, number}, shard->cell});
      }
    }
    Abort change{.stream = uid};
    const Result<> decided = co_await decide(change);
    if (!decided) ++state_.version;
    reopen_version = state_.version;
  }
  ++aborts_;
  co_await reopen_shards(std::move(parents), reopen_version);
  if (!alive(uid)) co_return;
  set_status(uid, StreamStatus::kActive);
  co_await publish();
}

// Opens what was decided and is not known to be open. Returns when every shard is either open or in a
// cell that takes nothing before the next start.
auto Catalog::open_shards(StreamUid uid) -> Task<> {
  for (;;) {
    std::deque<CellCommand> commands;
    if (alive(uid)) {
      for (const ShardEntry& shard : state_.find(uid)->shards) {
        if (shown(uid, shard)) continue;
        commands.push_back(shard_command(CommandKind::kOpenShard, uid, shard, shard.decided));
      }
    }
    if (commands.empty()) co_return;
    shard::CellCalls calls(cells_, loop_, commands);
    co_await calls;
    std::vector<ShardNumber> opened;
    std::vector<Placed> placed;
    bool again = false;
    for (const CellCommand& command : commands) {
      const ShardNumber number = command.shard.shard;
      if (command.outcome) {
        opened.push_back(number);
        placed.push_back({command.shard, command.cell});
      } else if (command.outcome.error().code == ErrorCode::kStopping) {
        co_return;
      } else if (command.outcome.error().code == ErrorCode::kJournalFull) {
        again = true;
      } else if (state_.find(uid) != nullptr) {
        live_[uid].unopenable.insert(number);
      }
    }
    if (state_.find(uid) == nullptr) {
      // Deleted meanwhile: its shards were trimmed before they were there.
      const std::uint64_t trim_version = state_.version;
      co_await trim_shards(std::move(placed), trim_version);
      co_return;
    }
    if (!opened.empty()) co_await record_opened(uid, std::move(opened));
    if (!again) co_return;
    co_await loop_.sleep_until(retry_time());
  }
}

auto Catalog::record_opened(StreamUid uid, std::vector<ShardNumber> shards) -> Task<> {
  const Gate::Pass pass = co_await gate_.enter();
  StreamEntry* stream = state_.find(uid);
  if (stream == nullptr) co_return;
  Opened change{.stream = uid, .shards = shards};
  const Result<> decided = co_await decide(std::move(change));
  // True all the same; a start that does not know it asks the cells again, to no effect.
  if (!decided) {
    for (const ShardNumber number : shards) stream->find(number)->opened = true;
  }
}

// Gives back those that their cells had no room for.
auto Catalog::ask_open(CommandKind kind, std::vector<Placed> shards, std::uint64_t at_version)
    -> Task<std::vector<Placed>> {
  std::vector<Placed> refused;
  std::deque<CellCommand> commands;
  for (const Placed& placed : shards) {
    const StreamEntry* stream = state_.find(placed.shard.stream);
    const ShardEntry* shard = stream == nullptr ? nullptr : stream->find(placed.shard.shard);
    if (shard == nullptr || !shard->open) continue;
    commands.push_back(shard_command(kind, placed.shard.stream, *shard, at_version));
  }
  shard::CellCalls calls(cells_, loop_, commands);
  co_await calls;
  for (const CellCommand& command : commands) {
    if (!command.outcome && command.outcome.error().code == ErrorCode::kJournalFull) {
      refused.push_back({command.shard, command.cell});
    }
  }
  co_return refused;
}

auto Catalog::reopen_shards(std::vector<Placed> shards, std::uint64_t at_version) -> Task<> {
  while (!shards.empty()) {
    std::vector<Placed> refused =
        co_await ask_open(CommandKind::kReopenShard, std::move(shards), at_version);
    shards = std::move(refused);
    if (!shards.empty()) co_await loop_.sleep_until(retry_time());
  }
}

// What a fenced cell keeps of them, the next start finds and trims.
auto Catalog::trim_shards(std::vector<Placed> shards, std::uint64_t at_version) -> Task<> {
  while (!shards.empty()) {
    std::deque<CellCommand> commands;
    for (const Placed& placed : shards) {
      CellCommand command;
      command.kind = CommandKind::kTrimShard;
      command.cell = placed.cell;
      command.shard = placed.shard;
      command.control.kind = storage::ShardControlKind::kTrim;
      command.control.catalogue_version = at_version;
      command.control.index = UINT64_MAX;
      commands.push_back(std::move(command));
    }
    shard::CellCalls calls(cells_, loop_, commands);
    co_await calls;
    shards.clear();
    for (const CellCommand& command : commands) {
      if (!command.outcome && command.outcome.error().code == ErrorCode::kJournalFull) {
        shards.push_back({command.shard, command.cell});
      }
    }
    if (!shards.empty()) co_await loop_.sleep_until(retry_time());
  }
}

shard::CellCommand Catalog::shard_command(CommandKind kind, StreamUid uid, const ShardEntry& shard,
                                          std::uint64_t at_version) const {
  CellCommand command;
  command.kind = kind;
  command.cell = shard.cell;
  command.shard = {uid, shard.number};
  command.control.kind = kind == CommandKind::kCloseShard ? storage::ShardControlKind::kClose
                                                          : storage::ShardControlKind::kOpen;
  command.control.catalogue_version = at_version;
  command.control.range_begin[0] = shard.begin.high;
  command.control.range_begin[1] = shard.begin.low;
  command.control.range_end[0] = shard.end.high;
  command.control.range_end[1] = shard.end.low;
  command.control.created_second = shard.created_second;
  return command;
}

}  // namespace penstock::catalog
