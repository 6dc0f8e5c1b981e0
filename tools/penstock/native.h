// The native protocol, for the commands that take `--via native`.
//
// Errors     problems with the library's own words
#pragma once

#include "penstock/client.h"
#include "problem.h"
#include "session.h"

#include <memory>
#include <string>

namespace penstock::tools {

// Of the server whose Kinesis endpoint the session has: at that port plus two where it is HTTPS, plus one where it
// is HTTP, as `penstockd --dev` and the default configuration lay them out; or at `--native-endpoint`.
[[nodiscard]] Attempt<std::shared_ptr<Client>> connect_native(const Session& session);
[[nodiscard]] std::string native_endpoint(const client::Endpoint& kinesis);
// `what` says what was being done.
[[nodiscard]] Problem problem_of(ErrorCode code, std::string what);

}  // namespace penstock::tools
