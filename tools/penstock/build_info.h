// With what this program was built.
#pragma once

namespace penstock::tools {

#if defined(__clang__)
inline constexpr const char* kCompiler = "clang " __clang_version__;
#else
inline constexpr const char* kCompiler = "g++ " __VERSION__;
#endif
#ifdef PENSTOCK_CHECKS_FULL
inline constexpr const char* kChecks = "full";
#else
inline constexpr const char* kChecks = "release";
#endif

}  // namespace penstock::tools
