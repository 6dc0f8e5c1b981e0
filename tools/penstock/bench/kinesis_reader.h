// Reads a stream by GetRecords: a thread and a connection for each of up to kReadersMax shards at a time, each shard
// page after page; an empty page is followed by a pause.
//
// Errors     the first failure of any thread ends all
#pragma once

#include "bench/target.h"
#include "client/kinesis_client.h"

#include <memory>
#include <string>

namespace penstock::tools::bench {

// The shards that the stream has now; their children are not followed.
[[nodiscard]] Attempt<std::unique_ptr<Reader>> kinesis_reader(const client::ClientOptions& options,
                                                              const std::string& stream, From from,
                                                              OnIncoming on_records);
// Parents before their children, each shard until it has nothing more.
[[nodiscard]] Ended kinesis_read_all(const client::ClientOptions& options,
                                     const std::string& stream, const OnIncoming& on_records);

}  // namespace penstock::tools::bench
