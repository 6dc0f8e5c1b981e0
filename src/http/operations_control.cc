// The administrative calls that change something: decoded here, decided by the catalogue, answered
// when every core's map shows them.
#include "http/errors.h"
#include "http/kinesis_service.h"

#include <fmt/format.h>

#include <memory>

namespace penstock::http {

void KinesisService::start_control(Call& call, decltype(proto::ControlRequest::call) control_call) {
  // Administrative calls are few.
  ControlContext* context = controls_.emplace_back(std::make_unique<ControlContext>()).get();
  context->service = this;
  context->exchange = &call.exchange;
  context->request.call = std::move(control_call);
  context->request.by = verifier_.principal()->access_key_id;
  context->request.done = &KinesisService::control_done;
  context->request.context = context;
  control_.start(context->request, call.now);
}

void KinesisService::control_done(proto::ControlRequest& request, Nanos now) {
  auto* context = static_cast<ControlContext*>(request.context);
  KinesisService& service = *context->service;
  if (request.error) {
    service.refuse(*context->exchange, *request.error, now);
  } else {
    service.reply_.nothing(*context->exchange, now);
  }
  std::erase_if(service.controls_, [&](const auto& kept) { return kept.get() == context; });
}

std::optional<proto::KinesisError> KinesisService::check_create(const Call& call,
                                                                proto::CreateStream& create) const {
  const Value& count = call.arg("ShardCount");
  const Value& details = call.arg("StreamModeDetails");
  // Neither given is on-demand, as the service has it.
  const bool on_demand = details.present ? details.items[0].text == "ON_DEMAND" : !count.present;
  create.name = call.arg("StreamName").text;
  create.mode = on_demand ? route::StreamMode::kOnDemand : route::StreamMode::kProvisioned;
  create.shards = count.present ? static_cast<std::uint32_t>(count.integer) : 0;
  if (on_demand && count.present) {
    return invalid_argument("ShardCount cannot be given for a stream in ON_DEMAND mode.");
  }
  if (!on_demand && !count.present) {
    return invalid_argument("ShardCount is required for a stream in PROVISIONED mode.");
  }
  const Value& record_size = call.arg("MaxRecordSizeInKiB");
  const std::int64_t configured = options_.record_bytes_max / 1024;
  if (record_size.present && record_size.integer != configured) {
    return invalid_argument(
        fmt::format("MaxRecordSizeInKiB of new streams is {} by the server's configuration; {} was "
                    "requested.",
                    configured, record_size.integer));
  }
  // Better refused than forgotten.
  if (!call.arg("Tags").items.empty()) {
    return invalid_argument("This server does not keep tags yet. Create the stream without Tags.");
  }
  if (call.arg("WarmThroughputMiBps").integer > 0) {
    return invalid_argument("This server does not have warm throughput.");
  }
  if (call.arg("RecordDistributionStrategy").text == "AUTO") {
    return invalid_argument("This server does not have the record distribution strategy AUTO.");
  }
  return std::nullopt;
}

void KinesisService::create_stream(Call& call) {
  proto::CreateStream create;
  if (const auto refusal = check_create(call, create)) {
    return refuse(call.exchange, *refusal, call.now);
  }
  start_control(call, std::move(create));
}

void KinesisService::delete_stream(Call& call) {
  const Expected<std::string_view> name = named_stream(call);
  if (!name) return refuse(call.exchange, name.error(), call.now);
  start_control(call, proto::DeleteStream{.name = std::string(*name)});
}

void KinesisService::set_retention(Call& call) {
  const Expected<std::string_view> name = named_stream(call);
  if (!name) return refuse(call.exchange, name.error(), call.now);
  start_control(call, proto::SetRetention{
                          .name = std::string(*name),
                          .hours = call.arg("RetentionPeriodHours").integer,
                          .increase = call.operation == Operation::kIncreaseStreamRetentionPeriod});
}

void KinesisService::split_shard(Call& call) {
  const Expected<std::string_view> name = named_stream(call);
  if (!name) return refuse(call.exchange, name.error(), call.now);
  const std::string_view key = call.arg("NewStartingHashKey").text;
  const std::string_view shard = call.arg("ShardToSplit").text;
  // Thirty-nine digits may exceed the key space: the text goes along, for the refusal.
  const std::optional<base::HashKey> parsed = base::HashKey::parse(key);
  start_control(call, proto::SplitShard{
                          .name = std::string(*name),
                          .shard = std::string(shard),
                          .new_starting_hash_key = parsed.value_or(base::kHashKeyMax),
                          .new_starting_hash_key_text = parsed ? std::string() : std::string(key)});
}

void KinesisService::merge_shards(Call& call) {
  const Expected<std::string_view> name = named_stream(call);
  if (!name) return refuse(call.exchange, name.error(), call.now);
  start_control(call, proto::MergeShards{
                          .name = std::string(*name),
                          .shard = std::string(call.arg("ShardToMerge").text),
                          .adjacent_shard = std::string(call.arg("AdjacentShardToMerge").text)});
}

}  // namespace penstock::http
