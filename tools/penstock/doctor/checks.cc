#include "doctor/checks.h"

#include "doctor/device.h"
#include "drivers/disk/uring/file_volume.h"
#include "penstock/units.h"
#include "storage/superblock.h"
#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/utsname.h>

namespace penstock::tools {
namespace {

constexpr std::uint64_t kMemlockNeeded = 8 * kMiB;
// What a new data directory takes: slots ahead of need, superblocks, catalogue.
constexpr std::uint64_t kSpaceNeeded = 2 * kGiB;

struct KernelVersion {
  int major = 0;
  int minor = 0;
  friend auto operator<=>(const KernelVersion&, const KernelVersion&) = default;
};

KernelVersion parse_release(const std::string& release) {
  KernelVersion version;
  const char* end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.major);
  if (major.ec == std::errc() && major.ptr != end && *major.ptr == '.') {
    std::from_chars(major.ptr + 1, end, version.minor);
  }
  return version;
}

// Whether CAP_IPC_LOCK lifts the limit: bit 14 of CapEff.
bool may_lock_all() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (!line.starts_with("CapEff:")) continue;
    return (std::stoull(line.substr(line.find_first_of("0123456789abcdef", 7)), nullptr, 16) >> 14 &
            1) != 0;
  }
  return false;
}

bool clock_synchronised() {
  timex state{};
  const int outcome = adjtimex(&state);
  return outcome >= 0 && outcome != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

std::vector<Check> volume_checks(const DoctorPlan& plan) {
  std::vector<Check> checks;
  const auto volume = drivers::FileVolume::open_root(plan.data_dir);
  const auto info = volume ? (*volume)->info() : std::unexpected(volume.error());
  if (!info) {
    checks.push_back({"data directory", Health::kFailed,
                      fmt::format("{}: {}", plan.data_dir, std::strerror(info.error().detail)),
                      "a directory that this user may write to",
                      fmt::format("mkdir -p {0} && chown $USER {0}", plan.data_dir)});
    return checks;
  }
  checks.push_back(check_direct_io(*info));
  checks.push_back(check_durability(*info));
  struct stat status{};
  if (stat(plan.data_dir.c_str(), &status) == 0) {
    checks.push_back(check_write_cache(major(status.st_dev), minor(status.st_dev), "/sys"));
  }
  checks.push_back(check_space(*info, journal_bytes(**volume), plan));
  return checks;
}

}  // namespace

std::string_view word(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kWarning:
      return "warning";
    case Health::kFailed:
      return "failed";
  }
  return "";
}

Check check_kernel(const std::string& release) {
  Check check{"kernel", Health::kOk, release, "5.19, better 6.1", ""};
  const KernelVersion version = parse_release(release);
  if (version < KernelVersion{5, 19}) {
    check.health = Health::kFailed;
    check.mend =
        "Debian 12 brings 6.1: apt full-upgrade, or install linux-image-amd64 from backports";
  } else if (version < KernelVersion{6, 1}) {
    check.health = Health::kWarning;
    check.mend = "6.1 saves interrupts of the data cores: apt install linux-image-amd64";
  }
  return check;
}

Check check_processor(bool x86_64_v2, bool avx2) {
  Check check{"processor", Health::kOk, avx2 ? "x86-64-v2 and AVX2" : "x86-64-v2, no AVX2",
              "x86-64-v2, better AVX2", ""};
  if (!x86_64_v2) {
    check.health = Health::kFailed;
    check.found = "older than x86-64-v2";
    check.mend = "in a virtual machine: give it the host's processor (-cpu host)";
  } else if (!avx2) {
    check.health = Health::kWarning;
    check.mend = "it runs, but hashes keys several times slower";
  }
  return check;
}

Check check_ring(const drivers::RingProbe& probe) {
  if (!probe.usable()) {
    return {"io_uring", Health::kFailed, probe.reason, "usable by this user", probe.remedy};
  }
  return {"io_uring", Health::kOk, "usable: " + probe.mode, "usable by this user", ""};
}

Check check_memlock(std::uint64_t limit, bool privileged) {
  const bool unlimited = privileged || limit == RLIM_INFINITY;
  Check check{"locked memory", Health::kOk,
              unlimited ? "no limit" : format_bytes(static_cast<double>(limit)), "8 MiB", ""};
  if (!unlimited && limit < kMemlockNeeded) {
    check.health = Health::kWarning;
    check.mend = "ulimit -l 8192, or LimitMEMLOCK=infinity in the unit";
  }
  return check;
}

Check check_direct_io(const env::VolumeInfo& volume) {
  Check check{"direct I/O", Health::kOk, volume.file_system + ": O_DIRECT works", "O_DIRECT", ""};
  if (!volume.direct_io) {
    check.health = Health::kFailed;
    check.found = volume.file_system + ": O_DIRECT is refused";
    check.mend = "put the data directory on ext4 or XFS: --data-dir DIR";
  }
  return check;
}

