// DescribeStream, DescribeStreamSummary, ListStreams, DescribeLimits: answered from the route map.
#include "http/errors.h"
#include "http/json_writer.h"
#include "http/kinesis_service.h"
#include "http/shard_json.h"

#include <fmt/format.h>

#include <algorithm>

namespace penstock::http {

namespace {

constexpr std::int64_t kPageMax = 100;

void write_mode(JsonWriter& json, const route::StreamRoute& stream) {
  json.key("StreamModeDetails").begin_object();
  json.key("StreamMode")
      .string(stream.mode == route::StreamMode::kOnDemand ? "ON_DEMAND" : "PROVISIONED");
  json.end_object();
}

void write_head(JsonWriter& json, const route::StreamRoute& stream, std::string_view arn) {
  json.key("StreamName").string(stream.name);
  json.key("StreamARN").string(arn);
  json.key("StreamStatus").string(route::name(stream.status));
  write_mode(json, stream);
  json.key("StreamCreationTimestamp").seconds(stream.created_ms);
}

// What both descriptions have besides.
void write_properties(JsonWriter& json, const route::StreamRoute& stream) {
  json.key("RetentionPeriodHours").integer(stream.retention_hours);
  json.key("EnhancedMonitoring").begin_array().begin_object();
  json.key("ShardLevelMetrics").begin_array().end_array();
  json.end_object().end_array();
  json.key("EncryptionType").string("NONE");
}

// The parts of an ARN that matched its pattern.
struct StreamArn {
  std::string_view region;
  std::string_view account;
  std::string_view name;
};

StreamArn split_arn(std::string_view arn) {
  std::string_view parts[5];
  for (std::string_view& part : parts) {
    const std::size_t colon = arn.find(':');
    part = arn.substr(0, colon);
    arn.remove_prefix(colon + 1);
  }
  return {.region = parts[3], .account = parts[4], .name = arn.substr(arn.find('/') + 1)};
}

}  // namespace

auto KinesisService::stream_name(std::string_view name, std::string_view arn) const
    -> Expected<std::string_view> {
  if (arn.empty()) return name;
  const StreamArn parts = split_arn(arn);
  if (!name.empty() && name != parts.name) {
    return std::unexpected(invalid_argument(
        fmt::format("StreamName {} and StreamARN {} name different streams.", name, arn)));
  }
  if (parts.account != options_.identity.account || parts.region != options_.identity.region) {
    return std::unexpected(stream_not_found(parts.name, parts.account));
  }
  return parts.name;
}

auto KinesisService::named_stream(const Call& call) const -> Expected<std::string_view> {
  return stream_name(call.arg("StreamName").text, call.arg("StreamARN").text);
}

auto KinesisService::find_stream(const Call& call) const -> Expected<StreamRef> {
  const Expected<std::string_view> name = named_stream(call);
  if (!name) return std::unexpected(name.error());
  const route::StreamRoute* stream = data_.routes()->find(*name);
  if (stream == nullptr) {
    return std::unexpected(stream_not_found(*name, options_.identity.account));
  }
  return stream;
}

void KinesisService::describe_stream(Call& call) {
  const Expected<StreamRef> found = find_stream(call);
  if (!found) return refuse(call.exchange, found.error(), call.now);
  const route::StreamRoute& stream = **found;
  const Value& limit = call.arg("Limit");
  const auto page =
      static_cast<std::size_t>(limit.present ? std::min(limit.integer, kPageMax) : kPageMax);
  const Expected<std::span<const route::ShardRoute>> rest =
      shards_after(stream, call.arg("ExclusiveStartShardId"), options_.identity.account);
  if (!rest) return refuse(call.exchange, rest.error(), call.now);

  JsonWriter json(call.exchange.response());
  json.begin_object().key("StreamDescription").begin_object();
  write_head(json, stream, options_.identity.stream_arn(stream.name));
  write_properties(json, stream);
  json.key("Shards").begin_array();
  for (const route::ShardRoute& shard : rest->first(std::min(page, rest->size()))) {
    write_shard(json, shard);
  }
  json.end_array();
  json.key("HasMoreShards").boolean(rest->size() > page);
  json.end_object().end_object();
  reply_.json(call.exchange, 200, call.now);
}

void KinesisService::describe_stream_summary(Call& call) {
  const Expected<StreamRef> found = find_stream(call);
  if (!found) return refuse(call.exchange, found.error(), call.now);
  const route::StreamRoute& stream = **found;
  JsonWriter json(call.exchange.response());
  json.begin_object().key("StreamDescriptionSummary").begin_object();
  write_head(json, stream, options_.identity.stream_arn(stream.name));
  write_properties(json, stream);
  const bool listed = stream.status != route::StreamStatus::kCreating;
  json.key("OpenShardCount").integer(listed ? static_cast<std::int64_t>(stream.open.size()) : 0);
  json.key("ConsumerCount").integer(0);
  json.key("MaxRecordSizeInKiB").integer(stream.record_bytes_max / 1024);
  json.end_object().end_object();
  reply_.json(call.exchange, 200, call.now);
}

void KinesisService::list_streams(Call& call) {
  const Value& limit = call.arg("Limit");
  const Value& next_token = call.arg("NextToken");
  std::string after(call.arg("ExclusiveStartStreamName").text);
  if (next_token.present) {
    const std::optional<Token> token = tokens_.parse(TokenKind::kStreamPage, next_token.text);
    if (!token) return refuse(call.exchange, page_token_invalid(), call.now);
    if (expired(*token, call.came)) {
      return refuse(call.exchange, page_token_expired(token->issued, call.came), call.now);
    }
    after = token->name;
  }
  const auto page =
      static_cast<std::size_t>(limit.present ? std::min(limit.integer, kPageMax) : kPageMax);
  const auto& streams = data_.routes()->streams;
  const auto begin = after.empty() ? streams.begin() : streams.upper_bound(after);
  auto end = begin;
  for (std::size_t listed = 0; listed < page && end != streams.end(); ++listed) ++end;

  JsonWriter json(call.exchange.response());
  json.begin_object().key("StreamNames").begin_array();
  for (auto at = begin; at != end; ++at) json.string(at->first);
  json.end_array().key("HasMoreStreams").boolean(end != streams.end());
  if (end != streams.end()) {
    const Token token{
        .kind = TokenKind::kStreamPage, .issued = call.wall, .name = std::prev(end)->first};
    std::array<char, kTokenCharactersMax> text;
    const char* text_end = tokens_.write(token, text.data());
    json.key("NextToken").string({text.data(), static_cast<std::size_t>(text_end - text.data())});
  }
  json.key("StreamSummaries").begin_array();
  for (auto at = begin; at != end; ++at) {
    json.begin_object();
    write_head(json, *at->second, options_.identity.stream_arn(at->first));
    json.end_object();
  }
  json.end_array().end_object();
  reply_.json(call.exchange, 200, call.now);
}

void KinesisService::describe_limits(Call& call) {
  std::int64_t open = 0;
  std::int64_t on_demand = 0;
  for (const auto& [name, stream] : data_.routes()->streams) {
    open += static_cast<std::int64_t>(stream->open.size());
    on_demand += stream->mode == route::StreamMode::kOnDemand ? 1 : 0;
  }
  JsonWriter json(call.exchange.response());
  json.begin_object();
  json.key("ShardLimit").integer(options_.shards_max);
  json.key("OpenShardCount").integer(open);
  json.key("OnDemandStreamCount").integer(on_demand);
  json.key("OnDemandStreamCountLimit").integer(options_.on_demand_streams_max);
  json.end_object();
  reply_.json(call.exchange, 200, call.now);
}

}  // namespace penstock::http
