// ListShards: six filters over the route map, paged by authenticated tokens.
#include "http/errors.h"
#include "http/json_writer.h"
#include "http/kinesis_service.h"
#include "http/shard_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::http {

// In tokens as a number: never renumber.
enum class ShardFilter : std::uint8_t {
  kFromTrimHorizon = 0,
  kAfterShardId = 1,
  kAtTrimHorizon = 2,
  kAtLatest = 3,
  kAtTimestamp = 4,
  kFromTimestamp = 5,
};

// What is to be listed, from the request's members or from a token.
struct ShardListing {
  std::string stream;
  std::optional<StreamUid> uid;  // tokens: the incarnation they were made for
  ShardFilter filter = ShardFilter::kFromTrimHorizon;
  std::int64_t timestamp = 0;        // milliseconds
  std::optional<ShardNumber> after;  // list what follows
};

namespace {

constexpr std::int64_t kPageMax = 1000;

using Refusal = std::optional<proto::KinesisError>;

std::optional<ShardFilter> filter_of(std::string_view type) {
  if (type == "FROM_TRIM_HORIZON") return ShardFilter::kFromTrimHorizon;
  if (type == "AFTER_SHARD_ID") return ShardFilter::kAfterShardId;
  if (type == "AT_TRIM_HORIZON") return ShardFilter::kAtTrimHorizon;
  if (type == "AT_LATEST") return ShardFilter::kAtLatest;
  if (type == "AT_TIMESTAMP") return ShardFilter::kAtTimestamp;
  if (type == "FROM_TIMESTAMP") return ShardFilter::kFromTimestamp;
  return std::nullopt;
}

// When the shard began to take records. A child's own creation second lies one second behind its
// parent's close, so that its numbers sort above; its records begin at the close.
std::int64_t start_ms(const route::StreamRoute& stream, const route::ShardRoute& shard) {
  const route::ShardRoute* parent =
      shard.parent == route::kNoShard ? nullptr : stream.find(shard.parent);
  return parent == nullptr ? shard.created_second * 1000 : parent->closed_ms;
}

// The map holds a shard until all its records have expired, so those whose parents are not in it
// are the ones that were open at the trim horizon: they tile the key space.
bool at_trim_horizon(const route::StreamRoute& stream, const route::ShardRoute& shard) {
  const auto listed = [&stream](ShardNumber number) {
    return number != route::kNoShard && stream.find(number) != nullptr;
  };
  return !listed(shard.parent) && !listed(shard.adjacent_parent);
}

// A time before every shard in the map is the trim horizon.
bool before_horizon(const route::StreamRoute& stream, std::int64_t timestamp) {
  std::int64_t oldest = std::numeric_limits<std::int64_t>::max();
  for (const route::ShardRoute& shard : stream.shards) {
    if (at_trim_horizon(stream, shard)) oldest = std::min(oldest, start_ms(stream, shard));
  }
  return timestamp < oldest;
}

bool selected(const ShardListing& listing, const route::StreamRoute& stream,
              const route::ShardRoute& shard) {
  switch (listing.filter) {
    case ShardFilter::kFromTrimHorizon:
    case ShardFilter::kAfterShardId:
      return true;
    case ShardFilter::kAtTrimHorizon:
      return at_trim_horizon(stream, shard);
    case ShardFilter::kAtLatest:
      return shard.open;
    case ShardFilter::kAtTimestamp:
      return start_ms(stream, shard) <= listing.timestamp &&
             (shard.open || shard.closed_ms >= listing.timestamp);
    case ShardFilter::kFromTimestamp:
      return shard.open || shard.closed_ms >= listing.timestamp;
  }
  return false;
}

Refusal exclusive_with_token(std::span<const Value> values, std::span<const Member> shape) {
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::string_view name = shape[i].name;
    if (name == "NextToken" || name == "MaxResults" || name == "StreamId") continue;
    if (!values[i].present) continue;
    return invalid_argument(fmt::format("NextToken and {} cannot be provided together.", name));
  }
  return std::nullopt;
}

Refusal read_token(const Token& token, WallMillis wall, ShardListing& listing) {
  if (expired(token, wall)) return page_token_expired(token.issued, wall);
  listing = {.stream = std::string(token.name),
             .uid = token.stream,
             .filter = static_cast<ShardFilter>(token.variant),
             .timestamp = token.timestamp,
             .after = token.shard};
  return std::nullopt;
}

Refusal read_shard_id(const Value& shard_id, std::string_view account, ShardListing& listing) {
  const std::optional<ShardNumber> number = proto::parse_shard_id(shard_id.text);
  if (!number) return shard_not_resolved(shard_id.text, listing.stream, account);
  listing.after = std::max(listing.after.value_or(*number), *number);
  return std::nullopt;
}

// Members of ShardFilter, in the order of its shape.
constexpr std::size_t kFilterType = 0;
constexpr std::size_t kFilterShardId = 1;
constexpr std::size_t kFilterTimestamp = 2;

