// Cells as the service core sees them, with a memory: what a command made durable outlives a crash, the
// rest does not. Commands and maps wait in order until the test lets the next one through.
//
// Owner      one test
#pragma once

#include "shard/commands.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace penstock::test {

class FakeCells final : public shard::CellPlane {
 public:
  struct Shard {
    storage::ShardState state;  // closed: as durable
    bool takes_records = true;  // false from the moment a close arrives
  };
  struct Cell {
    std::map<ShardKey, Shard> shards;
    bool fenced = false;
    bool full = false;
    bool room_coming = false;  // as last told
    bool stalled = false;      // answers nothing for now
    std::uint64_t lsn = 1;
    std::uint32_t slots_free = 3;
    std::uint64_t slots_total = 3;
    std::uint64_t bytes_written = 0;
    std::uint64_t seal_count = 0;
    std::vector<storage::SegmentSummary> sealed;
    std::vector<SegmentNumber> recycled;
  };

  explicit FakeCells(std::uint16_t cells, std::uint16_t cores = 2) : cells_(cells), cores_(cores) {}

  [[nodiscard]] std::uint16_t cells() const override {
    return static_cast<std::uint16_t>(cells_.size());
  }
  [[nodiscard]] CoreId core_of(CellId cell) const override {
    return CoreId(static_cast<std::uint16_t>(cell.raw() % cores_));
  }
  void start(shard::CellCommand& command, Nanos) override {
    waiting_.push_back({.command = &command, .idle = !arrive(command)});
  }
  void publish(std::shared_ptr<const route::RouteMap> map, void (*done)(void* context, Nanos now),
               void* context, Nanos) override {
    waiting_.push_back({.map = std::move(map), .map_done = done, .map_context = context});
  }

  // Lets the oldest command or map through; false: nothing waits.
  bool step(Nanos now) {
    const auto oldest = std::ranges::find_if(waiting_, [this](const Waiting& one) {
      return one.command == nullptr || !cell(one.command->cell).stalled;
    });
    if (oldest == waiting_.end()) return false;
    const Waiting next = std::move(*oldest);
    waiting_.erase(oldest);
    ++steps;
    if (next.command != nullptr) {
      next.command->outcome = next.idle ? Result<>{} : apply(*next.command);
      history.push_back(next.command->kind);
      next.command->done(*next.command, now);
    } else {
      map_ = next.map;
      next.map_done(next.map_context, now);
    }
    return true;
  }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  // The kind of the oldest command that waits, if it is one.
  [[nodiscard]] std::optional<shard::CommandKind> next_kind() const {
    if (waiting_.empty() || waiting_.front().command == nullptr) return {};
    return waiting_.front().command->kind;
  }

  // Power goes. The first `written` of the waiting commands had reached the disk, unanswered.
  void crash(std::size_t written) {
    for (const Waiting& one : waiting_) {
      if (written == 0) break;
      if (one.command == nullptr || one.idle) continue;
      static_cast<void>(apply(*one.command));
      --written;
    }
    waiting_.clear();
    map_.reset();
    for (Cell& cell : cells_) {
      for (auto& [key, shard] : cell.shards) shard.takes_records = shard.state.closed == 0;
    }
  }

  // A writer's record: taken, durable and acknowledged at once, or refused.
  bool put(CellId id, ShardKey key, WallMillis arrival) {
    Cell& at = cell(id);
    const auto found = at.shards.find(key);
    if (found == at.shards.end() || !found->second.takes_records || at.fenced) return false;
    ++found->second.state.next_index;
    found->second.state.last_arrival = std::max(found->second.state.last_arrival, arrival.raw());
    return true;
  }

