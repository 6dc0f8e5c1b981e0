// What a machine must have for Penstock to run on it and to keep its promises, one function each.
//
// Shape      a check says what was found, what is needed, and what mends it where it is not met
// Errors     a check that cannot be made is a warning that says so
#pragma once

#include "drivers/ring/probe.h"
#include "env/disk.h"
#include "penstock/units.h"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::tools {

enum class Health : std::uint8_t {
  kOk,
  kWarning,  // it runs, but a promise is weaker or a risk greater
  kFailed,   // it does not run, or not durably
};

struct Check {
  std::string name;
  Health health = Health::kOk;
  std::string found;
  std::string needed;
  std::string mend;  // empty where all is well
};

struct DoctorPlan {
  std::string data_dir;    // where data is to be, or its nearest parent that exists
  std::uint64_t rate = 0;  // bytes a second that will come; 0: not known
  std::uint32_t retention_hours = 24;
  std::uint64_t size_max = 64 * kGiB;  // [journal] size_max: what the journal may grow to
};

[[nodiscard]] std::string_view word(Health health);  // "ok", "warning", "failed"

// Each judges facts that `run_checks` collects, so that tests can give their own.
[[nodiscard]] Check check_kernel(const std::string& release);
[[nodiscard]] Check check_processor(bool x86_64_v2, bool avx2);
[[nodiscard]] Check check_ring(const drivers::RingProbe& probe);
[[nodiscard]] Check check_memlock(std::uint64_t limit, bool privileged);
[[nodiscard]] Check check_direct_io(const env::VolumeInfo& volume);
[[nodiscard]] Check check_durability(const env::VolumeInfo& volume);
[[nodiscard]] Check check_write_cache(unsigned major, unsigned minor, const std::string& sys);
[[nodiscard]] Check check_clock(bool synchronised);
// `own_bytes`: what a journal that is there already occupies.
[[nodiscard]] Check check_space(const env::VolumeInfo& volume, std::uint64_t own_bytes,
                                const DoctorPlan& plan);
// Bytes of the slots in a data directory; 0 where there is none yet.
[[nodiscard]] std::uint64_t journal_bytes(env::Volume& volume);

[[nodiscard]] std::vector<Check> run_checks(const DoctorPlan& plan);

}  // namespace penstock::tools
