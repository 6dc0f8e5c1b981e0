#include "server/audit.h"

#include <fmt/format.h>

#include <variant>

namespace penstock::server {
namespace {

struct Teller {
  const proto::ControlRequest& request;
  const LogSink& tell;

  void operator()(const proto::CreateStream& call) const {
    tell(LogLevel::kInfo, "stream_created", "a stream was created",
         {{"stream", call.name},
          {"shards", call.shards == 0 ? "default" : fmt::format("{}", call.shards)},
          {"by", request.by}});
  }
  void operator()(const proto::DeleteStream& call) const {
    tell(LogLevel::kWarning, "stream_deleted", "a stream was deleted, with all its records",
         {{"stream", call.name}, {"by", request.by}});
  }
  void operator()(const proto::SetRetention& call) const {
    if (request.hours_before == call.hours) return;
    const bool lowered = call.hours < request.hours_before;
    tell(lowered ? LogLevel::kWarning : LogLevel::kInfo, "retention_changed",
         lowered ? "a stream's retention was lowered: what is older expires now"
                 : "a stream's retention was raised",
         {{"stream", call.name},
          {"hours_before", fmt::format("{}", request.hours_before)},
          {"hours", fmt::format("{}", call.hours)},
          {"by", request.by}});
  }
  void operator()(const proto::SplitShard& call) const {
    tell(LogLevel::kInfo, "shard_split", "a shard is being split",
         {{"stream", call.name}, {"shard", call.shard}, {"by", request.by}});
  }
  void operator()(const proto::MergeShards& call) const {
    tell(LogLevel::kInfo, "shards_merged", "two shards are being merged",
         {{"stream", call.name},
          {"shard", call.shard},
          {"adjacent_shard", call.adjacent_shard},
          {"by", request.by}});
  }
};

}  // namespace

void tell_change(const proto::ControlRequest& request, const LogSink& tell) {
  if (!tell || request.error) return;
  std::visit(Teller{request, tell}, request.call);
}

}  // namespace penstock::server
