// The life of the daemon: directory, lock, drivers, server, threads, signals.
//
// Shape      each function returns the process's exit status (sysexits)
#pragma once

#include "server/config.h"

namespace penstock::server {

[[nodiscard]] int run_daemon(const Config& config, bool dev);
// Prints what the configuration amounts to, and whether it can be had here.
[[nodiscard]] int check_daemon(const Config& config);

}  // namespace penstock::server
