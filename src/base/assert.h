// Assertions that stay on in production: a programmer's error ends the process, and recovery is the
// tested path. Costly ones are PENSTOCK_CHECK_FULL, on under -Dchecks=full.
#pragma once

namespace penstock::base {

[[noreturn]] void assertion_failed(const char* what, const char* file, int line) noexcept;

}  // namespace penstock::base

#define PENSTOCK_ASSERT(condition)    \
  (__builtin_expect(!!(condition), 1) \
       ? static_cast<void>(0)         \
       : ::penstock::base::assertion_failed(#condition, __FILE__, __LINE__))

#ifdef PENSTOCK_CHECKS_FULL
#define PENSTOCK_CHECK_FULL(condition) PENSTOCK_ASSERT(condition)
#else
#define PENSTOCK_CHECK_FULL(condition) static_cast<void>(0)
#endif
