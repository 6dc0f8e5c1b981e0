// Durable writes as a cell's journal makes them: one after the other into a file that was written before,
// each O_DIRECT and O_DSYNC, so many at a time.
//
// Units      bytes; latencies from the hand-over to the completion
// Shape      the file has no name from the moment it is made: whatever ends this process frees its space
// Owner      one thread
// Errors     what the directory refuses; a write that failed or came short. Nothing is repeated
// Source     ARCHITECTURE.md, "O_DSYNC writes into zero-filled, recycled slots"
#pragma once

#include "base/pages.h"
#include "bench/hdr.h"
#include "drivers/disk/uring/file_volume.h"
#include "drivers/disk/uring/uring_disk.h"
#include "drivers/ring/ring.h"
#include "problem.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace penstock::tools::bench {

inline constexpr std::uint32_t kBlockMax = 1 << 20;
inline constexpr std::uint32_t kDepthMax = 8;

struct DiskShape {
  std::uint32_t block = 4096;  // bytes of a write, a multiple of env::kSector, at most kBlockMax
  std::uint32_t depth = 1;     // writes in flight, at most kDepthMax
};

// What is done until a write is complete: as [cores] idle of penstockd says, which latencies show.
enum class DiskIdle : std::uint8_t { kWait, kPoll };

struct DiskFigures {
  double seconds = 0;  // until the last one was complete
  std::uint64_t writes = 0;
  HdrHistogram latencies;
};

class DiskWrites {
 public:
  // `file_bytes`: a multiple of kBlockMax, and more than kDepthMax of them.
  [[nodiscard]] static Attempt<DiskWrites> open(const std::string& directory,
                                                std::uint64_t file_bytes);

  [[nodiscard]] const env::VolumeInfo& info() const { return info_; }
  [[nodiscard]] std::uint64_t file_bytes() const { return file_bytes_; }
  // Writes the file once, in parts, so that what is measured overwrites. `written`, the bytes so far, is told
  // after each part.
  [[nodiscard]] Attempt<void> prepare(const std::function<void(std::uint64_t)>& written);
  // At least one round of `depth` writes. REQUIRES: prepared.
  [[nodiscard]] Attempt<DiskFigures> measure(DiskShape shape, std::chrono::nanoseconds length,
                                             DiskIdle idle = DiskIdle::kWait);

 private:
  using Clock = std::chrono::steady_clock;
  DiskWrites() = default;
  [[nodiscard]] Attempt<void> make_file();
  void submit(DiskShape shape, std::uint32_t slot);

  std::string directory_;
  std::unique_ptr<drivers::FileVolume> volume_;
  env::VolumeInfo info_;
  env::FileId file_ = env::FileId::kNone;  // the volume closes it
  std::uint64_t file_bytes_ = 0;
  std::uint64_t offset_ = 0;  // of the next write
  base::Pages block_;
  std::unique_ptr<drivers::Ring> ring_;
  std::unique_ptr<drivers::UringDisk> disk_;
  std::array<Clock::time_point, kDepthMax> begun_{};  // by slot
};

}  // namespace penstock::tools::bench
