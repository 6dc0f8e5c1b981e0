// PutRecords over several connections, one call under way on each. A key keeps to one connection, and what a call
// refuses goes in front of the next one, so that records of a key stay in their order.
//
// Shape      a call takes what lies ready: up to 500 records, up to WriterShape::batch_bytes of data
// Owner      a thread for each connection
// Errors     refused and doubtful records are sent again for 30 s without progress; then they are refused or unknown
#pragma once

#include "bench/target.h"
#include "client/kinesis_client.h"

#include <memory>
#include <string>

namespace penstock::tools::bench {

[[nodiscard]] std::unique_ptr<Writer> kinesis_writer(const client::ClientOptions& options,
                                                     const std::string& stream,
                                                     const WriterShape& shape, Track& track);

}  // namespace penstock::tools::bench
