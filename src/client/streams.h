// The administrative calls that the command line makes, with their answers as structs.
//
// Errors     as KinesisClient::call
#pragma once

#include "base/hash_key.h"
#include "client/kinesis_client.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::client {

struct StreamInfo {
  std::string name;
  std::string arn;
  std::string status;  // CREATING, ACTIVE, UPDATING, DELETING
  std::string mode;    // PROVISIONED, ON_DEMAND
  std::int64_t open_shards = 0;
  std::int64_t retention_hours = 0;
  double created = 0;  // seconds since 1970
};

struct ShardInfo {
  std::string id;
  std::string parent;           // empty: none
  std::string adjacent_parent;  // empty: none
  base::HashKey begin;          // inclusive
  base::HashKey end;            // inclusive
  std::string first_sequence;
  std::string last_sequence;  // empty: open
  [[nodiscard]] bool open() const { return last_sequence.empty(); }
};

// Names with status where the service gives it, in order.
[[nodiscard]] Outcome<std::vector<StreamInfo>> list_streams(KinesisClient& client);
[[nodiscard]] Outcome<StreamInfo> describe_stream(KinesisClient& client, std::string_view name);
// Every shard that is not expired, closed ones too.
[[nodiscard]] Outcome<std::vector<ShardInfo>> list_shards(KinesisClient& client,
                                                          std::string_view name);
Outcome<> create_stream(KinesisClient& client, std::string_view name, std::uint32_t shards);
Outcome<> delete_stream(KinesisClient& client, std::string_view name);
Outcome<> split_shard(KinesisClient& client, std::string_view name, std::string_view shard,
                      base::HashKey at);
Outcome<> merge_shards(KinesisClient& client, std::string_view name, std::string_view shard,
                       std::string_view adjacent);
// Asks until the stream is ACTIVE; a stream that is gone ends it with the service's error.
[[nodiscard]] Outcome<StreamInfo> wait_active(KinesisClient& client, std::string_view name,
                                              std::chrono::milliseconds limit);
// Asks until the stream is no more.
Outcome<> wait_gone(KinesisClient& client, std::string_view name, std::chrono::milliseconds limit);

// The first key of the upper half of a range. REQUIRES: begin < end.
[[nodiscard]] base::HashKey middle(base::HashKey begin, base::HashKey end);

}  // namespace penstock::client
