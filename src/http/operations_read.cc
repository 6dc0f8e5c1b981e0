// GetShardIterator and GetRecords: tokens to positions, positions to the core that owns the shard,
// and its answer to the end of the response.
#include "base/assert.h"
#include "http/errors.h"
#include "http/get_codec.h"
#include "http/json_writer.h"
#include "http/kinesis_service.h"
#include "http/sequence_check.h"
#include "http/shard_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

namespace penstock::http {

namespace {

constexpr std::int64_t kRecordsMax = 10'000;

bool readable(const route::StreamRoute& stream) {
  return stream.status == route::StreamStatus::kActive ||
         stream.status == route::StreamStatus::kUpdating;
}

proto::KinesisError iterator_type_refusal(std::string_view type, bool with_number) {
  return invalid_argument(fmt::format(
      "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
      "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request "
      "specified {} and {} StartingSequenceNumber.",
      type, with_number ? "also a" : "no"));
}

// An iterator in one extra pair of quotes is as good as one without.
std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    return text.substr(1, text.size() - 2);
  }
  return text;
}

}  // namespace

// In the exchange's own storage while the shard's core has the request. Never destroyed: it holds no
// memory, and the storage is the next request's when the answer is given.
struct KinesisService::ReadContext {
  ReadContext(KinesisService& the_service, Exchange& the_exchange, const route::StreamRoute& stream,
              const route::ShardRoute& the_shard, RecordsSink::Limits limits, std::span<char> room)
      : service(the_service),
        exchange(the_exchange),
        uid(stream.uid),
        shard(the_shard.number),
        shard_created_second(the_shard.created_second),
        name_size(stream.name.size()),
        sink(the_shard.number, the_shard.created_second, limits, room) {
    std::copy(stream.name.begin(), stream.name.end(), name_text.begin());
    request.shard = {.stream = uid, .shard = shard};
    request.owner = the_shard.core;
    request.context = this;
  }
  [[nodiscard]] std::string_view name() const { return {name_text.data(), name_size}; }
  [[nodiscard]] Token token(RecordIndex position, WallMillis issued) const {
    return {.kind = TokenKind::kIterator,
            .variant = static_cast<std::uint8_t>(shard::ReadStart::kIndex),
            .shard = shard,
            .stream = uid,
            .position = position.raw(),
            .issued = issued,
            .name = name()};
  }

  KinesisService& service;
  Exchange& exchange;
  StreamUid uid;
  ShardNumber shard;
  std::int64_t shard_created_second;
  std::array<char, kStreamNameMax> name_text{};
  std::size_t name_size;
  RecordsSink sink;
  shard::ReadRequest request;
};

// --- GetShardIterator -------------------------------------------------------------------------

std::optional<proto::KinesisError> KinesisService::read_starting_sequence(
    const Call& call, const route::StreamRoute& stream, const route::ShardRoute& shard,
    Token& token) const {
  const std::string_view type = call.arg("ShardIteratorType").text;
  const std::string_view number = call.arg("StartingSequenceNumber").text;
  const std::optional<GivenSequence> given = parse_given_sequence(number);
  const std::string used = fmt::format(
      "StartingSequenceNumber {} used in GetShardIterator on shard {} in stream {} under account "
      "{} "
      "is invalid",
      number, proto::shard_id(shard.number), stream.name, options_.identity.account);
  if (!given) return invalid_argument(used + ".");
  if (given->shard != static_cast<std::int64_t>(shard.number.raw())) {
    return invalid_argument(
        fmt::format("Invalid StartingSequenceNumber. It encodes {}, while it was used in a call to "
                    "a shard with "
                    "{}",
                    given_shard_id(given->shard), proto::shard_id(shard.number)));
  }
  if (given->version != 2 || given->shard_created_second != shard.created_second) {
    // The service fails on its oldest layout instead of refusing it.
    if (given->version == 0)
      return proto::KinesisError{.type = "InternalFailure", .message = {}, .http_status = 500};
    return invalid_argument(used + " because it did not come from this stream.");
  }
  const bool at = type == "AT_SEQUENCE_NUMBER";
  token.variant = static_cast<std::uint8_t>(shard::ReadStart::kIndex);
  token.position = (at ? index_at(given->index) : index_after(given->index)).raw();
  return std::nullopt;
}

