// What the agents of the service core say to each other: the keeper of journals asks the catalogue
// what still counts, and tells it what has expired. Both run on one thread; calls are plain.
//
// Owner      the service core
// Allocates  freely: control work
#pragma once

#include "penstock/ids.h"
#include "penstock/units.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace penstock::shard {

// The retention clock as last read. Written by the clock, once a turn; while it is unsure nothing
// expires.
struct RetentionReading {
  RetentionMillis now;
  bool sure = false;
};

class CatalogueSource {
 public:
  struct StreamRetention {
    StreamUid stream;
    std::int64_t period_ms = 0;
  };
  struct ClosedShard {
    ShardKey shard;
    CellId cell;
    RetentionMillis closed;
    std::int64_t period_ms = 0;
  };

  virtual ~CatalogueSource() = default;
  // Streams that exist, and how long their records stay.
  [[nodiscard]] virtual std::vector<StreamRetention> streams() const = 0;
  [[nodiscard]] virtual std::vector<ClosedShard> closed_shards() const = 0;
  // False: deleted or expired, and durably so; its frames are of no use to anybody.
  [[nodiscard]] virtual bool holds(ShardKey shard) const = 0;
  // All records of these closed shards have expired: the catalogue lets go of them.
  virtual void expire_shards(std::vector<ShardKey> shards) = 0;
  // New shards avoid a fenced cell.
  virtual void cell_fenced(CellId cell) = 0;

  // Between `held` and `release` no decision is in flight and none begins: what `encode` gives is
  // exactly what the catalogue frames of cell 0 up to its durable end amount to. Who asks waits in
  // line with the calls: no stream of calls keeps him out.
  virtual void hold(void (*held)(void* context), void* context) = 0;
  virtual void release() = 0;
  // REQUIRES: held.
  [[nodiscard]] virtual std::vector<std::byte> encode() const = 0;
  [[nodiscard]] virtual std::uint64_t version() const = 0;
};

}  // namespace penstock::shard
