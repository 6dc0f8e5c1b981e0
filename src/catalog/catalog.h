// The catalogue of streams and shards: takes administrative calls one decision at a time, makes each
// decision durable in cell 0's journal, drives the cells and the route map to what was decided, and
// goes on with it after a crash.
//
//   create   CREATE durable ─► CREATING published ─► answered ─► OPEN in cells ─► ACTIVE
//   delete   DELETE durable ─► DELETING published ─► answered ─► GONE durable ─► out of the map ─► TRIM
//   split,   INTENT durable ─► UPDATING published ─► answered ─► CLOSE of parents durable
//   merge      ─► COMMIT durable ─► OPEN of children ─► children published ─► ACTIVE
//              CLOSE or COMMIT refused: ABORT durable ─► parents open again ─► ACTIVE
//
// Units      `now` in nanoseconds since boot; state_ms in milliseconds
// Owner      the service core. Borrows the CellPlane and the retention reading, which outlive it; by
//            the time it is destroyed no command of its own may be in the cells' hands
// Allocates  freely: control work
// Errors     refusals go to the caller. A decision of unknown outcome ends decisions until a restart:
//            what cell 0 holds is known only then
// Source     src/catalog/FORMAT.md; ARCHITECTURE: catalogue
#pragma once

#include "catalog/placement.h"
#include "catalog/plan.h"
#include "catalog/routes.h"
#include "catalog/rules.h"
#include "catalog/state.h"
#include "proto/kinesis.h"
#include "runtime/task_loop.h"
#include "runtime/work.h"
#include "shard/await_cell.h"
#include "shard/commands.h"
#include "shard/service.h"
#include "storage/store.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace penstock::catalog {

// The state that a snapshot and the frames after it amount to. A frame that cannot follow what is left
// is passed over, since one before it was lost: `notes` then says which, the state that entries are
// lost. Errors: kCorrupt (the snapshot), kNewerFormat.
[[nodiscard]] Result<State> recover_state(std::span<const std::byte> snapshot,
                                          std::span<const storage::RecoveredControl> controls,
                                          std::vector<std::string>* notes = nullptr);

// What recovery found of shards in one cell.
struct CellShards {
  CellId cell;
  bool fenced = false;
  std::vector<storage::ShardState> shards;
};

struct Counts {
  std::uint32_t streams = 0;
  std::uint32_t creating = 0;
  std::uint32_t active = 0;
  std::uint32_t updating = 0;
  std::uint32_t deleting = 0;
  std::uint32_t open_shards = 0;
  std::uint32_t closed_shards = 0;
  std::uint64_t version = 0;
  std::uint64_t map_epoch = 0;
  std::uint64_t decisions = 0;  // since start
  std::uint64_t aborts = 0;     // splits and merges given up, since start
  bool read_only = false;       // a decision's outcome is unknown
};

class Catalog final : public runtime::Agent, public shard::CatalogueSource {
 public:
  Catalog(CatalogOptions options, shard::CellPlane& cells, const shard::RetentionReading& retention,
          State state, std::vector<CellShards> recovered);

  // The request belongs to the catalogue until its `done`, which comes from `poll`.
  void start_local(proto::ControlRequest& request, Nanos now);

