// What split and merge share: finding the shards a user means, waiting, and showing what came of it.
#pragma once

#include "client/streams.h"
#include "session.h"

#include <chrono>
#include <optional>
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
// After the service has taken the call: with a `wait`, until the stream is ACTIVE again, then the shards
// that were not there `before`; without one, that it has begun.
[[nodiscard]] Ended show_outcome(client::KinesisClient& client, const std::string& stream,
                                 const std::vector<client::ShardInfo>& before,
                                 const std::string& failing,
                                 std::optional<std::chrono::milliseconds> wait, bool json);

}  // namespace penstock::tools