Check check_durability(const env::VolumeInfo& volume) {
  if (volume.durable) {
    return {"durability", Health::kOk, volume.file_system + ": class media", "a disk's file system",
            ""};
  }
  return {"durability", Health::kFailed,
          volume.file_system + ": class none, nothing outlives a power cut", "a disk's file system",
          "put the data directory on ext4 or XFS; for trials: penstockd --accept-not-durable"};
}

Check check_write_cache(unsigned major, unsigned minor, const std::string& sys) {
  Check check{"write cache", Health::kOk, "", "flushed, or written through", ""};
  const auto device = block_device(major, minor, sys);
  if (!device || device->write_cache.empty()) {
    check.found = "the file system has no block device that can be asked";
    check.health = Health::kWarning;
    check.mend = "make sure that what lies below honours flushes";
    return check;
  }
  check.found =
      fmt::format("{}: {}{}", device->name, device->write_cache,
                  device->write_cache == "write back"
                      ? device->fua ? ", single writes pass it (FUA)" : ", flushed with each commit"
                      : "");
  return check;
}

Check check_clock(bool synchronised) {
  if (synchronised) return {"clock", Health::kOk, "synchronised", "synchronised", ""};
  return {"clock", Health::kWarning, "the kernel does not call it synchronised",
          "synchronised: until then time off does not count, and records live longer",
          "apt install chrony (or systemd-timesyncd)"};
}

std::uint64_t journal_bytes(env::Volume& volume) {
  // Only below what Penstock formatted: what is looked at may be the root of a disk.
  const auto superblock = volume.open(storage::kSuperblockName);
  if (!superblock) return 0;
  volume.close(*superblock);
  const auto files = volume.list("");
  if (!files) return 0;
  std::uint64_t bytes = 0;
  for (const env::FileInfo& file : *files) {
    if (file.name.starts_with("cell-") && file.name.contains("/slot-")) bytes += file.bytes;
  }
  return bytes;
}

Check check_space(const env::VolumeInfo& volume, std::uint64_t own_bytes, const DoctorPlan& plan) {
  const auto shown = [](std::uint64_t bytes) { return format_bytes(static_cast<double>(bytes)); };
  const std::uint64_t room = volume.free_bytes + own_bytes;
  const std::uint64_t least = std::min(kSpaceNeeded, plan.size_max);
  Check check{"space", Health::kOk,
              fmt::format("{} free of {}", shown(volume.free_bytes), shown(volume.total_bytes)),
              shown(least), ""};
  if (own_bytes > 0) check.found += fmt::format(", {} in the journal", shown(own_bytes));
  if (room < least) {
    check.health = Health::kFailed;
    check.mend = "free some space, or choose another --data-dir";
    return check;
  }
  if (plan.rate == 0) return check;
  const std::uint64_t journal = std::min(room, plan.size_max);
  const auto rate = static_cast<double>(plan.rate);
  const double hours = static_cast<double>(journal) / rate / 3600;
  check.found += fmt::format(": {:.1f} h of journal at {}/s", hours, shown(plan.rate));
  if (journal < room) check.found += fmt::format(", which grows to {}", shown(journal));
  check.needed = fmt::format("{} h (--retention)", plan.retention_hours);
  if (hours >= plan.retention_hours) return check;
  check.health = Health::kFailed;
  const double wanted = plan.retention_hours * 3600 * rate;
  const double more_space = wanted - static_cast<double>(room);
  const auto also = [&](std::string what) {
    check.mend += (check.mend.empty() ? "" : " and ") + std::move(what);
  };
  if (more_space > 0) also(fmt::format("{} more", format_bytes(more_space)));
  if (wanted > static_cast<double>(plan.size_max)) {
    also(fmt::format("[journal] size_max of {} (--config)", format_bytes(wanted)));
  }
  check.mend += fmt::format(", a lower rate, or --retention {:.0f}h", std::max(1.0, hours - 0.5));
  return check;
}

std::vector<Check> run_checks(const DoctorPlan& plan) {
  std::vector<Check> checks;
  utsname names{};
  uname(&names);
  checks.push_back(check_kernel(names.release));
#if defined(__x86_64__)
  checks.push_back(
      check_processor(__builtin_cpu_supports("sse4.2") != 0, __builtin_cpu_supports("avx2") != 0));
#endif
  checks.push_back(check_ring(drivers::probe_ring()));
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  checks.push_back(check_memlock(limit.rlim_cur, may_lock_all()));
  for (Check& check : volume_checks(plan)) checks.push_back(std::move(check));
  checks.push_back(check_clock(clock_synchronised()));
  return checks;
}

}  // namespace penstock::tools
