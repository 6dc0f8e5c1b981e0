// Goal: where io_uring is forbidden the refusal says by what, and how to mend it. Method: a child
// process forbids itself the system call, as a container's seccomp profile does, and probes.
#include "drivers/ring/probe.h"

#include "drivers/ring/ring.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace penstock::drivers {
namespace {

bool forbid_io_uring(int error) {
  const auto answer = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, answer),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = 4, .filter = filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

constexpr int kCannotFilter = 77;

// What the child found, as its exit status: 0 when all is as it should be, else which check failed.
int probe_in_jail(int error) {
  if (!forbid_io_uring(error)) return kCannotFilter;
  const RingProbe probe = probe_ring();
  if (probe.usable()) return 1;
  if (probe.refusal != RingRefusal::kSeccomp) return 2;
  if (probe.error != error) return 3;
  if (probe.reason.find("seccomp") == std::string::npos) return 4;
  if (probe.remedy.find("io_uring_setup") == std::string::npos) return 5;
  const Result<std::unique_ptr<Ring>> ring = Ring::create();
  if (ring) return 6;
  if (ring.error().code != ErrorCode::kUringForbidden) return 7;
  return ring.error().detail == error ? 0 : 8;
}

TEST(RingProbe, SeccompIsNamedAsTheReason) {
  if (const RingProbe here = probe_ring(); here.refusal == RingRefusal::kSysctl) {
    GTEST_SKIP() << here.reason;
  }
  for (const int error : {EPERM, ENOSYS}) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) _exit(probe_in_jail(error));
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == kCannotFilter) GTEST_SKIP() << "seccomp filters are not permitted";
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
}

}  // namespace
}  // namespace penstock::drivers
