// What a start finds: decisions not yet carried out in the cells, and cells that hold what no decision
// wants any more.
#include "catalog/catalog.h"
#include "catalog/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <type_traits>
#include <utility>
#include <variant>

namespace penstock::catalog {

using route::StreamStatus;
using runtime::Gate;

namespace {

StreamUid stream_of(const Change& change) {
  return std::visit(
      []<class T>(const T& one) {
        if constexpr (std::is_same_v<T, Create>) {
          return one.stream.uid;
        } else {
          return one.stream;
        }
      },
      change);
}

// What is certain although an entry before it is lost: a stream that is gone was being deleted, and a
// name that was given again was free.
Result<> apply_behind_loss(State& state, std::uint64_t version, const Change& change) {
  if (std::holds_alternative<Gone>(change)) {
    if (StreamEntry* stream = state.find(stream_of(change))) stream->deleting = true;
  } else if (const auto* create = std::get_if<Create>(&change)) {
    if (const StreamEntry* former = state.find(create->stream.name)) {
      const StreamUid uid = former->uid;
      state.streams.erase(uid);
    }
  }
  return state.apply(version, change);
}

}  // namespace

Result<State> recover_state(std::span<const std::byte> snapshot,
                            std::span<const storage::RecoveredControl> controls,
                            std::vector<std::string>* notes) {
  Result<State> state = decode_snapshot(snapshot);
  if (!state) return state;
  const auto lost = [&](std::string note) {
    state->entries_lost = true;
    if (notes != nullptr) notes->push_back(std::move(note));
  };
  for (const storage::RecoveredControl& control : controls) {
    if (control.kind != storage::FrameKind::kCatalogue) continue;
    const Result<Frame> frame = decode_frame(control.body);
    if (!frame && frame.error().code != ErrorCode::kCorrupt) return std::unexpected(frame.error());
    if (!frame) {
      lost(fmt::format("a catalogue entry in block {} cannot be read", control.lsn.raw()));
      continue;
    }
    if (state->apply(frame->version, frame->change)) continue;
    const std::uint64_t uid = stream_of(frame->change).raw();
    if (apply_behind_loss(*state, frame->version, frame->change)) {
      lost(fmt::format("an entry of the catalogue before version {} (stream {}) is lost",
                       frame->version, uid));
      continue;
    }
    state->version = std::max(state->version, frame->version);
    lost(fmt::format("catalogue entry {} (stream {}) is passed over: one before it is lost",
                     frame->version, uid));
  }
  return state;
}

Catalog::Catalog(CatalogOptions options, shard::CellPlane& cells,
                 const shard::RetentionReading& retention, State state,
                 std::vector<CellShards> recovered)
    : options_(std::move(options)),
      cells_(cells),
      retention_(retention),
      state_(std::move(state)),
      recovered_(std::move(recovered)),
      fenced_(cells.cells(), false) {
  recover_live();
  loop_.spawn(start());
}

void Catalog::recover_live() {
  for (const auto& [uid, stream] : state_.streams) {
    Live& live = live_[uid];
    const bool any_opened = std::ranges::any_of(stream.shards, &ShardEntry::opened);
    const bool all_opened = std::ranges::all_of(stream.shards, &ShardEntry::opened);
    if (stream.deleting) {
      live.status = StreamStatus::kDeleting;
    } else if (!any_opened) {
      live.status = StreamStatus::kCreating;
    } else if (stream.intent || !all_opened) {
      live.status = StreamStatus::kUpdating;
    }
  }
  // New versions and numbers lie above every one that a cell has seen: a decision may have been lost
  // whose consequence in a cell was not.
  for (const CellShards& cell : recovered_) {
    if (cell.fenced) cell_fenced(cell.cell);
    for (const storage::ShardState& shard : cell.shards) {
      state_.version = std::max(state_.version, shard.catalogue_version);
      state_.next_uid = std::max(state_.next_uid, shard.shard.stream.raw() + 1);
      if (StreamEntry* stream = state_.find(shard.shard.stream)) {
        stream->next_shard = std::max(stream->next_shard, shard.shard.shard.raw() + 1);
      }
    }
  }
}

// Shards that are open and known to be opened, but whose cells have not heard of them, or know no more
// of them than their records: the OPEN was lost.
std::vector<Catalog::Placed> Catalog::lost_opens() const {
  std::map<ShardKey, const storage::ShardState*> found;
  for (const CellShards& cell : recovered_) {
    for (const storage::ShardState& shard : cell.shards) {
      const StreamEntry* stream = state_.find(shard.shard.stream);
      const ShardEntry* entry = stream == nullptr ? nullptr : stream->find(shard.shard.shard);
      if (entry != nullptr && entry->cell == cell.cell) found.emplace(shard.shard, &shard);
    }
  }
  const auto known = [&](StreamUid uid, const ShardEntry& shard) {
    const auto at = found.find({uid, shard.number});
    if (at == found.end()) return false;
    const storage::ShardState& state = *at->second;
    // A CLOSE that does not count is undone by an OPEN of its own.
    return state.closed != 0 ||
           (state.created_second == shard.created_second &&
            state.range_begin[0] == shard.begin.high && state.range_begin[1] == shard.begin.low &&
            state.range_end[0] == shard.end.high && state.range_end[1] == shard.end.low);
  };
  std::vector<Placed> lost;
  for (const auto& [uid, stream] : state_.streams) {
    if (stream.deleting) continue;
    for (const ShardEntry& shard : stream.shards) {
      if (shard.open && shard.opened && !known(uid, shard)) {
        lost.push_back({{uid, shard.number}, shard.cell});
      }
    }
  }
  return lost;
}

// The gate is held until every core has a map: calls find the catalogue in order.
auto Catalog::start() -> Task<> {
  const Gate::Pass pass = co_await gate_.enter();
  std::vector<Placed> orphans;
  std::vector<Placed> closed_by_mistake;
  for (const CellShards& cell : recovered_) {
    for (const storage::ShardState& found : cell.shards) {
      const StreamEntry* stream = state_.find(found.shard.stream);
      const ShardEntry* shard = stream == nullptr ? nullptr : stream->find(found.shard.shard);
      if (shard == nullptr || shard->cell != cell.cell) {
        if (state_.entries_lost || options_.blocks_lost) state_.kept.insert(found.shard);
        if (!state_.kept.contains(found.shard)) orphans.push_back({found.shard, cell.cell});
        continue;
      }
      const bool parent_of_intent =
          stream->intent && (stream->intent->parent == found.shard.shard ||
                             stream->intent->adjacent_parent == found.shard.shard);
      if (found.closed != 0 && shard->open && !stream->deleting && !parent_of_intent) {
        closed_by_mistake.push_back({found.shard, cell.cell});
      }
    }
  }
  std::vector<Placed> lost = lost_opens();
  recovered_.clear();
  if (!orphans.empty() || !closed_by_mistake.empty() || !lost.empty()) ++state_.version;
  const std::uint64_t repair_version = state_.version;
  // Once before anything else is asked of the cells, above all before any CLOSE.
  std::vector<Placed> still_lost =
      co_await ask_open(shard::CommandKind::kOpenShard, std::move(lost), repair_version);
  co_await publish();
  ready_ = true;
  const Nanos settle_at = settle_time();
  for (const auto& [uid, stream] : state_.streams) {
    const bool all_opened = std::ranges::all_of(stream.shards, &ShardEntry::opened);
    if (stream.deleting) {
      loop_.spawn(finish_remove(uid, settle_at));
    } else if (stream.intent) {
      loop_.spawn(resume_reshard(uid));
    } else if (!all_opened) {
      loop_.spawn(finish_create(uid, settle_at));
    }
  }
  if (!still_lost.empty()) loop_.spawn(open_again(std::move(still_lost), repair_version));
  loop_.spawn(repair(std::move(closed_by_mistake), std::move(orphans), repair_version));
}

// For want of room at the start. Of a split or merge that goes on, the parents are let be: an OPEN must
// not come behind their CLOSE.
auto Catalog::open_again(std::vector<Placed> shards, std::uint64_t at_version) -> Task<> {
  while (!shards.empty()) {
    co_await loop_.sleep_until(retry_time());
    std::erase_if(shards, [&](const Placed& placed) {
      const StreamEntry* stream =
          alive(placed.shard.stream) ? state_.find(placed.shard.stream) : nullptr;
      return stream == nullptr || stream->intent;
    });
    std::vector<Placed> refused =
        co_await ask_open(shard::CommandKind::kOpenShard, std::move(shards), at_version);
    shards = std::move(refused);
    co_await publish();  // so that cores look for what they did not find
  }
}

// Records wait for a newer map where they met a closed shard, so there is one after the reopening.
auto Catalog::repair(std::vector<Placed> closed, std::vector<Placed> orphans,
                     std::uint64_t at_version) -> Task<> {
  if (!closed.empty()) {
    co_await reopen_shards(std::move(closed), at_version);
    co_await publish();
  }
  co_await trim_shards(std::move(orphans), at_version);
}

// Announced anew: the CLOSE that follows carries a version of its own, whatever the parents went
// through before the crash.
auto Catalog::resume_reshard(StreamUid uid) -> Task<> {
  co_await open_shards(uid);
  touch(uid);
  Result<> decided;
  {
    const Gate::Pass pass = co_await gate_.enter();
    const StreamEntry* stream = alive(uid) ? state_.find(uid) : nullptr;
    if (stream == nullptr || !stream->intent) co_return;
    const Announce change{.stream = uid, .intent = *stream->intent};
    decided = co_await decide(change);
  }
  if (!decided) {
    co_await abandon(uid);
    co_return;
  }
  co_await reshard(uid, settle_time());
}

}  // namespace penstock::catalog
