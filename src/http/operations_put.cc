// PutRecord and PutRecords: from a body that was read to the data cores, and their outcome to the
// answer.
#include "base/assert.h"
#include "http/errors.h"
#include "http/json_writer.h"
#include "http/kinesis_service.h"
#include "http/put_context.h"
#include "http/sequence_check.h"

#include <algorithm>
#include <new>

namespace penstock::http {

namespace {

bool throttled(ErrorCode code) {
  return code == ErrorCode::kThrottled || code == ErrorCode::kThrottledInCall;
}

// An entry of the answer, at its longest: a throttled one.
constexpr std::size_t kEntryBytesMax = 160 + kRateExceededMax;
constexpr std::size_t kEntriesPerPiece = 64;

char* write_sequence(const shard::PutEntry& entry, char* out) {
  return proto::record_sequence(entry.shard_created_second, entry.shard, entry.index, entry.arrival)
      .write(out);
}

char* write_stored(const shard::PutEntry& entry, char* out) {
  out = write_text(R"("SequenceNumber":")", out);
  out = write_sequence(entry, out);
  out = write_text(R"(","ShardId":")", out);
  out = write_shard_id(entry.shard, out);
  return write_text("\"", out);
}

char* write_entry(const shard::PutEntry& entry, std::string_view stream, std::string_view account,
                  char* out) {
  *out++ = '{';
  if (entry.stored) {
    out = write_stored(entry, out);
  } else if (throttled(entry.error)) {
    out =
        write_text(R"("ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":")", out);
    out = write_rate_exceeded(entry.shard, stream, account, out);
    *out++ = '"';
  } else {
    out = write_text(R"("ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure")",
                     out);
  }
  *out++ = '}';
  return out;
}

}  // namespace

std::optional<proto::KinesisError> KinesisService::check_put(
    const ScannedPut& scan, PutCall kind, const route::StreamRoute& stream, WallMillis wall,
    std::string_view hash_out_of_range) const {
  const std::string& account = options_.identity.account;
  if (stream.status != route::StreamStatus::kActive &&
      stream.status != route::StreamStatus::kUpdating) {
    return stream_not_found(stream.name, account);
  }
  if (!hash_out_of_range.empty()) return hash_key_out_of_range(hash_out_of_range);
  if (!scan.sequence_for_ordering.empty()) {
    const auto given = parse_given_sequence(scan.sequence_for_ordering);
    if (!given || given->second > wall.raw() / 1000) {
      return invalid_argument("ExclusiveMinimumSequenceNumber " +
                              std::string(scan.sequence_for_ordering) +
                              " used in PutRecord on stream " + stream.name + " under account " +
                              account + " is invalid.");
    }
  }
  if (scan.data_bytes_max > stream.record_bytes_max) {
    return record_too_large(scan.data_bytes_max, stream.record_bytes_max, stream.name, account);
  }
  const std::uint64_t bytes = scan.data_bytes + scan.key_bytes;
  if (kind == PutCall::kPutRecords && bytes > options_.put_bytes_max) {
    return invalid_argument("Records of " + std::to_string(bytes) +
                            " bytes with their partition keys exceed the limit of " +
                            std::to_string(options_.put_bytes_max) +
                            " bytes per PutRecords call. Send fewer records per call.");
  }
  return std::nullopt;
}

void KinesisService::put_general(Call& call, PutCall kind) {
  ++counters_.put_general;
  ScannedPut scan;
  std::string_view hash_out_of_range;
  general_put(kind, call.values, call.exchange.body, scan, scratch_, hash_out_of_range);
  put(call.exchange, scan, kind, call.now, call.wall, hash_out_of_range);
}

void KinesisService::put(Exchange& exchange, const ScannedPut& scan, PutCall kind, Nanos now,
                         WallMillis wall, std::string_view hash_out_of_range) {
  const Expected<std::string_view> name = stream_name(scan.stream_name, scan.stream_arn);
  if (!name) return refuse(exchange, name.error(), now);
  const route::StreamRoute* stream = data_.routes()->find(*name);
  if (stream == nullptr) {
    return refuse(exchange, stream_not_found(*name, options_.identity.account), now);
  }
  if (const auto refusal = check_put(scan, kind, *stream, wall, hash_out_of_range)) {
    return refuse(exchange, *refusal, now);
  }
  const std::span<std::byte> storage = exchange.service_storage();
  static_assert(sizeof(PutContext) <= Exchange::kServiceBytes);
  PENSTOCK_ASSERT(storage.size() >= sizeof(PutContext));
  auto* context = new (storage.data()) PutContext;
  context->service = this;
  context->exchange = &exchange;
  context->kind = kind;
  context->name_size = stream->name.size();
  std::copy(stream->name.begin(), stream->name.end(), context->name_text.begin());
  std::span<shard::PutEntry> entries(context->inline_entries);
  if (scan.count > kInlineEntries) {
    // `handle` lets no call come so far while there is none.
    context->block = free_block_;
    PENSTOCK_ASSERT(context->block != nullptr);
    free_block_ = context->block->next;
    entries = context->block->entries;
  }
  context->request.stream = stream->uid;
  context->request.entries = entries.first(scan.count);
  context->request.deadline = exchange.received + options_.put_deadline_nanos;
  context->request.done = &KinesisService::put_done;
  context->request.context = context;
  materialise_put(exchange.body, std::span(scratch_).first(scan.count), context->request.entries);
  data_.put(context->request, now);
}

bool KinesisService::out_of_time(const Exchange& exchange, Nanos now) const {
  return exchange.abandoned() || now >= exchange.received + options_.put_deadline_nanos;
}

bool KinesisService::wait_for_block(Exchange& exchange) {
  if (free_block_ != nullptr) return false;
  ++counters_.put_waited;
  auto* waiter = new (exchange.service_storage().data()) PutWaiter{.exchange = &exchange};
  (first_waiting_ == nullptr ? first_waiting_ : last_waiting_->next) = waiter;
  last_waiting_ = waiter;
  return true;
}

void KinesisService::start_waiting(Nanos now) {
  // One block became free. A call may be too late, refused, or need none: then the next has its turn.
  while (free_block_ != nullptr && first_waiting_ != nullptr) {
    Exchange& exchange = *first_waiting_->exchange;
    first_waiting_ = first_waiting_->next;
    handle_post(exchange, now, wall_at(now));
  }
}

void KinesisService::put_done(shard::PutRequest& request, Nanos now) {
  auto& context = *static_cast<PutContext*>(request.context);
  context.service->finish_put(context, now);
}

void KinesisService::finish_put(PutContext& context, Nanos now) {
  count_entries(context);
  PutBlock* const block = context.block;
  if (context.kind == PutCall::kPutRecord) {
    answer_put_record(context, now);
  } else {
    write_put_records(context);
    // The entries are read; from here on the block serves others, even those that this answer's
    // connection sends next.
    if (block != nullptr) {
      block->next = free_block_;
      free_block_ = block;
    }
    reply_.json(*context.exchange, 200, now);
  }
  if (block != nullptr) start_waiting(now);
}

void KinesisService::count_entries(const PutContext& context) {
  std::uint64_t stored = 0;
  std::uint64_t bytes = 0;
  std::uint64_t refused = 0;
  for (const shard::PutEntry& entry : context.request.entries) {
    if (entry.stored) {
      ++stored;
      bytes += entry.record.data_bytes + entry.record.key_bytes;
    } else if (throttled(entry.error)) {
      ++refused;
    }
  }
  counters_.records_stored += stored;
  counters_.record_bytes_stored += bytes;
  counters_.records_throttled += refused;
  counters_.records_failed += context.request.entries.size() - stored - refused;
}

void KinesisService::answer_put_record(PutContext& context, Nanos now) {
  Exchange& exchange = *context.exchange;
  const shard::PutEntry& entry = context.request.entries[0];
  if (entry.stored) {
    ResponseBody& body = exchange.response();
    const std::span<char> room = body.reserve(kEntryBytesMax);
    char* end = write_entry(entry, context.name(), options_.identity.account, room.data());
    body.commit(static_cast<std::size_t>(end - room.data()));
    return reply_.json(exchange, 200, now);
  }
  if (throttled(entry.error)) {
    return refuse(exchange, rate_exceeded(entry.shard, context.name(), options_.identity.account),
                  now);
  }
  const bool busy = entry.error == ErrorCode::kOverloaded || entry.error == ErrorCode::kStopping;
  refuse(exchange, busy ? service_unavailable(entry.error) : internal_failure(entry.error), now);
}

void KinesisService::write_put_records(const PutContext& context) {
  ResponseBody& body = context.exchange->response();
  const std::span<const shard::PutEntry> entries = context.request.entries;
  const auto failed = std::count_if(entries.begin(), entries.end(),
                                    [](const shard::PutEntry& entry) { return !entry.stored; });
  std::span<char> room = body.reserve(kEntryBytesMax);
  char* out = write_text(R"({"FailedRecordCount":)", room.data());
  out = write_json_integer(failed, out);
  out = write_text(R"(,"Records":[)", out);
  body.commit(static_cast<std::size_t>(out - room.data()));
  for (std::size_t i = 0; i < entries.size(); i += kEntriesPerPiece) {
    const std::size_t last = std::min(entries.size(), i + kEntriesPerPiece);
    room = body.reserve((last - i) * (kEntryBytesMax + 1));
    out = room.data();
    for (std::size_t k = i; k < last; ++k) {
      if (k > 0) *out++ = ',';
      out = write_entry(entries[k], context.name(), options_.identity.account, out);
    }
    body.commit(static_cast<std::size_t>(out - room.data()));
  }
  body.append("]}");
}

}  // namespace penstock::http
