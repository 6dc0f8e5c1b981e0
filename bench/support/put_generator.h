// Keeps a number of puts in flight on a data core, from records made before the run.
#pragma once

#include "bench/support/in_process.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock::bench {

struct PutLoad {
  std::uint32_t record_bytes = 1024;  // key included
  std::uint32_t per_put = 500;
  std::uint32_t in_flight = 16;
};

class PutGenerator {
 public:
  PutGenerator(InProcess& target, std::uint32_t shards, const PutLoad& load);
  // Starts what is not in flight.
  void fill(Nanos now);
  [[nodiscard]] std::uint64_t stored() const { return stored_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] std::size_t in_flight() const { return puts_.size() - free_.size(); }
  // From put to acknowledgement, in nanoseconds; recorded while `recording`.
  std::vector<std::int64_t> latencies;
  bool recording = false;

 private:
  struct Put {
    PutGenerator* owner = nullptr;
    shard::PutRequest request;
    std::vector<shard::PutEntry> entries;
    Nanos started;
  };
  static void done(shard::PutRequest& request, Nanos now);

  InProcess& target_;
  std::string data_;
  std::vector<std::unique_ptr<Put>> puts_;
  std::vector<Put*> free_;
  std::uint64_t stored_ = 0;
  std::uint64_t failed_ = 0;
};

}  // namespace penstock::bench
