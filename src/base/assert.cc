#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace penstock::base {

void assertion_failed(const char* what, const char* file, int line) noexcept {
  std::fprintf(stderr, "penstock: assertion failed: %s\n  at %s:%d\n", what, file, line);
  std::abort();
}

}  // namespace penstock::base