Refusal read_filter(const Value& filter, std::string_view account, std::int64_t wall_ms,
                    std::int64_t tolerance_ms, ShardListing& listing) {
  if (!filter.present) return std::nullopt;
  const std::string_view type = filter.items[kFilterType].text;
  listing.filter = filter_of(type).value_or(ShardFilter::kFromTrimHorizon);
  if (listing.filter == ShardFilter::kAfterShardId) {
    const Value& shard_id = filter.items[kFilterShardId];
    if (!shard_id.present) {
      return invalid_argument("ShardFilter of type AFTER_SHARD_ID requires a ShardId.");
    }
    return read_shard_id(shard_id, account, listing);
  }
  if (listing.filter != ShardFilter::kAtTimestamp &&
      listing.filter != ShardFilter::kFromTimestamp) {
    return std::nullopt;
  }
  const Value& timestamp = filter.items[kFilterTimestamp];
  if (!timestamp.present) {
    return invalid_argument(fmt::format("ShardFilter of type {} requires a Timestamp.", type));
  }
  listing.timestamp = timestamp_millis(timestamp);
  if (listing.timestamp <= wall_ms + tolerance_ms) return std::nullopt;
  return timestamp_in_future(listing.timestamp, wall_ms);
}

// Writes one page; true when there is more, and listing.after then is the last shard of it.
bool write_page(JsonWriter& json, const route::StreamRoute& stream, std::size_t page,
                ShardListing& listing) {
  if (stream.status == route::StreamStatus::kCreating) return false;
  const bool horizon =
      listing.filter == ShardFilter::kAtTimestamp && before_horizon(stream, listing.timestamp);
  if (horizon) listing.filter = ShardFilter::kAtTrimHorizon;
  std::size_t listed = 0;
  for (const route::ShardRoute& shard : stream.shards) {
    if (listing.after && shard.number <= *listing.after) continue;
    if (!selected(listing, stream, shard)) continue;
    if (listed == page) return true;
    write_shard(json, shard);
    listing.after = shard.number;
    ++listed;
  }
  return false;
}

}  // namespace

std::optional<proto::KinesisError> KinesisService::read_listing(const Call& call,
                                                                ShardListing& listing) {
  const Value& next_token = call.arg("NextToken");
  const Value& name = call.arg("StreamName");
  const Value& arn = call.arg("StreamARN");
  if (next_token.present) {
    if (Refusal refusal = exclusive_with_token(call.values, call.shape)) return refusal;
    const std::optional<Token> token = tokens_.parse(TokenKind::kShardPage, next_token.text);
    if (!token) return page_token_invalid();
    return read_token(*token, call.came, listing);
  }
  if (!name.present && !arn.present) {
    return invalid_argument("Either NextToken or StreamName should be provided.");
  }
  const Expected<std::string_view> given = stream_name(name.text, arn.text);
  if (!given) return given.error();
  listing.stream = *given;
  const std::string& account = options_.identity.account;
  Refusal refusal = read_filter(call.arg("ShardFilter"), account, call.wall.raw(),
                                options_.timestamp_tolerance_ms, listing);
  const Value& start_after = call.arg("ExclusiveStartShardId");
  if (!refusal && start_after.present) refusal = read_shard_id(start_after, account, listing);
  return refusal;
}

void KinesisService::list_shards(Call& call) {
  ShardListing listing;
  if (const Refusal refusal = read_listing(call, listing)) {
    return refuse(call.exchange, *refusal, call.now);
  }
  const route::StreamRoute* stream = data_.routes()->find(listing.stream);
  const Value& created = call.arg("StreamCreationTimestamp");
  const bool found =
      stream != nullptr && (!listing.uid || stream->uid == *listing.uid) &&
      (!created.present || timestamp_millis(created) / 1000 == stream->created_ms / 1000);
  if (!found) {
    return refuse(call.exchange, stream_not_found(listing.stream, options_.identity.account),
                  call.now);
  }
  const Value& max_results = call.arg("MaxResults");
  const std::int64_t page =
      max_results.present ? std::min(max_results.integer, kPageMax) : kPageMax;

  JsonWriter json(call.exchange.response());
  json.begin_object().key("Shards").begin_array();
  const bool more = write_page(json, *stream, static_cast<std::size_t>(page), listing);
  json.end_array();
  if (more) {
    const Token token{.kind = TokenKind::kShardPage,
                      .variant = static_cast<std::uint8_t>(listing.filter),
                      .shard = listing.after.value_or(ShardNumber{}),
                      .stream = stream->uid,
                      .timestamp = listing.timestamp,
                      .issued = call.wall,
                      .name = stream->name};
    std::array<char, kTokenCharactersMax> text;
    const char* end = tokens_.write(token, text.data());
    json.key("NextToken").string({text.data(), static_cast<std::size_t>(end - text.data())});
  }
  json.end_object();
  reply_.json(call.exchange, 200, call.now);
}

}  // namespace penstock::http
