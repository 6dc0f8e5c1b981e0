#include "reshard.h"

#include "client/json_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace penstock::tools {

using client::ShardInfo;

std::string full_shard_id(const std::string& given) {
  constexpr std::string_view kPrefix = "shardId-";
  std::string_view digits = given;
  if (digits.starts_with(kPrefix)) digits.remove_prefix(kPrefix.size());
  if (digits.empty() || digits.size() > 12 ||
      digits.find_first_not_of("0123456789") != std::string_view::npos) {
    return given;  // the service will say what is wrong with it
  }
  return fmt::format("{}{:0>12}", kPrefix, digits);
}

Attempt<ShardInfo> open_shard(const std::vector<ShardInfo>& shards, const std::string& id,
                              const std::string& failing) {
  std::string open;
  for (const ShardInfo& shard : shards) {
    if (!shard.open()) continue;
    if (shard.id == id) return shard;
    open += (open.empty() ? "" : ", ") + shard.id;
  }
  const bool closed = std::ranges::any_of(shards, [&](const ShardInfo& s) { return s.id == id; });
  Problem problem{closed ? Exit::kConflict : Exit::kNotFound,
                  number(closed ? ErrorCode::kConflict : ErrorCode::kNotFound),
                  failing,
                  {}};
  problem.found(closed ? fmt::format("{} is closed: it was split or merged before", id)
                       : fmt::format("there is no shard {}", id));
  problem.needed("one of the open shards: " + open);
  return std::unexpected(std::move(problem));
}

namespace {

// The shards that are in the stream now and were not before.
Ended show_children(client::KinesisClient& client, const std::string& stream,
                    const std::vector<ShardInfo>& before, bool json) {
  const auto shards = client::list_shards(client, stream);
  if (!shards) {
    return std::unexpected(
        problem_of(shards.error(), fmt::format("the shards of '{}' cannot be listed", stream)));
  }
  client::JsonWriter writer;
  writer.begin_object()
      .field("stream", stream)
      .field("status", "ACTIVE")
      .key("children")
      .begin_array();
  for (const ShardInfo& shard : *shards) {
    if (std::ranges::any_of(before, [&](const ShardInfo& old) { return old.id == shard.id; }))
      continue;
    writer.begin_object().field("shard", shard.id).field("begin", shard.begin.decimal());
    writer.field("end", shard.end.decimal()).end_object();
    if (!json) {
      fmt::print("{}  {} … {}\n", shard.id, shard.begin.decimal(), shard.end.decimal());
    }
  }
  if (json) fmt::print("{}\n", writer.end_array().end_object().text());
  return Exit::kDone;
}

Ended show_started(const std::string& stream, bool json) {
  if (json) {
    client::JsonWriter writer;
    writer.begin_object().field("stream", stream).field("status", "UPDATING").end_object();
    fmt::print("{}\n", writer.text());
  } else {
    fmt::print("stream {} is being changed; penstock stream describe {} shows when it is done\n",
               stream, stream);
  }
  return Exit::kDone;
}

}  // namespace

Ended show_outcome(client::KinesisClient& client, const std::string& stream,
                   const std::vector<ShardInfo>& before, const std::string& failing,
                   std::optional<std::chrono::milliseconds> wait, bool json) {
  if (!wait) return show_started(stream, json);
  const auto active = client::wait_active(client, stream, *wait);
  if (!active) return std::unexpected(problem_of(active.error(), failing));
  return show_children(client, stream, before, json);
}

}  // namespace penstock::tools
