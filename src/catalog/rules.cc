#include "catalog/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace penstock::catalog {
namespace {

using proto::KinesisError;

KinesisError not_found(std::string message) {
  return {"ResourceNotFoundException", std::move(message)};
}
KinesisError in_use(std::string message) { return {"ResourceInUseException", std::move(message)}; }
KinesisError invalid(std::string message) {
  return {"InvalidArgumentException", std::move(message)};
}
KinesisError limit_exceeded(std::string message) {
  return {"LimitExceededException", std::move(message)};
}

KinesisError no_stream(const RuleContext& context, std::string_view name) {
  return not_found(
      fmt::format("Stream {} under account {} not found.", name, context.options.identity.account));
}

KinesisError no_shard(const RuleContext& context, std::string_view shard, std::string_view stream) {
  return not_found(fmt::format("Could not find shard {} in stream {} under account {}.", shard,
                               stream, context.options.identity.account));
}

Refusal check_active(const RuleContext& context, const StreamEntry& stream) {
  const route::StreamStatus status = context.status(stream.uid);
  if (status == route::StreamStatus::kActive) return {};
  return in_use(fmt::format("Stream {} under account {} not ACTIVE, instead in state {}",
                            stream.name, context.options.identity.account, route::name(status)));
}

Refusal check_shard_quota(const RuleContext& context, std::uint32_t additional) {
  const std::uint32_t present = open_shards(context.state);
  const std::uint32_t limit = context.options.shards_max;
  if (additional <= limit && present <= limit - additional) return {};
  return limit_exceeded(fmt::format(
      "This request would exceed the shard limit for the account {} in {}. Current shard count for "
      "the account: {}. Limit: {}. Number of additional shards that would have resulted from this "
      "request: {}. Refer to the AWS Service Limits page "
      "(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits "
      "and how to request higher limits.",
      context.options.identity.account, context.options.identity.region, present, limit,
      additional));
}

Refusal check_provisioned(const RuleContext& context, const StreamEntry& stream) {
  if (stream.mode == route::StreamMode::kProvisioned) return {};
  return KinesisError{
      "ValidationException",
      fmt::format("Request is invalid. Stream {} under account {} is in On-Demand mode.",
                  stream.name, context.options.identity.account)};
}

Refusal check_shard_open(const RuleContext& context, const StreamEntry& stream,
                         const ShardEntry& shard) {
  if (shard.open) return {};
  return invalid(fmt::format(
      "Shard {} in stream {} under account {} has already been merged or split, and thus is not "
      "eligible for merging or splitting.",
      proto::shard_id(shard.number), stream.name, context.options.identity.account));
}

bool shows_creating(const RuleContext& context, const StreamEntry& stream) {
  return context.status(stream.uid) == route::StreamStatus::kCreating;
}

}  // namespace

std::uint32_t shards_wanted(const CatalogOptions& options, const proto::CreateStream& call) {
  return call.shards == 0 ? options.on_demand_shards : call.shards;
}

Refusal check_create(const RuleContext& context, const proto::CreateStream& call) {
  const CatalogOptions& options = context.options;
  if (context.state.find(call.name) != nullptr) {
    return in_use(fmt::format("Stream {} under account {} already exists.", call.name,
                              options.identity.account));
  }
  if (Refusal quota = check_shard_quota(context, shards_wanted(options, call))) return quota;
  std::uint32_t creating = 0;
  std::uint32_t on_demand = 0;
  for (const auto& [uid, stream] : context.state.streams) {
    if (shows_creating(context, stream)) ++creating;
    if (stream.mode == route::StreamMode::kOnDemand && !stream.deleting) ++on_demand;
  }
  if (creating >= options.creating_max) {
    return limit_exceeded(fmt::format(
        "This request would exceed the limit of {} streams in state CREATING at a time for the "
        "account {} in {}. Repeat it when one of them is ACTIVE.",
        options.creating_max, options.identity.account, options.identity.region));
  }
  if (call.mode == route::StreamMode::kOnDemand && on_demand >= options.on_demand_streams_max) {
    return limit_exceeded(fmt::format(
        "This request would exceed the on-demand stream limit for the account {} in {}. Current "
        "on-demand stream count for the account: {}. Limit: {}.",
        options.identity.account, options.identity.region, on_demand,
        options.on_demand_streams_max));
  }
  return {};
}

Refusal check_delete(const RuleContext& context, const proto::DeleteStream& call) {
  const StreamEntry* stream = context.state.find(call.name);
  if (stream == nullptr) return no_stream(context, call.name);
  if (stream->deleting) return check_active(context, *stream);
  return {};
}

