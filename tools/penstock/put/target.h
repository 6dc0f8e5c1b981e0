// Where `penstock put` sends records: the Kinesis API, or the native protocol.
//
// Owner      one thread
// Errors     a problem that ends the command; what was put before stays put
#pragma once

#include "client/kinesis_client.h"
#include "problem.h"
#include "session.h"

#include <memory>
#include <string>
#include <string_view>

namespace penstock::tools {

class PutTarget {
 public:
  virtual ~PutTarget() = default;
  // Takes a record, which goes out at the latest with `flush`, behind those before it.
  virtual Ended add(std::string_view key, std::string_view data) = 0;
  // Until all of it is acknowledged.
  virtual Ended flush() = 0;
  // What was put, on standard output.
  virtual void print(bool json) const = 0;
};

[[nodiscard]] std::unique_ptr<PutTarget> kinesis_target(const Session& session,
                                                        const std::string& stream);
[[nodiscard]] Attempt<std::unique_ptr<PutTarget>> native_target(const Session& session,
                                                                const std::string& stream);

}  // namespace penstock::tools
