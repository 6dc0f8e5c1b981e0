#include "http/operations.h"

#include "base/assert.h"
#include "http/put_codec.h"

#include <algorithm>
#include <array>

namespace penstock::http {

namespace {

struct Named {
  std::string_view name;
  Operation operation;
};

constexpr Named kServed[] = {
    {"CreateStream", Operation::kCreateStream},
    {"DecreaseStreamRetentionPeriod", Operation::kDecreaseStreamRetentionPeriod},
    {"DeleteStream", Operation::kDeleteStream},
    {"DescribeLimits", Operation::kDescribeLimits},
    {"DescribeStream", Operation::kDescribeStream},
    {"DescribeStreamSummary", Operation::kDescribeStreamSummary},
    {"GetRecords", Operation::kGetRecords},
    {"GetShardIterator", Operation::kGetShardIterator},
    {"IncreaseStreamRetentionPeriod", Operation::kIncreaseStreamRetentionPeriod},
    {"ListShards", Operation::kListShards},
    {"ListStreams", Operation::kListStreams},
    {"MergeShards", Operation::kMergeShards},
    {"PutRecord", Operation::kPutRecord},
    {"PutRecords", Operation::kPutRecords},
    {"SplitShard", Operation::kSplitShard},
};

constexpr std::string_view kAbsentNames[] = {
    "AcknowledgeDeadLetterQueueRecords",
    "AcknowledgeQueueRecords",
    "AddTagsToStream",
    "CreateChannel",
    "CreateQueue",
    "DeleteChannel",
    "DeleteQueue",
    "DeleteResourcePolicy",
    "DeregisterStreamConsumer",
    "DescribeAccountSettings",
    "DescribeChannel",
    "DescribeQueue",
    "DescribeStreamConsumer",
    "DisableEnhancedMonitoring",
    "EnableEnhancedMonitoring",
    "GetResourcePolicy",
    "ListChannels",
    "ListQueues",
    "ListStreamConsumers",
    "ListTagsForResource",
    "ListTagsForStream",
    "PutResourcePolicy",
    "ReceiveDeadLetterQueueRecords",
    "ReceiveQueueRecords",
    "RegisterStreamConsumer",
    "RemoveTagsFromStream",
    "RestoreDeadLetterQueueRecords",
    "StartStreamEncryption",
    "StopStreamEncryption",
    "SubscribeToShard",
    "TagResource",
    "UntagResource",
    "UpdateAccountSettings",
    "UpdateChannel",
    "UpdateDeadLetterQueueRecordsVisibility",
    "UpdateMaxRecordSize",
    "UpdateQueue",
    "UpdateQueueRecordsVisibility",
    "UpdateShardCount",
    "UpdateStreamMode",
    "UpdateStreamRecordDistributionStrategy",
    "UpdateStreamWarmThroughput",
};
static_assert(std::size(kServed) + std::size(kAbsentNames) == 57);

constexpr Member required(Member member) {
  member.needed = Needed::kYes;
  return member;
}

constexpr Member name_member(std::string_view name) {
  return {.name = name, .pattern = Pattern::kName, .min = 1, .max = 128};
}

constexpr Member integer_member(std::string_view name, std::int64_t min, std::int64_t max) {
  return {.name = name, .kind = Kind::kInteger, .min = min, .max = max};
}

constexpr Member stream_name_or_arn() {
  Member member = name_member("StreamName");
  member.needed = Needed::kUnlessArn;
  return member;
}

constexpr Member kStreamArn{
    .name = "StreamARN", .pattern = Pattern::kStreamArn, .min = 1, .max = kStreamArnMax};
constexpr Member kStreamId{.name = "StreamId"};
constexpr std::int64_t kLimitMax = 10'000;

constexpr std::string_view kStreamModes[] = {"PROVISIONED", "ON_DEMAND"};
constexpr Member kModeDetails[] = {
    {.name = "StreamMode", .needed = Needed::kYes, .values = kStreamModes}};
constexpr std::string_view kStrategies[] = {"AUTO", "USER_PARTITION_KEY"};
constexpr Member kCreateStream[] = {
    integer_member("ShardCount", 1, 100'000),
    required(name_member("StreamName")),
    {.name = "StreamModeDetails", .kind = Kind::kStructure, .children = kModeDetails},
    {.name = "Tags", .kind = Kind::kMap, .max = 200},
    integer_member("WarmThroughputMiBps", 0, kNoBound),
    integer_member("MaxRecordSizeInKiB", 1024, 10240),
    {.name = "RecordDistributionStrategy", .values = kStrategies},
};

constexpr Member kDeleteStream[] = {
    stream_name_or_arn(),
    {.name = "EnforceConsumerDeletion", .kind = Kind::kBoolean},
    kStreamArn,
    kStreamId,
};

constexpr Member kDescribeStream[] = {
    integer_member("Limit", 1, kLimitMax),
    name_member("ExclusiveStartShardId"),
    stream_name_or_arn(),
    kStreamArn,
    kStreamId,
};

constexpr Member kStreamAlone[] = {stream_name_or_arn(), kStreamArn, kStreamId};

constexpr Member kListStreams[] = {
    integer_member("Limit", 1, kLimitMax),
    name_member("ExclusiveStartStreamName"),
    {.name = "NextToken", .min = 1, .max = 1'048'576},
};

constexpr std::string_view kFilterTypes[] = {"AFTER_SHARD_ID",    "AT_TRIM_HORIZON",
                                             "FROM_TRIM_HORIZON", "AT_LATEST",
                                             "AT_TIMESTAMP",      "FROM_TIMESTAMP"};
constexpr Member kShardFilter[] = {
    {.name = "Type", .needed = Needed::kYes, .values = kFilterTypes},
    name_member("ShardId"),
    {.name = "Timestamp", .kind = Kind::kTimestamp},
};
constexpr Member kListShards[] = {
    integer_member("MaxResults", 1, kLimitMax),
    name_member("ExclusiveStartShardId"),
    name_member("StreamName"),
    {.name = "NextToken", .min = 1, .max = 1'048'576},
    {.name = "StreamCreationTimestamp", .kind = Kind::kTimestamp},
    {.name = "ShardFilter", .kind = Kind::kStructure, .children = kShardFilter},
    kStreamArn,
    kStreamId,
};

constexpr Member kRetention[] = {
    required(integer_member("RetentionPeriodHours", 1, kNoBound)),
    stream_name_or_arn(),
    kStreamArn,
    kStreamId,
};

constexpr Member kSplitShard[] = {
    {.name = "NewStartingHashKey", .needed = Needed::kYes, .pattern = Pattern::kHashKey},
    stream_name_or_arn(),
    required(name_member("ShardToSplit")),
    kStreamArn,
    kStreamId,
};

constexpr Member kMergeShards[] = {
    required(name_member("ShardToMerge")),
    required(name_member("AdjacentShardToMerge")),
    stream_name_or_arn(),
    kStreamArn,
    kStreamId,
};

constexpr std::string_view kIteratorTypes[] = {"AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP",
                                               "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"};
constexpr Member kGetShardIterator[] = {
    required(name_member("ShardId")),
    {.name = "ShardIteratorType", .needed = Needed::kYes, .values = kIteratorTypes},
    {.name = "StartingSequenceNumber", .pattern = Pattern::kSequenceNumber},
    stream_name_or_arn(),
    {.name = "Timestamp", .kind = Kind::kTimestamp},
    kStreamArn,
    kStreamId,
};

constexpr Member kGetRecords[] = {
    integer_member("Limit", 1, kLimitMax),
    {.name = "ShardIterator", .needed = Needed::kYes, .min = 1, .max = 512},
    kStreamArn,
    kStreamId,
};

}  // namespace

Target Target::parse(std::string_view header) {
  const std::size_t dot = header.find('.');
  if (dot == std::string_view::npos) return {.service = header};
  Target target{.service = header.substr(0, dot), .operation = header.substr(dot + 1)};
  target.operation = target.operation.substr(0, target.operation.find('.'));
  return target;
}

Operation find_operation(const Target& target) {
  if (target.service != kTargetPrefix) return Operation::kUnknown;
  for (const Named& served : kServed) {
    if (served.name == target.operation) return served.operation;
  }
  const bool absent = std::find(std::begin(kAbsentNames), std::end(kAbsentNames),
                                target.operation) != std::end(kAbsentNames);
  return absent ? Operation::kAbsent : Operation::kUnknown;
}

std::span<const Member> shape_of(Operation operation) {
  switch (operation) {
    case Operation::kCreateStream:
      return kCreateStream;
    case Operation::kDeleteStream:
      return kDeleteStream;
    case Operation::kDescribeLimits:
      return {};
    case Operation::kDescribeStream:
      return kDescribeStream;
    case Operation::kDescribeStreamSummary:
      return kStreamAlone;
    case Operation::kGetRecords:
      return kGetRecords;
    case Operation::kGetShardIterator:
      return kGetShardIterator;
    case Operation::kDecreaseStreamRetentionPeriod:
    case Operation::kIncreaseStreamRetentionPeriod:
      return kRetention;
    case Operation::kListShards:
      return kListShards;
    case Operation::kListStreams:
      return kListStreams;
    case Operation::kMergeShards:
      return kMergeShards;
    case Operation::kPutRecord:
      return put_shape(PutCall::kPutRecord);
    case Operation::kPutRecords:
      return put_shape(PutCall::kPutRecords);
    case Operation::kSplitShard:
      return kSplitShard;
    case Operation::kAbsent:
    case Operation::kUnknown:
      break;
  }
  PENSTOCK_ASSERT(false);
  return {};
}

std::string_view operation_name(Operation operation) {
  for (const Named& served : kServed) {
    if (served.operation == operation) return served.name;
  }
  return operation == Operation::kAbsent ? "absent" : "unknown";
}

std::string served_operations() {
  std::string list;
  for (const Named& served : kServed) {
    if (!list.empty()) list += ", ";
    list += served.name;
  }
  return list;
}

}  // namespace penstock::http
