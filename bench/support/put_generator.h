// Keeps puts in flight on a data core, from records made before the run: random bytes, a key of 16
// bytes each, dealt to the shards in turn.
//
// Owner      one thread, the data core's. Borrows the InProcess, which outlives it
// Allocates  in the constructor
#pragma once

#include "base/histogram.h"
#include "bench/support/in_process.h"
#include "route/md5.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock::bench {

struct PutLoad {
  std::uint32_t record_bytes = 1024;  // key included
  std::uint32_t per_put = 500;
  std::uint32_t in_flight = 16;
  // Hashes the keys as a front door does; otherwise every entry comes with its hash.
  bool hash_keys = false;
};

class PutGenerator {
 public:
  PutGenerator(InProcess& target, std::uint32_t shards, const PutLoad& load);
  // Starts what is not in flight.
  void fill(Nanos now);
  // Starts one put that was due at `due`. False: all are in flight.
  [[nodiscard]] bool start_one(Nanos due, Nanos now);
  [[nodiscard]] std::uint64_t stored() const { return stored_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] std::size_t in_flight() const { return puts_.size() - free_.size(); }
  // To a put's acknowledgement, in nanoseconds: from when the core took it, and, of those that were
  // taken late, from when they were due.
  base::Histogram served;
  base::Histogram since_due;

 private:
  struct Put {
    PutGenerator* owner = nullptr;
    shard::PutRequest request;
    std::vector<shard::PutEntry> entries;
    std::vector<route::KeyRef> keys;  // both empty unless keys are hashed
    std::vector<base::HashKey> hashes;
    Nanos due;
    Nanos taken;
  };
  static void done(shard::PutRequest& request, Nanos now);

  InProcess& target_;
  std::string keys_;
  std::string data_;
  std::vector<std::unique_ptr<Put>> puts_;
  std::vector<Put*> free_;
  std::uint64_t stored_ = 0;
  std::uint64_t failed_ = 0;
};

}  // namespace penstock::bench
