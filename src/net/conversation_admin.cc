// Maps of streams, and the administrative calls.
#include "base/hash_key.h"
#include "net/conversation.h"
#include "net/shard_table.h"

#include <algorithm>
#include <utility>

namespace penstock::net {

using proto::MessageKind;

namespace {

constexpr std::size_t kShardsPerMap = 512;
constexpr std::size_t kStreamsPerList = 100;
constexpr std::size_t kNameMax = 128;
constexpr std::size_t kKnownMax = 1024;  // streams whose changes a client is told

// As the service has it: [a-zA-Z0-9_.-]{1,128}.
bool is_stream_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

proto::StreamState state_of(route::StreamStatus status) {
  switch (status) {
    case route::StreamStatus::kCreating:
      return proto::StreamState::Creating;
    case route::StreamStatus::kActive:
      return proto::StreamState::Active;
    case route::StreamStatus::kUpdating:
      return proto::StreamState::Updating;
    case route::StreamStatus::kDeleting:
      return proto::StreamState::Deleting;
  }
  return proto::StreamState::Deleting;
}

// The call for what was asked, or why there is none.
Result<decltype(proto::ControlRequest::call)> control_call(const proto::Admin& admin) {
  const std::string name(view(admin.stream()));
  if (!is_stream_name(name)) return penstock::fail(ErrorCode::kMalformed);
  switch (admin.operation()) {
    case proto::AdminOperation::CreateStream:
      return proto::CreateStream{.name = name, .shards = admin.shard_count()};
    case proto::AdminOperation::DeleteStream:
      return proto::DeleteStream{.name = name};
    case proto::AdminOperation::SplitShard:
      if (admin.hash() == nullptr) return penstock::fail(ErrorCode::kMalformed);
      return proto::SplitShard{
          .name = name,
          .shard = proto::shard_id(ShardNumber(admin.shard())),
          .new_starting_hash_key = {admin.hash()->high(), admin.hash()->low()}};
    case proto::AdminOperation::MergeShards:
      return proto::MergeShards{.name = name,
                                .shard = proto::shard_id(ShardNumber(admin.shard())),
                                .adjacent_shard = proto::shard_id(ShardNumber(admin.adjacent()))};
    case proto::AdminOperation::IncreaseRetention:
    case proto::AdminOperation::DecreaseRetention:
      return proto::SetRetention{
          .name = name,
          .hours = admin.hours(),
          .increase = admin.operation() == proto::AdminOperation::IncreaseRetention};
    default:
      return penstock::fail(ErrorCode::kUnsupported);
  }
}

ErrorCode code_of(const proto::KinesisError& error) {
  if (error.type == "ResourceNotFoundException") return ErrorCode::kNotFound;
  if (error.type == "ResourceInUseException") return ErrorCode::kConflict;
  if (error.type == "LimitExceededException") return ErrorCode::kTooLarge;
  return error.http_status >= 500 ? ErrorCode::kOverloaded : ErrorCode::kMalformed;
}

}  // namespace

void Conversation::get_map(const proto::DecodedMessage& message) {
  const auto& asked = *flatbuffers::GetRoot<proto::StreamName>(message.table.data());
  const std::string name(view(asked.name()));
  const auto& streams = shared_.data.routes()->streams;
  const auto at = streams.find(name);
  if (at == streams.end()) {
    return fail(0, message.header.request,
                {.code = ErrorCode::kNotFound, .text = "there is no stream of this name"});
  }
  const std::shared_ptr<const route::StreamRoute>& stream = at->second;
  if (known_.size() < kKnownMax || known_.contains(name)) known_[name] = stream;
  flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
  const auto first =
      std::ranges::lower_bound(stream->shards, ShardNumber(asked.from()), {},
                               [](const route::ShardRoute& shard) { return shard.number; });
  std::vector<flatbuffers::Offset<proto::Shard>> shards;
  auto shard = first;
  for (; shard != stream->shards.end() && shards.size() < kShardsPerMap; ++shard) {
    shards.push_back(write_shard(table, *shard));
  }
  const auto list = table.CreateVector(shards);
  const auto text = table.CreateString(name);
  table.Finish(proto::CreateShardMap(table, text, stream->uid.raw(), epoch(),
                                     state_of(stream->status), stream->record_bytes_max,
                                     stream->retention_hours, list, shard != stream->shards.end()));
  reply(0,
        shared_.answers.make(
            {.kind = MessageKind::kMap, .request = message.header.request, .map_epoch = epoch()}));
}

bool Conversation::admin(transport::IncomingMessage& incoming, const proto::DecodedMessage& message,
                         Nanos now) {
  const auto& admin = *flatbuffers::GetRoot<proto::Admin>(message.table.data());
  if (admin.operation() == proto::AdminOperation::ListStreams) {
    list_streams(message, admin);
    return false;
  }
  auto call = control_call(admin);
  if (!call) {
    fail(0, message.header.request, {.code = call.error().code});
    return false;
  }
  ControlOperation& operation = shared_.operations.controls.take();
  ++under_way_;
  operation.conversation = this;
  operation.asked = message.header.request;
  operation.request = {};
  operation.request.call = std::move(*call);
  operation.request.by = access_key_;
  operation.request.done = &Conversation::admin_done;
  operation.request.context = &operation;
  operation.message = std::exchange(incoming, {});
  shared_.control.start(operation.request, now);
  return true;
}

void Conversation::admin_done(proto::ControlRequest& request, Nanos now) {
  auto& operation = *static_cast<ControlOperation*>(request.context);
  Conversation& self = *operation.conversation;
  --self.under_way_;
  if (request.error) {
    self.fail(0, operation.asked,
              {.code = code_of(*request.error),
               .text = request.error->message,
               .kinesis = request.error->type});
  } else {
    flatbuffers::FlatBufferBuilder& table = self.shared_.answers.table();
    table.Finish(proto::CreateAdminResult(table));
    self.reply(0, self.shared_.answers.make({.kind = MessageKind::kAdminDone,
                                             .request = operation.asked,
                                             .map_epoch = self.epoch()}));
  }
  self.peer_.session().release(operation.message);
  self.shared_.operations.controls.give(operation);
  self.serve(now);
}

void Conversation::list_streams(const proto::DecodedMessage& message, const proto::Admin& admin) {
  const auto& streams = shared_.data.routes()->streams;
  auto at = streams.upper_bound(view(admin.after()));
  flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
  std::vector<flatbuffers::Offset<flatbuffers::String>> names;
  for (; at != streams.end() && names.size() < kStreamsPerList; ++at) {
    names.push_back(table.CreateString(at->first));
  }
  const auto list = table.CreateVector(names);
  table.Finish(proto::CreateAdminResult(table, list, at != streams.end()));
  reply(0, shared_.answers.make({.kind = MessageKind::kAdminDone,
                                 .request = message.header.request,
                                 .map_epoch = epoch()}));
}

}  // namespace penstock::net