Refusal check_retention(const RuleContext& context, const proto::SetRetention& call) {
  const StreamEntry* stream = context.state.find(call.name);
  if (stream == nullptr) return no_stream(context, call.name);
  if (call.hours < kRetentionHoursMin) {
    return invalid(fmt::format(
        "Minimum allowed retention period is {} hours. Requested retention period ({} hours) is "
        "too short.",
        kRetentionHoursMin, call.hours));
  }
  if (call.hours > kRetentionHoursMax) {
    return invalid(fmt::format(
        "Maximum allowed retention period is {} hours. Requested retention period ({} hours) is "
        "too long.",
        kRetentionHoursMax, call.hours));
  }
  if (call.increase && call.hours < stream->retention_hours) {
    return invalid(fmt::format(
        "Requested retention period ({} hours) for stream {} can not be shorter than existing "
        "retention period ({} hours). Use DecreaseRetentionPeriod API.",
        call.hours, stream->name, stream->retention_hours));
  }
  if (!call.increase && call.hours > stream->retention_hours) {
    return invalid(fmt::format(
        "Requested retention period ({} hours) for stream {} can not be longer than existing "
        "retention period ({} hours). Use IncreaseRetentionPeriod API.",
        call.hours, stream->name, stream->retention_hours));
  }
  return check_active(context, *stream);
}

Refusal check_split(const RuleContext& context, const proto::SplitShard& call, Intent& intent) {
  const std::optional<ShardNumber> number = proto::parse_shard_id(call.shard);
  if (!number) return no_shard(context, call.shard, call.name);
  const StreamEntry* stream = context.state.find(call.name);
  if (stream == nullptr) return no_stream(context, call.name);
  if (Refusal state = check_active(context, *stream)) return state;
  if (Refusal mode = check_provisioned(context, *stream)) return mode;
  const std::string id = proto::shard_id(*number);
  const ShardEntry* shard = stream->find(*number);
  if (shard == nullptr) return no_shard(context, id, call.name);
  if (Refusal closed = check_shard_open(context, *stream, *shard)) return closed;
  if (Refusal quota = check_shard_quota(context, 1)) return quota;
  // Text that does not fit 128 bits lies above every shard.
  const std::optional<base::HashKey> key = base::HashKey::parse(call.new_starting_hash_key_text);
  const bool fits = call.new_starting_hash_key_text.empty() || key.has_value();
  const base::HashKey wanted = key.value_or(call.new_starting_hash_key);
  const bool above = shard->begin < base::kHashKeyMax && wanted > base::next(shard->begin);
  if (!fits || !above || wanted >= shard->end) {
    return invalid(fmt::format(
        "NewStartingHashKey {} used in SplitShard() on shard {} in stream {} under account {} is "
        "not both greater than one plus the shard's StartingHashKey {} and less than the shard's "
        "EndingHashKey {}.",
        fits ? wanted.decimal() : call.new_starting_hash_key_text, id, call.name,
        context.options.identity.account, shard->begin.decimal(), shard->end.decimal()));
  }
  intent = Intent{.parent = *number, .split_key = wanted};
  return {};
}

Refusal check_merge(const RuleContext& context, const proto::MergeShards& call, Intent& intent) {
  const std::optional<ShardNumber> lower = proto::parse_shard_id(call.shard);
  if (!lower) return no_shard(context, call.shard, call.name);
  const std::optional<ShardNumber> upper = proto::parse_shard_id(call.adjacent_shard);
  if (!upper) return no_shard(context, call.adjacent_shard, call.name);
  const StreamEntry* stream = context.state.find(call.name);
  if (stream == nullptr) return no_stream(context, call.name);
  if (Refusal state = check_active(context, *stream)) return state;
  if (Refusal mode = check_provisioned(context, *stream)) return mode;
  const ShardEntry* first = stream->find(*lower);
  if (first == nullptr) return no_shard(context, proto::shard_id(*lower), call.name);
  const ShardEntry* second = stream->find(*upper);
  if (second == nullptr) return no_shard(context, proto::shard_id(*upper), call.name);
  if (Refusal closed = check_shard_open(context, *stream, *first)) return closed;
  if (Refusal closed = check_shard_open(context, *stream, *second)) return closed;
  const bool adjacent = first->end != base::kHashKeyMax && base::next(first->end) == second->begin;
  if (!adjacent) {
    return invalid(fmt::format(
        "Shards {} and {} in stream {} under account {} are not an adjacent pair of shards "
        "eligible for merging",
        proto::shard_id(*lower), proto::shard_id(*upper), call.name,
        context.options.identity.account));
  }
  intent = Intent{.parent = *lower, .adjacent_parent = *upper, .split_key = {}};
  return {};
}

KinesisError storage_refusal(ErrorCode code) {
  const std::string_view remedy =
      code == ErrorCode::kUnknownOutcome
          ? "Whether it was carried out is unknown: describe the stream after a restart."
          : "Nothing was changed; repeat the call when the server's health is restored.";
  return {"InternalFailure",
          fmt::format("The decision could not be stored: {} (PS-{}). {}", text(code),
                      static_cast<unsigned>(code), remedy),
          500};
}

std::uint32_t open_shards(const State& state) {
  std::size_t open = 0;
  for (const auto& [uid, stream] : state.streams) {
    if (stream.deleting) continue;
    open += static_cast<std::size_t>(
        std::ranges::count_if(stream.shards, [](const ShardEntry& shard) { return shard.open; }));
  }
  return static_cast<std::uint32_t>(open);
}

}  // namespace penstock::catalog