std::optional<proto::KinesisError> KinesisService::read_start(const Call& call,
                                                              const route::StreamRoute& stream,
                                                              const route::ShardRoute& shard,
                                                              Token& token) const {
  const std::string_view type = call.arg("ShardIteratorType").text;
  const Value& number = call.arg("StartingSequenceNumber");
  const Value& timestamp = call.arg("Timestamp");
  if (type == "AT_TIMESTAMP") {
    if (!timestamp.present) {
      return invalid_argument(
          "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current "
          "request has no timestamp parameter.");
    }
    token.variant = static_cast<std::uint8_t>(shard::ReadStart::kTimestamp);
    token.timestamp = timestamp_millis(timestamp);
    const std::int64_t latest = call.wall.raw() + options_.timestamp_tolerance_ms;
    if (token.timestamp <= latest) return std::nullopt;
    return timestamp_in_future(token.timestamp, call.wall.raw());
  }
  const bool by_number = type == "AT_SEQUENCE_NUMBER" || type == "AFTER_SEQUENCE_NUMBER";
  if (by_number != number.present) return iterator_type_refusal(type, number.present);
  if (by_number) return read_starting_sequence(call, stream, shard, token);
  token.variant = static_cast<std::uint8_t>(type == "LATEST" ? shard::ReadStart::kLatest
                                                             : shard::ReadStart::kTrimHorizon);
  return std::nullopt;
}

void KinesisService::get_shard_iterator(Call& call) {
  const Expected<std::string_view> name = named_stream(call);
  if (!name) return refuse(call.exchange, name.error(), call.now);
  const std::string& account = options_.identity.account;
  const std::string_view given_id = call.arg("ShardId").text;
  const std::optional<ShardNumber> number = proto::parse_shard_id(given_id);
  if (!number) return refuse(call.exchange, shard_not_resolved(given_id, *name, account), call.now);
  const route::StreamRoute* stream = data_.routes()->find(*name);
  const route::ShardRoute* shard =
      stream == nullptr || !readable(*stream) ? nullptr : stream->find(*number);
  if (shard == nullptr) {
    return refuse(call.exchange, shard_missing(*number, *name, account), call.now);
  }
  Token token{.kind = TokenKind::kIterator,
              .shard = *number,
              .stream = stream->uid,
              .issued = call.wall,
              .name = stream->name};
  if (const auto refusal = read_start(call, *stream, *shard, token)) {
    return refuse(call.exchange, *refusal, call.now);
  }
  if (token.variant != static_cast<std::uint8_t>(shard::ReadStart::kLatest)) {
    return answer_iterator(call.exchange, token, call.now);
  }
  static_assert(sizeof(ReadContext) <= Exchange::kServiceBytes);
  // Just after the newest record at this time: the owner knows.
  auto* context = new (call.exchange.service_storage().data())
      ReadContext(*this, call.exchange, *stream, *shard, {}, {});
  context->request.start = shard::ReadStart::kLatest;
  context->request.done = &KinesisService::latest_done;
  data_.read(context->request, call.now);
}

void KinesisService::latest_done(shard::ReadRequest& request, Nanos now) {
  auto& context = *static_cast<ReadContext*>(request.context);
  KinesisService& service = context.service;
  if (!request.outcome) return service.refuse_read(context, now);
  service.answer_iterator(context.exchange, context.token(request.next, service.wall_at(now)), now);
}

void KinesisService::answer_iterator(Exchange& exchange, const Token& token, Nanos now) {
  std::array<char, kTokenCharactersMax> text;
  const char* end = tokens_.write(token, text.data());
  JsonWriter json(exchange.response());
  json.begin_object().key("ShardIterator");
  json.string({text.data(), static_cast<std::size_t>(end - text.data())});
  json.end_object();
  reply_.json(exchange, 200, now);
}

// --- GetRecords -------------------------------------------------------------------------------

void KinesisService::get_records(Call& call) {
  const std::string_view given = unquoted(call.arg("ShardIterator").text);
  const std::optional<Token> token = tokens_.parse(TokenKind::kIterator, given);
  if (!token) return refuse(call.exchange, iterator_invalid(), call.now);
  if (expired(*token, call.came)) {
    return refuse(call.exchange, iterator_expired(token->issued, call.came), call.now);
  }
  const Value& arn = call.arg("StreamARN");
  if (arn.present && arn.text != options_.identity.stream_arn(token->name)) {
    return refuse(call.exchange,
                  invalid_argument(
                      fmt::format("StreamARN {} does not match the stream {} of the ShardIterator.",
                                  arn.text, token->name)),
                  call.now);
  }
  const route::StreamRoute* stream = data_.routes()->find(token->name);
  const bool live = stream != nullptr && stream->uid == token->stream && readable(*stream);
  const route::ShardRoute* shard = live ? stream->find(token->shard) : nullptr;
  if (shard == nullptr) {
    return refuse(call.exchange,
                  shard_missing(token->shard, token->name, options_.identity.account), call.now);
  }
  const Value& limit = call.arg("Limit");
  const RecordsSink::Limits limits{
      .records_max = static_cast<std::uint32_t>(limit.present ? limit.integer : kRecordsMax),
      .bytes_max = options_.get_bytes_max};
  const std::size_t answer = call.exchange.reserve_answer(
      records_answer_bytes(1, stream->record_bytes_max),
      records_answer_bytes(limits.records_max, stream->record_bytes_max), call.now);
  if (answer == 0) return;
  call.exchange.response().append(kRecordsBegin);
  const std::size_t room = answer - kRecordsBegin.size() - kRecordsEndBytesMax;
  auto* context = new (call.exchange.service_storage().data())
      ReadContext(*this, call.exchange, *stream, *shard, limits,
                  call.exchange.response().reserve(room).first(room));
  shard::ReadRequest& request = context->request;
  request.start = static_cast<shard::ReadStart>(token->variant);
  request.index = RecordIndex(token->position);
  request.timestamp = WallMillis(token->timestamp);
  request.sink = &context->sink;
  request.done = &KinesisService::records_done;
  data_.read(request, call.now);
}

