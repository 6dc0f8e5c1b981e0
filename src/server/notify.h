// Tells the service manager how we are: sd_notify's datagrams, written by hand (sd_notify(3)).
// Does nothing where NOTIFY_SOCKET is not set.
#pragma once

#include <string_view>

namespace penstock::server {

// `state` such as "READY=1\nSTATUS=serving".
void notify(std::string_view state);

}  // namespace penstock::server
