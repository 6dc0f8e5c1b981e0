// What this process has taken of the machine, for /metrics.
//
// Units      seconds of all threads, in the kernel too; bytes
// Errors     0 for what the kernel does not tell
// Source     getrusage(2), proc(5); Prometheus' standard names for every process
#pragma once

#include <cstdint>

namespace penstock::server {

struct ProcessUse {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
};

[[nodiscard]] ProcessUse process_use();

}  // namespace penstock::server