  [[nodiscard]] Cell& cell(CellId id) { return cells_.at(id.raw()); }
  [[nodiscard]] const Shard* find(CellId id, ShardKey key) const {
    const auto& shards = cells_.at(id.raw()).shards;
    const auto found = shards.find(key);
    return found == shards.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::shared_ptr<const route::RouteMap>& map() const { return map_; }
  [[nodiscard]] const std::vector<storage::RecoveredControl>& catalogue() const {
    return catalogue_;
  }

  // The next command of the kind is refused with the code. kUnknownOutcome fences its cell;
  // `written_unknown` says whether it reached the disk.
  void refuse_next(shard::CommandKind kind, ErrorCode code) { refusals_[kind] = code; }
  bool written_unknown = false;

  std::size_t steps = 0;
  std::vector<shard::CommandKind> history;
  std::vector<shard::CellCommand::Horizon> horizons;  // as last told

 private:
  struct Waiting {
    shard::CellCommand* command = nullptr;
    bool idle = false;  // found nothing to do when it arrived
    std::shared_ptr<const route::RouteMap> map = nullptr;
    void (*map_done)(void* context, Nanos now) = nullptr;
    void* map_context = nullptr;
  };

  // What happens before anything is written: a closing shard takes no more records, and what is not
  // there yet cannot be trimmed. False: nothing is left to do.
  bool arrive(shard::CellCommand& command) {
    auto& shards = cell(command.cell).shards;
    const auto found = shards.find(command.shard);
    if (command.kind == shard::CommandKind::kTrimShard) return found != shards.end();
    if (command.kind != shard::CommandKind::kCloseShard) return true;
    if (found != shards.end()) found->second.takes_records = false;
    return true;
  }

  Result<> apply(shard::CellCommand& command) {
    using shard::CommandKind;
    Cell& at = cell(command.cell);
    const auto refusal = refusals_.find(command.kind);
    if (refusal != refusals_.end()) {
      const ErrorCode code = refusal->second;
      refusals_.erase(refusal);
      if (code == ErrorCode::kUnknownOutcome) {
        if (written_unknown) static_cast<void>(apply_written(command, at));
        at.fenced = true;
      }
      return fail(code);
    }
    switch (command.kind) {
      case CommandKind::kCatalogue:
      case CommandKind::kOpenShard:
      case CommandKind::kCloseShard:
      case CommandKind::kReopenShard:
      case CommandKind::kTrimShard:
        if (at.fenced) return fail(ErrorCode::kFenced);
        if (at.full) return fail(ErrorCode::kJournalFull);
        return apply_written(command, at);
      case CommandKind::kExpire:
        expire(command, at);
        return {};
      case CommandKind::kDescribe:
        describe(command, at);
        return {};
      case CommandKind::kAddSlot:
        ++at.slots_free;
        ++at.slots_total;
        return {};
      case CommandKind::kRecycle:
        for (const SegmentNumber number : command.segments) {
          at.recycled.push_back(number);
          ++at.slots_free;
          std::erase_if(at.sealed, [&](const storage::SegmentSummary& segment) {
            return segment.number == number;
          });
        }
        return {};
    }
    return {};
  }

  Result<> apply_written(shard::CellCommand& command, Cell& at) {
    using shard::CommandKind;
    const auto found = at.shards.find(command.shard);
    switch (command.kind) {
      case CommandKind::kCatalogue:
        ++at.lsn;
        catalogue_.push_back({.kind = storage::FrameKind::kCatalogue,
                              .shard = {},
                              .lsn = Lsn(at.lsn),
                              .body = command.body});
        return {};
      case CommandKind::kOpenShard:
        open(command, at);
        return {};
      case CommandKind::kCloseShard:
        if (found == at.shards.end()) return fail(ErrorCode::kNotFound);
        found->second.state.closed = 1;
        found->second.takes_records = false;
        found->second.state.catalogue_version =
            std::max(found->second.state.catalogue_version, command.control.catalogue_version);
        command.control.index = found->second.state.next_index;
        command.last_arrival = WallMillis(found->second.state.last_arrival);
        ++at.lsn;
        return {};
      case CommandKind::kReopenShard:
        if (found == at.shards.end()) return fail(ErrorCode::kNotFound);
        // A durable CLOSE is undone by a later OPEN, which must be later.
        if (found->second.state.closed != 0 &&
            found->second.state.catalogue_version >= command.control.catalogue_version) {
          return fail(ErrorCode::kConflict);
        }
        found->second.state.closed = 0;
        found->second.takes_records = true;
        found->second.state.catalogue_version = command.control.catalogue_version;
        ++at.lsn;
        return {};
      case CommandKind::kTrimShard:
        if (command.control.index == UINT64_MAX) at.shards.erase(command.shard);
        ++at.lsn;
        return {};
      default:
        return {};
    }
  }

  void open(const shard::CellCommand& command, Cell& at) {
    Shard& shard = at.shards[command.shard];
    if (shard.state.catalogue_version >= command.control.catalogue_version) return;
    shard.state.shard = command.shard;
    shard.state.catalogue_version = command.control.catalogue_version;
    shard.state.created_second = command.control.created_second;
    std::ranges::copy(command.control.range_begin, shard.state.range_begin);
    std::ranges::copy(command.control.range_end, shard.state.range_end);
    shard.state.closed = 0;
    shard.takes_records = true;
    ++at.lsn;
  }

  // By whole runs of sealed segments, oldest first.
  void expire(const shard::CellCommand& command, Cell& at) {
    horizons = command.horizons;
    for (const auto& horizon : command.horizons) {
      for (const storage::SegmentSummary& segment : at.sealed) {
        for (const storage::SegmentSummary::Run& run : segment.runs) {
          if (run.shard.stream != horizon.stream || run.retention_last >= horizon.oldest) continue;
          const auto found = at.shards.find(run.shard);
          if (found == at.shards.end()) continue;
          found->second.state.trim_index =
              std::max(found->second.state.trim_index, run.last_index.raw() + 1);
        }
      }
    }
  }

  void describe(shard::CellCommand& command, Cell& at) {
    command.snapshot.cell = command.cell;
    command.snapshot.covered = Lsn(at.lsn);
    command.snapshot.shards.clear();
    for (const auto& [key, shard] : at.shards) command.snapshot.shards.push_back(shard.state);
    command.snapshot.producers.clear();
    if (command.for_snapshot) {
      command.snapshot.producers.emplace_back().producer = command.cell.raw() + 1U;
    }
    command.snapshot.segments.clear();
    for (const auto& segment : at.sealed) command.snapshot.segments.push_back(segment.number);
    command.spent = at.sealed;  // the keeper looks closer
    command.metrics = {};
    command.metrics.bytes_written = at.bytes_written;
    command.metrics.slots_free = at.slots_free;
    command.metrics.slots_total = at.slots_total;
    command.seal_count = at.seal_count;
    command.slots_free = at.slots_free;
    command.fenced = at.fenced;
    command.full = at.full;
    at.room_coming = command.room_coming;
  }

  std::vector<Cell> cells_;
  std::uint16_t cores_;
  std::deque<Waiting> waiting_;
  std::shared_ptr<const route::RouteMap> map_;
  std::vector<storage::RecoveredControl> catalogue_;
  std::map<shard::CommandKind, ErrorCode> refusals_;
};

}  // namespace penstock::test
