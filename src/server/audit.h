// What was changed by an administrative call, and by whom: one line in the log for each that was done.
//
// Owner      the service core
// Source     docs/log-events.md
#pragma once

#include "proto/kinesis.h"
#include "server/log.h"

namespace penstock::server {

// REQUIRES: the catalogue has answered the request. Nothing is told of one that was refused, or that
// changed nothing.
void tell_change(const proto::ControlRequest& request, const LogSink& tell);

}  // namespace penstock::server
