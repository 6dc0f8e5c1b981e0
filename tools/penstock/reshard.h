// What split and merge share: finding the shards a user means, waiting, and showing what came of it.
#pragma once

#include "client/streams.h"
#include "session.h"

#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools {

// "shardId-000000000007" of "7", "shardId-7" or itself.
[[nodiscard]] std::string full_shard_id(const std::string& given);
// The shard, or a problem that names the open ones.
[[nodiscard]] Attempt<client::ShardInfo> open_shard(const std::vector<client::ShardInfo>& shards,
                                                    const std::string& id,
                                                    const std::string& failing);
// Prints the shards that are in the stream now and were not before. REQUIRES: the stream is ACTIVE again.
[[nodiscard]] Ended show_children(client::KinesisClient& client, const std::string& stream,
                                  const std::vector<client::ShardInfo>& before, bool json);
[[nodiscard]] Ended show_started(const std::string& stream, bool json);

}  // namespace penstock::tools
