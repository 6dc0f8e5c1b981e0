// What the catalogue has decided: streams, their shards, intents under way. A decision is a Change;
// the state is what all durable changes, applied in order of version, amount to.
//
// Units      times in milliseconds or seconds since 1970 UTC, as named; `closed_retention` on the
//            retention clock
// Shape      versions rise by at least one per change; shards by number; open shards of a stream
// tile
//            the hash key space
// Owner      the service core
// Errors     apply: kCorrupt for a change that cannot follow this state
// Source     src/catalog/FORMAT.md
#pragma once

#include "base/hash_key.h"
#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "route/map.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace penstock::catalog {

struct ShardEntry {
  ShardNumber number;
  base::HashKey begin;  // inclusive
  base::HashKey end;    // inclusive
  CellId cell;
  ShardNumber parent = route::kNoShard;
  ShardNumber adjacent_parent = route::kNoShard;
  std::int64_t created_second = 0;
  std::uint64_t decided = 0;  // version of the change that made it: what its OPEN carries
  bool opened = false;        // its OPEN is known to be durable
  bool open = true;
  std::int64_t closed_ms = 0;        // wall time of the close
  RetentionMillis closed_retention;  // the same on the retention clock
  std::uint64_t final_index = 0;     // next index at the close
  friend bool operator==(const ShardEntry&, const ShardEntry&) = default;
};

// A split or merge that was announced and has no COMMIT yet.
struct Intent {
  std::uint64_t version = 0;  // what the CLOSE of its parents carries
  ShardNumber parent = route::kNoShard;
  ShardNumber adjacent_parent = route::kNoShard;  // merge
  base::HashKey split_key;                        // split: where the upper child begins
  [[nodiscard]] bool is_merge() const { return adjacent_parent != route::kNoShard; }
  friend bool operator==(const Intent&, const Intent&) = default;
};

struct StreamEntry {
  StreamUid uid;
  std::string name;
  route::StreamMode mode = route::StreamMode::kProvisioned;
  std::int64_t created_ms = 0;
  std::uint32_t retention_hours = 24;
  std::uint32_t record_bytes_max = 1'048'576;
  route::ShardLimits limits;
  bool deleting = false;
  std::uint32_t next_shard = 0;  // number of the next shard
  std::optional<Intent> intent;
  std::vector<ShardEntry> shards;  // by number

  [[nodiscard]] const ShardEntry* find(ShardNumber number) const;
  [[nodiscard]] ShardEntry* find(ShardNumber number);
};
bool operator==(const StreamEntry& a, const StreamEntry& b);

// --- Changes: one catalogue frame each -----------------------------------------------------------

struct Create {
  StreamEntry stream;  // all shards open, none opened, no intent
};
// The OPENs of these shards are durable.
struct Opened {
  StreamUid stream;
  std::vector<ShardNumber> shards;
};
struct Delete {
  StreamUid stream;
};
// The stream has left the catalogue; what its cells still hold of it is rubbish.
struct Gone {
  StreamUid stream;
};
// Decided again by recovery: the later one counts.
struct Announce {
  StreamUid stream;
  Intent intent;  // its version is the change's
};
// Parents are closed for good, children decided.
struct Commit {
  struct Parent {
    ShardNumber number;
    std::uint64_t final_index = 0;
  };
  StreamUid stream;
  std::uint64_t map_epoch = 0;  // of the map in force when it was decided
  std::int64_t closed_ms = 0;
  RetentionMillis closed_retention;
  std::vector<Parent> parents;
  std::vector<ShardEntry> children;
};
struct Abort {
  StreamUid stream;
};
struct SetRetention {
  StreamUid stream;
  std::uint32_t hours = 24;
};
// Closed shards whose records have all expired.
struct Drop {
  StreamUid stream;
  std::vector<ShardNumber> shards;
};

using Change =
    std::variant<Create, Opened, Delete, Gone, Announce, Commit, Abort, SetRetention, Drop>;

class State {
 public:
  std::uint64_t version = 0;   // of the last change applied, or burnt
  std::uint64_t next_uid = 1;  // of the next stream
  std::map<StreamUid, StreamEntry> streams;
  // Shards that a start with lost entries found in cells and in no entry that was left: they may hold
  // what was acknowledged. Nobody trims or recycles them while their stream is not known to be gone.
  std::set<ShardKey> kept;
  bool entries_lost = false;  // of this start alone: not in the snapshot

  // Nothing happens to a change that is not newer: it was applied before.
  [[nodiscard]] Result<> apply(std::uint64_t change_version, const Change& change);

  [[nodiscard]] const StreamEntry* find(StreamUid uid) const;
  [[nodiscard]] StreamEntry* find(StreamUid uid);
  [[nodiscard]] const StreamEntry* find(std::string_view name) const;
  friend bool operator==(const State&, const State&) = default;

 private:
  [[nodiscard]] Result<> apply_change(const Create& change, std::uint64_t change_version);
  [[nodiscard]] Result<> apply_change(const Opened& change, std::uint64_t change_version);
  [[nodiscard]] Result<> apply_change(const Delete& change, std::uint64_t change_version);
  [[nodiscard]] Result<> apply_change(const Gone& change, std::uint64_t change_version);
  [[nodiscard]] Result<> apply_change(const Announce& change, std::uint64_t change_version);
  [[nodiscard]] Result<> apply_change(const Commit& change, std::uint64_t change_version);
  [[nodiscard]] Result<> apply_change(const Abort& change, std::uint64_t change_version);
  [[nodiscard]] Result<> apply_change(const SetRetention& change, std::uint64_t change_version);
  [[nodiscard]] Result<> apply_change(const Drop& change, std::uint64_t change_version);
};

// Whether the open shards cover every hash key exactly once.
[[nodiscard]] bool tiles(const StreamEntry& stream);

}  // namespace penstock::catalog