  [[nodiscard]] runtime::WorkCount poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] Nanos next_deadline() const override { return loop_.next_deadline(); }

  // Every data core has a map.
  [[nodiscard]] bool ready() const { return ready_; }
  // Nothing is under way.
  [[nodiscard]] bool quiet() const { return loop_.tasks() == 0; }
  [[nodiscard]] Counts counts() const;
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] route::StreamStatus status(StreamUid stream) const;

  // CatalogueSource.
  [[nodiscard]] std::vector<StreamRetention> streams() const override;
  [[nodiscard]] std::vector<ClosedShard> closed_shards() const override;
  [[nodiscard]] bool holds(ShardKey shard) const override;
  void expire_shards(std::vector<ShardKey> shards) override;
  void cell_fenced(CellId cell) override;
  void hold(void (*held)(void* context), void* context) override;
  void release() override { lent_.reset(); }
  [[nodiscard]] std::vector<std::byte> encode() const override;
  [[nodiscard]] std::uint64_t version() const override { return state_.version; }

 private:
  using Request = proto::ControlRequest;
  template <class T = void>
  using Task = runtime::Task<T>;

  // What is known of a stream besides the decisions.
  struct Live {
    route::StreamStatus status = route::StreamStatus::kActive;
    std::set<ShardNumber> unopenable;  // their cell is fenced: shown, opened by the next start
    std::shared_ptr<const route::StreamRoute> route;  // null: to be made anew
  };
  struct Placed {
    ShardKey shard;
    CellId cell;
  };

  // catalog.cc: calls, and what they share.
  [[nodiscard]] Task<> create(Request* request, const proto::CreateStream* call);
  [[nodiscard]] Task<> remove(Request* request, const proto::DeleteStream* call);
  [[nodiscard]] Task<> set_retention(Request* request, const proto::SetRetention* call);
  [[nodiscard]] Task<> split(Request* request, const proto::SplitShard* call);
  [[nodiscard]] Task<> merge(Request* request, const proto::MergeShards* call);
  [[nodiscard]] Task<> announce(Request* request, StreamUid uid, Intent intent);
  [[nodiscard]] Task<> settle_active(StreamUid uid, Nanos at);
  [[nodiscard]] Task<> finish_create(StreamUid uid, Nanos settle_at);
  [[nodiscard]] Task<> finish_remove(StreamUid uid, Nanos settle_at);
  [[nodiscard]] Task<> drop(std::vector<ShardKey> shards);
  [[nodiscard]] Task<> lend(void (*held)(void* context), void* context);
  [[nodiscard]] Task<> publish();
  // REQUIRES: the gate is held by the caller.
  [[nodiscard]] Task<Result<>> decide(Change change);
  void answer(Request& request, Refusal refusal);

  // catalog_reshard.cc: splits, merges and the cells.
  [[nodiscard]] Task<> reshard(StreamUid uid, Nanos settle_at);
  [[nodiscard]] Task<> reshard_children_first(StreamUid uid, Nanos settle_at);
  [[nodiscard]] Task<std::optional<std::vector<ParentClose>>> close_parents(StreamUid uid);
  [[nodiscard]] Task<> abandon(StreamUid uid);
  [[nodiscard]] Task<> open_shards(StreamUid uid);
  [[nodiscard]] Task<> record_opened(StreamUid uid, std::vector<ShardNumber> shards);
  [[nodiscard]] Task<std::vector<Placed>> ask_open(shard::CommandKind kind,
                                                   std::vector<Placed> shards,
                                                   std::uint64_t at_version);
  [[nodiscard]] Task<> reopen_shards(std::vector<Placed> shards, std::uint64_t at_version);
  [[nodiscard]] Task<> trim_shards(std::vector<Placed> shards, std::uint64_t at_version);

  // catalog_recover.cc: what a start finds unfinished.
  void recover_live();
  [[nodiscard]] std::vector<Placed> lost_opens() const;
  [[nodiscard]] Task<> start();
  [[nodiscard]] Task<> resume_reshard(StreamUid uid);
  [[nodiscard]] Task<> open_again(std::vector<Placed> shards, std::uint64_t at_version);
  [[nodiscard]] Task<> repair(std::vector<Placed> closed, std::vector<Placed> orphans,
                              std::uint64_t at_version);

  [[nodiscard]] RuleContext rules() const;
  [[nodiscard]] CellLoad load() const;
  // Exists and is not being deleted.
  [[nodiscard]] bool alive(StreamUid uid) const;
  [[nodiscard]] bool shown(StreamUid uid, const ShardEntry& shard) const;
  void set_status(StreamUid uid, route::StreamStatus status);
  // The stream's route is made anew for the next map.
  void touch(StreamUid uid);
  [[nodiscard]] shard::CellCommand shard_command(shard::CommandKind kind, StreamUid uid,
                                                 const ShardEntry& shard,
                                                 std::uint64_t at_version) const;
  [[nodiscard]] Nanos settle_time() const;
  [[nodiscard]] Nanos retry_time() const;

  CatalogOptions options_;
  shard::CellPlane& cells_;
  const shard::RetentionReading& retention_;
  State state_;
  std::vector<CellShards> recovered_;  // until `start` is through
  std::map<StreamUid, Live> live_;
  std::set<ShardKey> expiring_;
  std::vector<bool> fenced_;
  WallMillis wall_;
  std::uint64_t epoch_ = 0;
  std::uint64_t decisions_ = 0;
  std::uint64_t aborts_ = 0;
  bool ready_ = false;
  bool read_only_ = false;
  runtime::Gate gate_{loop_};  // outlives the loop's tasks, which may hold it
  runtime::TaskLoop loop_;
  std::optional<runtime::Gate::Pass> lent_;  // to whoever holds the catalogue
};

}  // namespace penstock::catalog
