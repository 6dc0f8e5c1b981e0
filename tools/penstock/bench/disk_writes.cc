#include "bench/disk_writes.h"

#include "base/assert.h"
#include "drivers/ring/probe.h"
#include "penstock/units.h"
#include "words.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <optional>
#include <random>

namespace penstock::tools::bench {
namespace {

constexpr std::int64_t kPatience = 100'000'000;  // one sleep of the ring, in nanoseconds
constexpr std::uint64_t kSpaceLeft = 64 * kMiB;  // that others shall keep

// Keeps SIGINT and SIGTERM waiting for as long as it lives.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &held, &before_);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_;
};

Problem directory_problem(const Error& error, const std::string& directory) {
  const bool absent = error.code == ErrorCode::kNotFound;
  const bool denied = error.code == ErrorCode::kPermission;
  const Exit exit = absent ? Exit::kNotFound : denied ? Exit::kDenied : Exit::kFailed;
  Problem problem{
      exit, number(error.code), fmt::format("the disk below {} cannot be measured", directory), {}};
  problem.found(error.detail == 0
                    ? std::string(text(error.code))
                    : fmt::format("{} ({})", text(error.code), std::strerror(error.detail)));
  problem.needed("a directory, on ext4 or XFS, that this user may write to");
  if (absent) problem.mend("mkdir -p " + directory);
  if (denied) problem.mend("run this as a user who may write there");
  if (!absent && !denied) problem.mend("penstock doctor --data-dir " + directory);
  return problem;
}

Problem write_problem(std::int32_t outcome, std::uint32_t length) {
  Problem problem{Exit::kFailed, number(ErrorCode::kSystem), "a write to the disk failed", {}};
  problem.found(outcome < 0 ? std::string(std::strerror(-outcome))
                            : fmt::format("{} of {} bytes written", outcome, length));
  problem.needed("a device that completes every write");
  return std::move(problem.mend("look at the device first: dmesg, smartctl"));
}

// Whether the directory can hold what is to be written, and be written to like that.
std::optional<Problem> unfit(const env::VolumeInfo& info, const std::string& directory,
                             std::uint64_t file_bytes) {
  if (!info.direct_io) {
    return directory_problem({ErrorCode::kNoDirectIo}, directory).line("system", info.file_system);
  }
  if (info.free_bytes >= file_bytes + kSpaceLeft) return std::nullopt;
  const auto shown = [](std::uint64_t bytes) { return format_bytes(static_cast<double>(bytes)); };
  Problem problem{Exit::kFailed,
                  number(ErrorCode::kNoSpace),
                  fmt::format("there is no room below {}", directory),
                  {}};
  return std::move(problem.found(shown(info.free_bytes) + " free")
                       .needed(shown(file_bytes + kSpaceLeft))
                       .mend("--size less, or another directory"));
}

}  // namespace

Attempt<DiskWrites> DiskWrites::open(const std::string& directory, std::uint64_t file_bytes) {
  PENSTOCK_ASSERT(file_bytes % kBlockMax == 0);
  PENSTOCK_ASSERT(file_bytes > std::uint64_t{kDepthMax} * kBlockMax);
  DiskWrites writes;
  writes.directory_ = directory;
  writes.file_bytes_ = file_bytes;
  auto volume = drivers::FileVolume::open_root(directory);
  if (!volume) return std::unexpected(directory_problem(volume.error(), directory));
  writes.volume_ = std::move(*volume);
  const auto info = writes.volume_->info();
  if (!info) return std::unexpected(directory_problem(info.error(), directory));
  writes.info_ = *info;
  if (auto problem = unfit(*info, directory, file_bytes)) return std::unexpected(*problem);
  const drivers::RingProbe probe = drivers::probe_ring();
  auto ring = drivers::Ring::create();
  if (!probe.usable() || !ring) {
    Problem problem{Exit::kFailed,
                    number(ErrorCode::kUringForbidden),
                    std::string(text(ErrorCode::kUringForbidden)),
                    {}};
    return std::unexpected(problem.found(probe.reason).needed("io_uring").mend(probe.remedy));
  }
  writes.ring_ = std::move(*ring);
  writes.disk_ = std::make_unique<drivers::UringDisk>(*writes.ring_, kDepthMax);
  if (auto made = writes.make_file(); !made) return std::unexpected(std::move(made.error()));
  return writes;
}

Attempt<void> DiskWrites::make_file() {
  const std::string name = fmt::format(".penstock-bench-{}", getpid());
  const SignalsHeld held;
  const auto file = volume_->create(name);
  if (!file) return std::unexpected(directory_problem(file.error(), directory_));
  file_ = *file;
  if (const auto removed = volume_->remove(name); !removed) {
    return std::unexpected(directory_problem(removed.error(), directory_));
  }
  return {};
}

Attempt<void> DiskWrites::prepare(const std::function<void(std::uint64_t)>& written) {
  block_ = base::Pages(kBlockMax);
  // Nothing that a device could compress.
  std::mt19937_64 source(1);
  for (std::size_t i = 0; i < kBlockMax; i += sizeof(std::uint64_t)) {
    const std::uint64_t word = source();
    std::memcpy(block_.data() + i, &word, sizeof word);
  }
  for (std::uint64_t at = 0; at < file_bytes_; at += kBlockMax) {
    if (const auto done = volume_->write(file_, at, block_.bytes()); !done) {
      return std::unexpected(directory_problem(done.error(), directory_));
    }
    written(at + kBlockMax);
  }
  return {};
}

void DiskWrites::submit(DiskShape shape, std::uint32_t slot) {
  if (offset_ + shape.block > file_bytes_) offset_ = 0;
  const env::DiskOp write{.kind = env::DiskKind::kWrite,
                          .durable = true,
                          .file = file_,
                          .offset = offset_,
                          .data = block_.data(),
                          .length = shape.block,
                          .tag = slot};
  offset_ += shape.block;
  begun_[slot] = Clock::now();
  PENSTOCK_ASSERT(disk_->submit({&write, 1}) == 1);
}

Attempt<DiskFigures> DiskWrites::measure(DiskShape shape, std::chrono::nanoseconds length,
                                         DiskIdle idle) {
  PENSTOCK_ASSERT(shape.block % env::kSector == 0 && shape.block <= kBlockMax);
  PENSTOCK_ASSERT(shape.depth > 0 && shape.depth <= kDepthMax);
  PENSTOCK_ASSERT(block_.size() > 0);
  DiskFigures figures;
  std::optional<Problem> problem;
  const auto begin = Clock::now();
  auto now = begin;
  for (std::uint32_t slot = 0; slot < shape.depth; ++slot) submit(shape, slot);
  for (std::uint32_t in_flight = shape.depth; in_flight > 0;) {
    if (idle == DiskIdle::kWait) ring_->sleep(kPatience);
    std::array<env::DiskDone, kDepthMax> done;
    const std::size_t count = disk_->reap(done);
    now = Clock::now();
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<std::uint32_t>(done[i].tag);
      if (done[i].result != static_cast<std::int32_t>(shape.block)) {
        problem = write_problem(done[i].result, shape.block);
      }
      ++figures.writes;
      figures.latencies.record(static_cast<std::uint64_t>((now - begun_[slot]).count()));
      // After the end, or a failure, what is in flight is only waited for.
      if (now - begin < length && !problem) {
        submit(shape, slot);
      } else {
        --in_flight;
      }
    }
    disk_->hand_over();
  }
  if (problem) return std::unexpected(std::move(*problem));
  figures.seconds = std::chrono::duration<double>(now - begin).count();
  return figures;
}

}  // namespace penstock::tools::bench
