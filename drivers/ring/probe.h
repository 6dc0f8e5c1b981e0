// What io_uring offers here: printed at start-up and by `penstock doctor`, and the ground for a
// refusal that says what to mend.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::drivers {

enum class RingRefusal : std::uint8_t {
  kNone,
  kSysctl,      // kernel.io_uring_disabled
  kSeccomp,     // a filter refuses the system call, as container runtimes do by default
  kNoKernel,    // the kernel does not have it
  kMemlock,     // RLIMIT_MEMLOCK, on kernels that count rings against it
  kIncomplete,  // a feature without which Penstock does not run
  kOther,
};

// Sends without a copy, and the word of which were copied all the same; from Linux 6.2 on. Else every send is copied.
inline constexpr std::string_view kZeroCopySend = "op send zero copy";

struct RingFeature {
  std::string_view name;
  bool found = false;
  bool needed = false;
};

struct RingProbe {
  RingRefusal refusal = RingRefusal::kNone;
  int error = 0;       // errno of the refusal
  std::string reason;  // empty when usable
  std::string remedy;  // what to do about it
  std::string mode;    // how rings are set up here
  std::vector<RingFeature> features;

  [[nodiscard]] bool usable() const { return refusal == RingRefusal::kNone; }
  [[nodiscard]] bool has(std::string_view feature) const {
    return std::ranges::any_of(
        features, [&](const RingFeature& one) { return one.name == feature && one.found; });
  }
};

[[nodiscard]] RingProbe probe_ring();

}  // namespace penstock::drivers
