#include "drivers/entropy/system_entropy.h"

#include "base/assert.h"

#include <cerrno>
#include <sys/random.h>

namespace penstock::drivers {

void SystemEntropy::fill(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    PENSTOCK_ASSERT(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace penstock::drivers
