// Kinesis words shared by the front door, the catalogue and the clients: errors with the service's
// names, the administrative calls that change something, sequence numbers.
//
// Source     the Kinesis contract; docs/kinesis-compatibility.md
#pragma once

#include "base/hash_key.h"
#include "penstock/ids.h"
#include "penstock/units.h"
#include "route/map.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace penstock::proto {

// A refusal as the API gives it: `__type` and message.
struct KinesisError {
  std::string type;  // "ResourceNotFoundException", …
  std::string message;
  int http_status = 400;
};

// The account and region that ARNs and messages name.
struct Identity {
  std::string account = "000000000000";
  std::string region = "us-east-1";
  [[nodiscard]] std::string stream_arn(std::string_view name) const;
};

struct CreateStream {
  std::string name;
  std::uint32_t shards = 0;  // 0 with kOnDemand: the default count
  route::StreamMode mode = route::StreamMode::kProvisioned;
};
struct DeleteStream {
  std::string name;
};
struct SetRetention {
  std::string name;
  std::int64_t hours = 24;
  bool increase = true;  // which of the two calls it was
};
struct SplitShard {
  std::string name;
  std::string shard;  // as given, not yet normalised
  base::HashKey new_starting_hash_key;
  // As given, where it has no place in 128 bits: the refusal quotes it. Empty: the key above counts.
  std::string new_starting_hash_key_text = {};
};
struct MergeShards {
  std::string name;
  std::string shard;
  std::string adjacent_shard;
};

// One administrative call on its way to the control core and back.
struct ControlRequest {
  std::variant<CreateStream, DeleteStream, SetRetention, SplitShard, MergeShards> call;
  std::string by = {};                // the access key whose owner asks
  std::optional<KinesisError> error;  // out; none: done, and every core's map shows it
  std::int64_t hours_before = 0;      // out, of SetRetention: what it was
  void (*done)(ControlRequest& request, Nanos now) = nullptr;  // on the asking core
  void* context = nullptr;
  CoreId home;
};

class ControlPlane {
 public:
  virtual ~ControlPlane() = default;
  // Owned by the control plane until `done`.
  virtual void start(ControlRequest& request, Nanos now) = 0;
};

// A sequence number, version 2: 186 bits, 47 hex digits, written as 56 decimal digits.
struct SequenceNumber {
  std::int64_t shard_created_second = 0;
  ShardNumber shard;
  std::uint64_t index = 0;  // below 2^63; kSequenceIndexEnd is the end of a closed shard
  std::int64_t second = 0;  // of the record's arrival

  // 56 digits and no terminator; returns the end.
  char* write(char* out) const;
  [[nodiscard]] std::string decimal() const;
  // Nothing for text that is no version 2 number.
  [[nodiscard]] static std::optional<SequenceNumber> parse(std::string_view decimal);
  friend bool operator==(const SequenceNumber&, const SequenceNumber&) = default;
};
// Of the shard's record `index`: 0 is the shard's beginning, so records are numbered from 1.
[[nodiscard]] constexpr SequenceNumber record_sequence(std::int64_t shard_created_second,
                                                       ShardNumber shard, RecordIndex index,
                                                       WallMillis arrival) {
  return {.shard_created_second = shard_created_second,
          .shard = shard,
          .index = index.raw() + 1,
          .second = arrival.raw() / 1000};
}
inline constexpr std::uint64_t kSequenceIndexEnd = 0x7fff'ffff'ffff'ffffULL;
inline constexpr std::size_t kSequenceDigits = 56;

// "shardId-000000000007"; 20 characters.
[[nodiscard]] std::string shard_id(ShardNumber number);
// What stands after the first '-', or all of it, as a number 0..2147483647.
[[nodiscard]] std::optional<ShardNumber> parse_shard_id(std::string_view id);

}  // namespace penstock::proto
