// The life of the daemon: directory, lock, drivers, server, threads, signals.
//
// Shape      each function returns the process's exit status (sysexits)
#pragma once

#include "server/config.h"

#include <cstdint>

namespace penstock::server {

[[nodiscard]] int run_daemon(const Config& config, bool dev);
// Prints what the configuration amounts to, and whether it can be had here.
[[nodiscard]] int check_daemon(const Config& config);
[[nodiscard]] int clear_fence(const Config& config, std::uint16_t cell);

}  // namespace penstock::server