void KinesisService::records_done(shard::ReadRequest& request, Nanos now) {
  auto& context = *static_cast<ReadContext*>(request.context);
  context.service.finish_records(context, now);
}

void KinesisService::finish_records(ReadContext& context, Nanos now) {
  const shard::ReadRequest& request = context.request;
  if (!request.outcome) {
    // What came before the lost range is given first; the next call then stands at the range.
    const bool partial =
        request.outcome.error().code == ErrorCode::kDataLoss && context.sink.records() > 0;
    if (!partial) return refuse_read(context, now);
  }
  counters_.records_delivered += context.sink.records();
  counters_.record_bytes_delivered += context.sink.bytes();
  write_read_end(context, now);
  reply_.json(context.exchange, 200, now);
}

void KinesisService::write_read_end(ReadContext& context, Nanos now) {
  const shard::ReadRequest& request = context.request;
  ResponseBody& body = context.exchange.response();
  body.commit(context.sink.used());
  body.append("],");
  const route::StreamRoute* stream = data_.routes()->find(context.name());
  std::span<const route::ShardRoute> shards;
  if (stream != nullptr && stream->uid == context.uid) shards = stream->shards;
  const auto is_child = [&context](const route::ShardRoute& shard) {
    return is_child_of(shard, context.shard);
  };
  // A shard has ended for its readers when its children are known: readers must be told of both at
  // once. Between a parent's close and the new map they are given an empty answer and come again.
  const bool ended = request.outcome.has_value() && request.at_end &&
                     std::any_of(shards.begin(), shards.end(), is_child);
  JsonWriter json(body);
  if (ended) {
    json.key("ChildShards").begin_array();
    for (const route::ShardRoute& shard : shards) {
      if (is_child(shard)) write_child_shard(json, shard);
    }
    json.end_array();
  } else {
    const RecordIndex next = request.outcome ? request.next : context.sink.after_last();
    std::array<char, kTokenCharactersMax> text;
    const char* end = tokens_.write(context.token(next, wall_at(now)), text.data());
    json.key("NextShardIterator")
        .string({text.data(), static_cast<std::size_t>(end - text.data())});
  }
  json.key("MillisBehindLatest").integer(std::max<std::int64_t>(request.millis_behind, 0));
  json.end_object();
}

void KinesisService::refuse_read(ReadContext& context, Nanos now) {
  const ErrorCode code = context.request.outcome.error().code;
  const std::string& account = options_.identity.account;
  switch (code) {
    case ErrorCode::kThrottled:
      ++counters_.get_throttled;
      return refuse(context.exchange, rate_exceeded(context.shard, context.name(), account), now);
    case ErrorCode::kNotFound:
      return refuse(context.exchange, shard_missing(context.shard, context.name(), account), now);
    case ErrorCode::kDataLoss:
      ++counters_.reads_lost;
      return refuse(context.exchange, data_loss(context), now);
    case ErrorCode::kOverloaded:
    case ErrorCode::kStopping:
      return refuse(context.exchange, service_unavailable(code), now);
    default:
      return refuse(context.exchange, internal_failure(code), now);
  }
}

proto::KinesisError KinesisService::data_loss(const ReadContext& context) const {
  const shard::ReadRequest& request = context.request;
  const auto number = [&context](RecordIndex index) {
    return proto::record_sequence(context.shard_created_second, context.shard, index,
                                  WallMillis(context.shard_created_second * 1000))
        .decimal();
  };
  proto::KinesisError error = internal_failure(ErrorCode::kDataLoss);
  std::string range;
  if (request.start == shard::ReadStart::kIndex && request.index < request.next) {
    range = fmt::format("from sequence number {} ", number(request.index));
  }
  const RecordIndex last = request.next.raw() > 0 ? request.next - 1 : request.next;
  error.message += fmt::format(
      ": records {}up to sequence number {} of shard {} in stream {}. What follows is read with an "
      "iterator AFTER_SEQUENCE_NUMBER {}.",
      range, number(last), proto::shard_id(context.shard), context.name(), number(last));
  return error;
}

}  // namespace penstock::http
