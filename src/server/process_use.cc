#include "server/process_use.h"

#include <unistd.h>

#include <fstream>
#include <sys/resource.h>

namespace penstock::server {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

ProcessUse process_use() {
  ProcessUse use;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    use.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  if (statm >> total_pages >> resident_pages) {
    use.resident_bytes = resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGE_SIZE));
  }
  return use;
}

}  // namespace penstock::server
