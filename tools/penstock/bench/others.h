// What other programs, and other virtual machines of the same host, took of this machine's CPUs in a scope.
// A figure measured meanwhile is theirs, too.
//
// Units      shares of all CPUs, 0 to 1
// Shape      ours is this process' group, and what is named besides: a server under test on this machine.
//            Only user time counts, and stolen time: what the kernel does, it does for us as well. What
//            a process took that ended meanwhile counts as others'
// Source     proc(5); the same rule as `Others` of bench/support/measure.py
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace penstock::tools::bench {

inline constexpr double kOthersMax = 0.10;  // more makes a round noisy

// In clock ticks since boot, or since the process began.
struct CpuTicks {
  std::uint64_t all = 0;   // user, nice and steal of the machine
  std::uint64_t ours = 0;  // user, of our processes with the children that they waited for
};

// `proc` is /proc but in tests.
[[nodiscard]] CpuTicks cpu_ticks(const std::string& proc, pid_t group,
                                 const std::vector<pid_t>& also_ours);
// REQUIRES: ticks_possible > 0: ticks that all CPUs have between the two.
[[nodiscard]] double others_share(const CpuTicks& before, const CpuTicks& after,
                                  double ticks_possible);

class Others {
 public:
  // Begins.
  explicit Others(std::vector<pid_t> also_ours = {});
  // Since the beginning.
  [[nodiscard]] double share() const;
  [[nodiscard]] bool too_much() const { return share() > kOthersMax; }

 private:
  std::vector<pid_t> also_ours_;
  std::chrono::steady_clock::time_point begin_;
  CpuTicks before_;
};

// The processes of this machine that listen on a TCP port; those whose descriptors we may not see are missing.
[[nodiscard]] std::vector<pid_t> listeners(std::uint16_t port, const std::string& proc = "/proc");

}  // namespace penstock::tools::bench
