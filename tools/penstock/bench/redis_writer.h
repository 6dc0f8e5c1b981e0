// XADD to one stream key for each shard, pipelined over several connections. A key keeps to one connection and to one
// shard, so that records of a key stay in their order.
//
// Shape      field and value of an entry are key and data
// Owner      a thread for each connection
// Allocates  nothing for each record: commands are written into one buffer, answers are looked at where they lie
// Errors     an error that Redis answers: refused. A lost connection: what was under way on it is unknown, what
//            follows refused
#pragma once

#include "bench/redis_link.h"
#include "bench/target.h"

#include <cstdint>
#include <memory>
#include <string>

namespace penstock::tools::bench {

// "NAME:3": the stream key of a shard.
[[nodiscard]] std::string redis_shard(const std::string& stream, std::uint32_t shard);
[[nodiscard]] Attempt<std::unique_ptr<Writer>> redis_writer(const RedisAddress& address,
                                                            const std::string& stream,
                                                            std::uint32_t shards,
                                                            const WriterShape& shape, Track& track);

}  // namespace penstock::tools::bench
