#include "drivers/ring/probe.h"

#include "drivers/ring/ring.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sys/resource.h>

namespace penstock::drivers {
namespace {

struct Operation {
  std::string_view name;
  int code;
};

constexpr std::array<Operation, 7> kOperations = {{
    {"op read", IORING_OP_READ},
    {"op write", IORING_OP_WRITE},
    {"op accept", IORING_OP_ACCEPT},
    {"op recv", IORING_OP_RECV},
    {"op send", IORING_OP_SEND},
    {"op async cancel", IORING_OP_ASYNC_CANCEL},
    {"op poll add", IORING_OP_POLL_ADD},
}};

struct SetupFlags {
  std::string_view name;
  unsigned flags;
};

constexpr std::array<SetupFlags, 3> kSetups = {{
    {"setup single issuer", IORING_SETUP_SINGLE_ISSUER},
    {"setup deferred task work", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN},
    {"setup cooperative task work", IORING_SETUP_COOP_TASKRUN},
}};

int try_setup(unsigned flags, unsigned* features) {
  io_uring ring{};
  io_uring_params params{};
  params.flags = flags;
  const int outcome = io_uring_queue_init_params(4, &ring, &params);
  if (outcome < 0) return -outcome;
  if (features != nullptr) *features = params.features;
  io_uring_queue_exit(&ring);
  return 0;
}

// The first number of a file such as /proc/sys/kernel/io_uring_disabled; -1 without one.
long number_in(const char* path) {
  std::ifstream file(path);
  long number = -1;
  if (!(file >> number)) return -1;
  return number;
}

bool under_seccomp() {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    if (key == "Seccomp:") {
      int mode = 0;
      return static_cast<bool>(status >> mode) && mode == 2;
    }
  }
  return false;
}

void explain(RingProbe& probe) {
  const long disabled = number_in("/proc/sys/kernel/io_uring_disabled");
  if ((probe.error == EPERM || probe.error == EACCES) && disabled > 0) {
    probe.refusal = RingRefusal::kSysctl;
    probe.reason = fmt::format("kernel.io_uring_disabled is {}", disabled);
    probe.remedy = disabled == 1
                       ? "run `sysctl kernel.io_uring_disabled=0`, or put this user into the group "
                         "named by kernel.io_uring_group"
                       : "run `sysctl kernel.io_uring_disabled=0`, and set it in /etc/sysctl.d";
  } else if ((probe.error == EPERM || probe.error == EACCES || probe.error == ENOSYS) &&
             under_seccomp()) {
    probe.refusal = RingRefusal::kSeccomp;
    probe.reason =
        fmt::format("a seccomp filter refuses io_uring_setup ({})", std::strerror(probe.error));
    probe.remedy =
        "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp "
        "profile";
  } else if (probe.error == ENOSYS) {
    probe.refusal = RingRefusal::kNoKernel;
    probe.reason = "the kernel has no io_uring";
    probe.remedy = "run Linux 5.19 or later; 6.1 or later is recommended";
  } else if (probe.error == ENOMEM) {
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    probe.refusal = RingRefusal::kMemlock;
    probe.reason = fmt::format("the ring's memory exceeds the memlock limit of {} bytes",
                               static_cast<unsigned long long>(limit.rlim_cur));
    probe.remedy = "raise it: LimitMEMLOCK=infinity in the unit file, or `ulimit -l unlimited`";
  } else {
    probe.refusal = RingRefusal::kOther;
    probe.reason = fmt::format("io_uring_setup failed: {}", std::strerror(probe.error));
    probe.remedy = "see io_uring_setup(2)";
  }
}

void probe_operations(RingProbe& probe) {
  io_uring_probe* found = io_uring_get_probe();
  for (const Operation& operation : kOperations) {
    const bool supported =
        found != nullptr && io_uring_opcode_supported(found, operation.code) != 0;
    probe.features.push_back({operation.name, supported, true});
  }
  io_uring_free_probe(found);
}

// By trying: where operation and flag are known, it is the descriptor that is wrong.
bool sends_without_copy() {
  io_uring ring{};
  if (io_uring_queue_init(4, &ring, 0) < 0) return false;
  io_uring_sqe* const entry = io_uring_get_sqe(&ring);
  io_uring_prep_send_zc(entry, -1, nullptr, 0, 0, kSendReportsUsage);
  io_uring_cqe* done = nullptr;
  const bool known =
      io_uring_submit(&ring) == 1 && io_uring_wait_cqe(&ring, &done) == 0 && done->res == -EBADF;
  io_uring_queue_exit(&ring);
  return known;
}

}  // namespace

RingProbe probe_ring() {
  RingProbe probe;
  unsigned features = 0;
  probe.error = try_setup(0, &features);
  if (probe.error != 0) {
    explain(probe);
    return probe;
  }
  probe.features = {
      {"no dropped completions", (features & IORING_FEAT_NODROP) != 0, true},
      {"wait with time-out", (features & IORING_FEAT_EXT_ARG) != 0, true},
      {"fast poll", (features & IORING_FEAT_FAST_POLL) != 0, true},
  };
  for (const SetupFlags& setup : kSetups) {
    probe.features.push_back({setup.name, try_setup(setup.flags, nullptr) == 0, false});
  }
  probe_operations(probe);
  probe.features.push_back({kZeroCopySend, sends_without_copy(), false});
  for (const RingFeature& feature : probe.features) {
    if (!feature.needed || feature.found) continue;
    probe.refusal = RingRefusal::kIncomplete;
    probe.error = EOPNOTSUPP;
    probe.reason = fmt::format("this kernel's io_uring lacks: {}", feature.name);
    probe.remedy = "run Linux 5.19 or later; 6.1 or later is recommended";
  }
  if (const Result<std::unique_ptr<Ring>> ring = Ring::create({.entries = 8, .completions = 16})) {
    probe.mode = (*ring)->mode();
  } else if (probe.usable()) {
    probe.error = ring.error().detail;
    explain(probe);
  }
  return probe;
}

}  // namespace penstock::drivers
