// A message on its way out: header, table, and perhaps a batch that it shares with its lane.
//
// Owner      itself, from `send_message` to the session's `done`
// Allocates  once for the message, once for its table
// Source     src/proto/PROTOCOL.md §4
#pragma once

#include "client/native/batch.h"
#include "proto/message.h"
#include "transport/session.h"

#include <flatbuffers/flatbuffers.h>

#include <cstdint>
#include <memory>

namespace penstock::client::native {

// `table` is empty for messages that have none. REQUIRES: the lane is open.
void send_message(transport::Session& session, std::uint32_t lane, proto::MessageHeader header,
                  const flatbuffers::FlatBufferBuilder& table,
                  std::shared_ptr<const BatchBytes> batch = nullptr);

}  // namespace penstock::client::native
