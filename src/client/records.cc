#include "client/records.h"

#include "client/base64.h"
#include "client/json_writer.h"

#include <fmt/format.h>

namespace penstock::client {

Outcome<std::string> shard_iterator(KinesisClient& client, std::string_view stream,
                                    std::string_view shard, const Position& from) {
  JsonWriter request;
  request.begin_object().field("StreamName", stream).field("ShardId", shard);
  request.key("ShardIteratorType");
  switch (from.kind) {
    case Position::Kind::kHorizon:
      request.value("TRIM_HORIZON");
      break;
    case Position::Kind::kLatest:
      request.value("LATEST");
      break;
    case Position::Kind::kTime:
      request.value("AT_TIMESTAMP").field("Timestamp", from.seconds);
      break;
    case Position::Kind::kAtSequence:
      request.value("AT_SEQUENCE_NUMBER").field("StartingSequenceNumber", from.sequence);
      break;
    case Position::Kind::kAfterSequence:
      request.value("AFTER_SEQUENCE_NUMBER").field("StartingSequenceNumber", from.sequence);
      break;
  }
  const auto reply = client.call("GetShardIterator", request.end_object().text());
  if (!reply) return std::unexpected(reply.error());
  JsonReader reader;
  const auto object = reader.parse(*reply);
  if (!object) return std::unexpected(object.error());
  return std::string(text_of(*object, "ShardIterator"));
}

Outcome<PageEnd> RecordPages::next(KinesisClient& client, std::string_view iterator,
                                   std::uint32_t limit, const Visit& visit) {
  JsonWriter request;
  request.begin_object().field("ShardIterator", iterator).field("Limit", limit).end_object();
  const auto reply = client.call("GetRecords", request.text());
  if (!reply) return std::unexpected(reply.error());
  const auto object = reader_.parse(*reply);
  if (!object) return std::unexpected(object.error());
  PageEnd page;
  simdjson::dom::array records;
  if (!(*object)["Records"].get(records)) {
    for (const simdjson::dom::element element : records) {
      simdjson::dom::object member;
      if (element.get(member)) continue;
      const auto data = base64_decode(text_of(member, "Data"), decoded_);
      if (!data) return failed(FailureKind::kProtocol, "a record's data is not base64");
      visit({text_of(member, "PartitionKey"), *data, text_of(member, "SequenceNumber"),
             number_of(member, "ApproximateArrivalTimestamp").value_or(0)});
      ++page.records;
    }
  }
  page.millis_behind = integer_of(*object, "MillisBehindLatest").value_or(0);
  page.next_iterator = text_of(*object, "NextShardIterator");
  for (const auto child : objects_of(*object, "ChildShards")) {
    ChildShard& shard = page.children.emplace_back();
    shard.id = text_of(child, "ShardId");
    for (const auto parent : texts_of(child, "ParentShards")) shard.parents.emplace_back(parent);
  }
  return page;
}

}  // namespace penstock::client
