#include "client/streams.h"

#include "client/json_reader.h"
#include "client/json_writer.h"

#include <fmt/format.h>

#include <thread>

namespace penstock::client {
namespace {

constexpr std::chrono::milliseconds kPollInterval{50};

std::string named(std::string_view name) {
  return JsonWriter().begin_object().field("StreamName", name).end_object().text();
}

StreamInfo stream_of(simdjson::dom::object object) {
  StreamInfo info;
  info.name = text_of(object, "StreamName");
  info.arn = text_of(object, "StreamARN");
  info.status = text_of(object, "StreamStatus");
  simdjson::dom::object mode;
  if (!object["StreamModeDetails"].get(mode)) info.mode = text_of(mode, "StreamMode");
  info.open_shards = integer_of(object, "OpenShardCount").value_or(0);
  info.retention_hours = integer_of(object, "RetentionPeriodHours").value_or(0);
  info.created = number_of(object, "StreamCreationTimestamp").value_or(0);
  return info;
}

Outcome<ShardInfo> shard_of(simdjson::dom::object object) {
  ShardInfo shard;
  shard.id = text_of(object, "ShardId");
  shard.parent = text_of(object, "ParentShardId");
  shard.adjacent_parent = text_of(object, "AdjacentParentShardId");
  simdjson::dom::object hashes;
  simdjson::dom::object sequences;
  if (object["HashKeyRange"].get(hashes) || object["SequenceNumberRange"].get(sequences)) {
    return failed(FailureKind::kProtocol, fmt::format("shard {} comes without ranges", shard.id));
  }
  const auto begin = base::HashKey::parse(text_of(hashes, "StartingHashKey"));
  const auto end = base::HashKey::parse(text_of(hashes, "EndingHashKey"));
  if (!begin || !end) {
    return failed(FailureKind::kProtocol, fmt::format("shard {} has no hash keys", shard.id));
  }
  shard.begin = *begin;
  shard.end = *end;
  shard.first_sequence = text_of(sequences, "StartingSequenceNumber");
  shard.last_sequence = text_of(sequences, "EndingSequenceNumber");
  return shard;
}

Outcome<> without_answer(Outcome<std::string_view> reply) {
  if (!reply) return std::unexpected(std::move(reply.error()));
  return {};
}

}  // namespace

Outcome<std::vector<StreamInfo>> list_streams(KinesisClient& client) {
  std::vector<StreamInfo> streams;
  JsonReader reader;
  for (bool more = true; more;) {
    JsonWriter request;
    request.begin_object();
    if (!streams.empty()) request.field("ExclusiveStartStreamName", streams.back().name);
    request.end_object();
    const auto reply = client.call("ListStreams", request.text());
    if (!reply) return std::unexpected(reply.error());
    const auto object = reader.parse(*reply);
    if (!object) return std::unexpected(object.error());
    const std::size_t before = streams.size();
    for (const auto summary : objects_of(*object, "StreamSummaries")) {
      streams.push_back(stream_of(summary));
    }
    if (streams.size() == before) {
      for (const auto name : texts_of(*object, "StreamNames")) {
        streams.emplace_back().name = name;
      }
    }
    more = truth_of(*object, "HasMoreStreams") && streams.size() > before;
  }
  return streams;
}

Outcome<StreamInfo> describe_stream(KinesisClient& client, std::string_view name) {
  const auto reply = client.call("DescribeStreamSummary", named(name));
  if (!reply) return std::unexpected(reply.error());
  JsonReader reader;
  const auto object = reader.parse(*reply);
  if (!object) return std::unexpected(object.error());
  simdjson::dom::object summary;
  if ((*object)["StreamDescriptionSummary"].get(summary)) {
    return failed(FailureKind::kProtocol, "the answer has no StreamDescriptionSummary");
  }
  return stream_of(summary);
}

Outcome<std::vector<ShardInfo>> list_shards(KinesisClient& client, std::string_view name) {
  std::vector<ShardInfo> shards;
  JsonReader reader;
  std::string request = named(name);
  for (;;) {
    const auto reply = client.call("ListShards", request);
    if (!reply) return std::unexpected(reply.error());
    const auto object = reader.parse(*reply);
    if (!object) return std::unexpected(object.error());
    for (const auto member : objects_of(*object, "Shards")) {
      auto shard = shard_of(member);
      if (!shard) return std::unexpected(std::move(shard.error()));
      shards.push_back(std::move(*shard));
    }
    const std::string_view next = text_of(*object, "NextToken");
    if (next.empty()) return shards;
    request = JsonWriter().begin_object().field("NextToken", next).end_object().text();
  }
}

Outcome<> create_stream(KinesisClient& client, std::string_view name, std::uint32_t shards) {
  JsonWriter request;
  request.begin_object().field("StreamName", name).field("ShardCount", shards).end_object();
  return without_answer(client.call("CreateStream", request.text(), Effect::kSome));
}

Outcome<> delete_stream(KinesisClient& client, std::string_view name) {
  JsonWriter request;
  request.begin_object().field("StreamName", name).field("EnforceConsumerDeletion", true);
  return without_answer(client.call("DeleteStream", request.end_object().text(), Effect::kSome));
}

Outcome<> split_shard(KinesisClient& client, std::string_view name, std::string_view shard,
                      base::HashKey at) {
  JsonWriter request;
  request.begin_object().field("StreamName", name).field("ShardToSplit", shard);
  request.field("NewStartingHashKey", at.decimal()).end_object();
  return without_answer(client.call("SplitShard", request.text(), Effect::kSome));
}

Outcome<> merge_shards(KinesisClient& client, std::string_view name, std::string_view shard,
                       std::string_view adjacent) {
  JsonWriter request;
  request.begin_object().field("StreamName", name).field("ShardToMerge", shard);
  request.field("AdjacentShardToMerge", adjacent).end_object();
  return without_answer(client.call("MergeShards", request.text(), Effect::kSome));
}

Outcome<StreamInfo> wait_active(KinesisClient& client, std::string_view name,
                                std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  for (;;) {
    auto info = describe_stream(client, name);
    if (!info || info->status == "ACTIVE") return info;
    if (Clock::now() >= until) {
      return failed(FailureKind::kTimeout,
                    fmt::format("stream {} is still {}", name, info->status));
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

Outcome<> wait_gone(KinesisClient& client, std::string_view name, std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  for (;;) {
    const auto info = describe_stream(client, name);
    if (!info && info.error().is("ResourceNotFoundException")) return {};
    if (!info) return std::unexpected(info.error());
    if (Clock::now() >= until) {
      return failed(FailureKind::kTimeout,
                    fmt::format("stream {} is still {}", name, info->status));
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

base::HashKey middle(base::HashKey begin, base::HashKey end) {
  // begin + floor((end − begin) / 2) + 1, in two halves with the borrow and carries by hand.
  const std::uint64_t low = end.low - begin.low;
  const std::uint64_t high = end.high - begin.high - (end.low < begin.low ? 1 : 0);
  const std::uint64_t half_low = low >> 1 | high << 63;
  const std::uint64_t half_high = high >> 1;
  base::HashKey sum;
  sum.low = begin.low + half_low;
  sum.high = begin.high + half_high + (sum.low < half_low ? 1 : 0);
  return next(sum);
}

}  // namespace penstock::client
