// Administrative calls over the native protocol: streams and their shards.
//
// Units      retention in hours; hash keys in two halves, the high one first
// Owner      any thread, but the client's own: calls wait for their answer
// Allocates  freely
// Errors     kNotFound, kConflict (the stream is in another state), kMalformed, kTooLarge, kDenied; kDeadline (not sent in
//            time), kUnknownOutcome (sent, and the connection was lost, or no answer came: look with `describe`)
// Source     src/proto/PROTOCOL.md §4
#pragma once

#include "penstock/ids.h"
#include "penstock/result.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

enum class StreamState : std::uint8_t { kCreating, kActive, kUpdating, kDeleting };

struct ShardDescription {
  ShardNumber number;
  std::uint64_t begin_high = 0, begin_low = 0;  // of its hash keys, inclusive
  std::uint64_t end_high = 0, end_low = 0;      // inclusive
  bool open = true;
  std::vector<ShardNumber> parents;  // none, one, or after a merge two
  std::int64_t created_second = 0;
};

struct StreamDescription {
  std::string name;
  StreamUid uid;
  StreamState state = StreamState::kCreating;
  std::uint32_t retention_hours = 0;
  std::uint32_t record_bytes_max = 0;
  std::vector<ShardDescription> shards;  // by number
};

class Admin {
 public:
  static constexpr std::chrono::milliseconds kPatience{30'000};  // of each call

  [[nodiscard]] Result<> create_stream(const std::string& name, std::uint32_t shards);
  [[nodiscard]] Result<> delete_stream(const std::string& name);
  [[nodiscard]] Result<std::vector<std::string>> list_streams();
  [[nodiscard]] Result<StreamDescription> describe(const std::string& name);
  // The second child begins at the hash key.
  [[nodiscard]] Result<> split_shard(const std::string& name, ShardNumber shard,
                                     std::uint64_t hash_high, std::uint64_t hash_low);
  [[nodiscard]] Result<> merge_shards(const std::string& name, ShardNumber shard,
                                      ShardNumber adjacent);
  [[nodiscard]] Result<> increase_retention(const std::string& name, std::uint32_t hours);
  [[nodiscard]] Result<> decrease_retention(const std::string& name, std::uint32_t hours);

  struct Impl;
  explicit Admin(std::shared_ptr<Impl> impl);

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace penstock
