#include "http/kinesis_service.h"

#include "base/assert.h"
#include "http/errors.h"
#include "http/put_context.h"

#include <algorithm>

namespace penstock::http {

namespace {

constexpr std::string_view kNoOperation =
    "Unable to determine service/operation name to be authorized";

// Up to the first ';', trimmed.
std::string_view media_type(std::string_view header) {
  header = header.substr(0, header.find(';'));
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!header.empty() && is_space(header.front())) header.remove_prefix(1);
  while (!header.empty() && is_space(header.back())) header.remove_suffix(1);
  return header;
}

std::optional<PutCall> put_call(Operation operation) {
  if (operation == Operation::kPutRecord) return PutCall::kPutRecord;
  if (operation == Operation::kPutRecords) return PutCall::kPutRecords;
  return std::nullopt;
}

// Whether the body is an object; `out` is it.
bool parse_object(simdjson::dom::parser& parser, std::span<const char> body,
                  simdjson::dom::element& out) {
  // The connection keeps the padding that the parser would otherwise copy the body for.
  constexpr bool kCopy = false;
  return parser.parse(body.data(), body.size(), kCopy).get(out) == simdjson::SUCCESS &&
         out.is_object();
}

}  // namespace

KinesisService::KinesisService(shard::DataPlane& data, proto::ControlPlane& control,
                               env::Entropy& entropy, KinesisOptions options)
    : data_(data),
      control_(control),
      options_(std::move(options)),
      reply_(entropy, counters_),
      verifier_(options_.credentials, options_.identity.region),
      tokens_(options_.token_key),
      parser_(options_.body_bytes_max),
      scratch_(kPutRecordsMax) {
  for (std::uint32_t i = 0; i < options_.put_blocks; ++i) {
    blocks_.push_back(std::make_unique<PutBlock>());
    blocks_.back()->next = free_block_;
    free_block_ = blocks_.back().get();
  }
}

KinesisService::~KinesisService() = default;

const Value& KinesisService::Call::arg(std::string_view name) const {
  const auto at = std::find_if(shape.begin(), shape.end(),
                               [name](const Member& member) { return member.name == name; });
  PENSTOCK_ASSERT(at != shape.end());
  return values[static_cast<std::size_t>(at - shape.begin())];
}

WallMillis KinesisService::wall_at(Nanos now) const {
  return seen_wall_ + (now - seen_now_) / kNanosPerMilli;
}

void KinesisService::refuse(Exchange& exchange, const proto::KinesisError& error, Nanos now,
                            WireFormat format) {
  reply_.error(exchange, format, error, now);
}

void KinesisService::handle(Exchange& exchange, Nanos now, WallMillis wall) {
  seen_now_ = now;
  seen_wall_ = wall;
  exchange.counted_as = static_cast<std::uint8_t>(Operation::kUnknown);
  if (exchange.body.size() > options_.body_bytes_max) return reply_.too_large(exchange, now);
  if (exchange.method == "OPTIONS" && !exchange.header("origin").empty()) {
    return reply_.preflight(exchange, now);
  }
  if (exchange.method != "POST") {
    return reply_.xml_error(exchange, 403, "AccessDeniedException", kNoOperation, now);
  }
  handle_post(exchange, now, wall);
}

// Also where a call that waited for a block begins again.
void KinesisService::handle_post(Exchange& exchange, Nanos now, WallMillis wall) {
  const Target target = Target::parse(exchange.header("x-amz-target"));
  const Operation operation = find_operation(target);
  exchange.counted_as = static_cast<std::uint8_t>(operation);
  if (exchange.body.empty()) return handle_empty(exchange, operation, now);
  const std::string_view type = media_type(exchange.header("content-type"));
  if (type == kJsonType || type == kPlainJsonType) {
    if (type == kJsonType) {
      handle_json(exchange, operation, now, wall);
    } else {
      handle_plain_json(exchange, now);
    }
    return trim_parser();
  }
  if (type == kCborType) return handle_cbor(exchange, operation, now, wall);
  if (!target.complete()) {
    return reply_.xml_error(exchange, 403, "AccessDeniedException", kNoOperation, now);
  }
  reply_.xml_error(exchange, 404, "UnknownOperationException", {}, now);
}

void KinesisService::handle_empty(Exchange& exchange, Operation operation, Nanos now) {
  const bool json = media_type(exchange.header("content-type")) == kJsonType;
  const bool known = operation != Operation::kUnknown;
  refuse(exchange,
         {.type = known ? "SerializationException" : "UnknownOperationException", .message = {}},
         now, json ? WireFormat::kJson : WireFormat::kCbor);
}

void KinesisService::handle_plain_json(Exchange& exchange, Nanos now) {
  simdjson::dom::element ignored;
  const bool parsed = exchange.body.size() <= kParsedUnsignedBytesMax;
  if (parsed && !parse_object(parser_, exchange.body, ignored)) {
    return reply_.wrapped_error(exchange, 400, "SerializationException", now);
  }
  reply_.wrapped_error(exchange, 404, "UnknownOperationException", now);
}

