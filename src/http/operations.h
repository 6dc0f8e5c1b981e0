// The operations of the service by name: which there are, which of them Penstock has, and the
// members each takes, in the service's fixed order.
//
// Source     the Kinesis contract: operations; docs/kinesis-compatibility.md
#pragma once

#include "http/validation.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace penstock::http {

inline constexpr std::string_view kTargetPrefix = "Kinesis_20131202";

enum class Operation : std::uint8_t {
  kCreateStream,
  kDecreaseStreamRetentionPeriod,
  kDeleteStream,
  kDescribeLimits,
  kDescribeStream,
  kDescribeStreamSummary,
  kGetRecords,
  kGetShardIterator,
  kIncreaseStreamRetentionPeriod,
  kListShards,
  kListStreams,
  kMergeShards,
  kPutRecord,
  kPutRecords,
  kSplitShard,
  kAbsent,   // the service has it, Penstock does not
  kUnknown,  // the service has no such operation
};
inline constexpr std::size_t kOperations = static_cast<std::size_t>(Operation::kUnknown) + 1;

// `target`: the value of X-Amz-Target.
struct Target {
  std::string_view service = {};
  std::string_view operation = {};
  [[nodiscard]] static Target parse(std::string_view header);
  [[nodiscard]] bool complete() const { return !service.empty() && !operation.empty(); }
};

[[nodiscard]] Operation find_operation(const Target& target);
// REQUIRES: an operation that Penstock has.
[[nodiscard]] std::span<const Member> shape_of(Operation operation);
// As the service writes it; "absent" and "unknown" for what Penstock does not have.
[[nodiscard]] std::string_view operation_name(Operation operation);
// The names of all that Penstock has, for the answer to one that it has not.
[[nodiscard]] std::string served_operations();

}  // namespace penstock::http
