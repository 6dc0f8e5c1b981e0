// What every core knows of streams and shards: an immutable map, made by the catalogue, swapped at a
// turn's end. Describe, List and routing are answered from it, so an administrative call is answered
// only after every core has the map that shows its effect.
//
// Units      times in milliseconds or seconds since 1970 UTC, as named
// Owner      shared and constant; freed when the last core has let go of it
// Source     kinesis-api: streams, shards, hash key space
#pragma once

#include "base/hash_key.h"
#include "penstock/ids.h"
#include "penstock/units.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::route {

enum class StreamStatus : std::uint8_t { kCreating, kActive, kUpdating, kDeleting };
// As the service writes it: "ACTIVE".
[[nodiscard]] std::string_view name(StreamStatus status);

enum class StreamMode : std::uint8_t { kProvisioned, kOnDemand };

// `kNoShard` where there is no parent.
inline constexpr ShardNumber kNoShard{UINT32_MAX};

struct ShardRoute {
  ShardNumber number;
  base::HashKey begin;  // inclusive
  base::HashKey end;    // inclusive
  CellId cell;
  CoreId core;  // the data core that owns the cell in this run
  ShardNumber parent = kNoShard;
  ShardNumber adjacent_parent = kNoShard;
  std::int64_t created_second = 0;
  bool open = true;
  std::int64_t closed_ms = 0;     // closed shards: wall time of the close
  std::uint64_t final_index = 0;  // closed shards: next index at the close
};

// Limits of one shard; 0 is unlimited.
struct ShardLimits {
  std::uint64_t write_bytes = 1'048'576;  // per second, data plus key
  std::uint64_t write_records = 1'000;    // per second
  std::uint64_t read_bytes = 2'097'152;   // per second
  std::uint32_t reads = 5;                // GetRecords calls per second
};

struct StreamRoute {
  StreamUid uid;
  std::string name;
  StreamStatus status = StreamStatus::kCreating;
  StreamMode mode = StreamMode::kProvisioned;
  std::int64_t created_ms = 0;
  std::uint32_t retention_hours = 24;
  std::uint32_t record_bytes_max = 1'048'576;
  ShardLimits limits;
  std::vector<ShardRoute> shards;  // all that are not expired, by number

  // Works out the three below from `shards`; whoever has changed those calls it.
  void tile();
  std::vector<std::uint32_t> open;    // positions in `shards`, by range: they tile the key space
  std::vector<base::HashKey> ends;    // of the open ones, in that order
  std::vector<std::uint32_t> starts;  // by the key's highest bits: the first of them to look at

  // The open shard that takes `key`; null while CREATING.
  [[nodiscard]] const ShardRoute* find(base::HashKey key) const {
    if (open.empty()) return nullptr;
    std::size_t at = starts[key.high >> shift];
    while (ends[at] < key) {
      if (++at == ends.size()) return nullptr;
    }
    const ShardRoute& shard = shards[open[at]];
    return shard.begin <= key ? &shard : nullptr;
  }
  [[nodiscard]] const ShardRoute* find(ShardNumber number) const;

  std::uint32_t shift = 63;  // of `starts`
};

struct RouteMap {
  std::uint64_t epoch = 0;
  std::map<std::string, std::shared_ptr<const StreamRoute>, std::less<>> streams;  // by name

  [[nodiscard]] const StreamRoute* find(std::string_view name) const;
};

}  // namespace penstock::route