void KinesisService::handle_cbor(Exchange& exchange, Operation operation, Nanos now,
                                 WallMillis wall) {
  if (operation == Operation::kUnknown) {
    return refuse(exchange, {.type = "UnknownOperationException", .message = {}}, now,
                  WireFormat::kCbor);
  }
  if (!authentic(exchange, WireFormat::kCbor, now, wall)) return;
  refuse(
      exchange,
      serialization_error(
          "This server reads application/x-amz-json-1.1 only. Turn CBOR off in the client: "
          "CBOR_ENABLED=false or -Daws.cborEnabled=false (SDK for Java 2), AWS_CBOR_DISABLE=true "
          "or -Dcom.amazonaws.sdk.disableCbor=true (SDK for Java 1)."),
      now, WireFormat::kCbor);
}

// A request may have waited for memory. What it shows is judged as of when it came.
WallMillis KinesisService::came_at(const Exchange& exchange, Nanos now, WallMillis wall) {
  return wall - (now - exchange.received) / kNanosPerMilli;
}

bool KinesisService::authentic(Exchange& exchange, WireFormat format, Nanos now, WallMillis wall) {
  const std::optional<proto::KinesisError> refusal =
      verifier_.verify(exchange, came_at(exchange, now, wall));
  if (!refusal) return true;
  ++counters_.unauthenticated;
  refuse(exchange, *refusal, now, format);
  return false;
}

void KinesisService::handle_json(Exchange& exchange, Operation operation, Nanos now,
                                 WallMillis wall) {
  const std::optional<PutCall> kind = put_call(operation);
  // Whoever sent it has given up, and sent it again: stored now, every record would be there twice.
  if (kind && out_of_time(exchange, now)) {
    ++counters_.put_late;
    return refuse(exchange, service_unavailable(ErrorCode::kOverloaded), now);
  }
  if (kind == PutCall::kPutRecords && wait_for_block(exchange)) return;
  ScannedPut scan;
  if (kind && scan_put(*kind, exchange.body, scan, scratch_)) {
    if (authentic(exchange, WireFormat::kJson, now, wall))
      put(exchange, scan, *kind, now, wall, {});
    return;
  }
  const bool signature_first = exchange.body.size() > kParsedUnsignedBytesMax;
  if (signature_first && !authentic(exchange, WireFormat::kJson, now, wall)) return;
  simdjson::dom::element body;
  if (!parse_object(parser_, exchange.body, body)) {
    return refuse(exchange, serialization_error(), now);
  }
  if (operation == Operation::kUnknown) {
    return refuse(exchange, {.type = "UnknownOperationException", .message = {}}, now);
  }
  if (!signature_first && !authentic(exchange, WireFormat::kJson, now, wall)) return;
  if (operation == Operation::kAbsent) {
    return refuse(exchange,
                  {.type = "UnknownOperationException",
                   .message = "This server does not have that operation. It has " +
                              served_operations() + "."},
                  now);
  }
  Call call{.exchange = exchange,
            .now = now,
            .wall = wall,
            .came = came_at(exchange, now, wall),
            .operation = operation,
            .shape = shape_of(operation),
            .values = {}};
  std::optional<proto::KinesisError> refusal = decode(body, call.shape, call.values);
  if (!refusal) refusal = check(call.shape, call.values);
  if (refusal) return refuse(exchange, *refusal, now);
  dispatch(call);
}

// A large document leaves a parser many times its size, which nobody needs for long.
void KinesisService::trim_parser() {
  constexpr std::size_t kBytesKept = 1 * kMiB;
  if (parser_.capacity() > kBytesKept) parser_ = simdjson::dom::parser(options_.body_bytes_max);
}

void KinesisService::dispatch(Call& call) {
  switch (call.operation) {
    case Operation::kCreateStream:
      return create_stream(call);
    case Operation::kDeleteStream:
      return delete_stream(call);
    case Operation::kDecreaseStreamRetentionPeriod:
    case Operation::kIncreaseStreamRetentionPeriod:
      return set_retention(call);
    case Operation::kDescribeLimits:
      return describe_limits(call);
    case Operation::kDescribeStream:
      return describe_stream(call);
    case Operation::kDescribeStreamSummary:
      return describe_stream_summary(call);
    case Operation::kGetRecords:
      return get_records(call);
    case Operation::kGetShardIterator:
      return get_shard_iterator(call);
    case Operation::kListShards:
      return list_shards(call);
    case Operation::kListStreams:
      return list_streams(call);
    case Operation::kMergeShards:
      return merge_shards(call);
    case Operation::kPutRecord:
      return put_general(call, PutCall::kPutRecord);
    case Operation::kPutRecords:
      return put_general(call, PutCall::kPutRecords);
    case Operation::kSplitShard:
      return split_shard(call);
    case Operation::kAbsent:
    case Operation::kUnknown:
      break;
  }
  PENSTOCK_ASSERT(false);
}

}  // namespace penstock::http
