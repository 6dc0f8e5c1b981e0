// A data core without a front door, fed from memory: what the storage path alone can do.
//
// Owner      one thread. Borrows Volume, disks and entropy, which outlive it
#pragma once

#include "env/clock.h"
#include "env/disk.h"
#include "env/entropy.h"
#include "ingest/data_core.h"
#include "route/map.h"
#include "runtime/mail.h"
#include "storage/store.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock::bench {

struct InProcessOptions {
  std::uint32_t shards = 1;
  std::uint64_t slot_bytes = 256 * kMiB;
  std::uint32_t slots = 8;  // zero-filled before the run, so that none is filled during it
  std::uint64_t tail_bytes = 64 * kMiB;
  std::uint32_t depth = 4;
};

class InProcess {
 public:
  // Formats the volume. Ends the program with the reason where that fails.
  InProcess(env::Volume& volume, env::Disk& writes, env::Disk& reads, env::Clock& clock,
            env::Entropy& entropy, const InProcessOptions& options,
            std::function<void()> advance = {});

  [[nodiscard]] ingest::DataCore& core() { return *core_; }
  [[nodiscard]] StreamUid stream() const { return StreamUid(1); }
  // One turn; returns how much it did.
  runtime::WorkCount turn();
  // The range of shard i begins here: an explicit hash key that goes to it.
  [[nodiscard]] base::HashKey hash_of(std::uint32_t shard) const;
  [[nodiscard]] storage::JournalMetrics journal() const {
    return core_->cells().front()->journal_metrics();
  }

 private:
  // Runs commands to their ends, all at once.
  void run(std::deque<shard::CellCommand>& commands);

  env::Clock& clock_;
  std::function<void()> advance_;  // moves virtual time
  std::unique_ptr<storage::Store> store_;
  runtime::PostOffice office_{2};
  std::unique_ptr<ingest::DataCore> core_;
  std::vector<base::HashKey> begins_;
};

}  // namespace penstock::bench
