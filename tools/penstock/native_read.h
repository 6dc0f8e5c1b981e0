// Reads a whole stream over the native protocol, for who checks what was put.
//
// Shape      until a consumer that begins with the call has caught up
// Errors     the stream is not there, the reader is refused, or a minute passes without a record. What the server has lost
//            is passed over: who judges counts it
#pragma once

#include "penstock/client.h"
#include "penstock/consumer.h"
#include "problem.h"

#include <functional>
#include <string>

namespace penstock::tools {

// `on_records` is called on the library's thread.
[[nodiscard]] Ended native_read(Client& client, const std::string& stream,
                                const std::function<void(const Records&)>& on_records);

}  // namespace penstock::tools
