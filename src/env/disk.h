// Files, in two parts. `Volume` is the directory: blocking calls for start-up and for the service
// core. `Disk` is one core's queue of reads and durable writes.
//
// Units      offsets and lengths in bytes, multiples of kSector; buffers aligned to kSector
// Shape      at most `depth()` operations pending; completions in any order
// Owner      a Disk belongs to one core. A Volume may be called from any thread, one at a time per
//            file name; FileIds are valid on every Disk of the same Volume
// Allocates  in the constructor only (Disk); freely (Volume)
// Errors     a completion carries a byte count or a negative errno. A write is good only if its
//            count is its length: then, and with `durable`, the bytes are on stable media.
//            Volume: kNotFound, kExists, kNoSpace, kPermission, kNoDirectIo, kLocked, kSystem
#pragma once

#include "penstock/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::env {

inline constexpr std::size_t kSector = 4096;

enum class FileId : std::int32_t { kNone = -1 };

struct FileInfo {
  std::string name;  // relative to the volume's root, '/' between parts
  std::uint64_t bytes = 0;
};

struct VolumeInfo {
  std::string file_system;  // "ext4", "xfs", "tmpfs", "simulated", …
  bool durable = true;      // false: class `none` (tmpfs, ramfs, overlay)
  bool direct_io = true;
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
};

class Volume {
 public:
  virtual ~Volume() = default;

  [[nodiscard]] virtual Result<VolumeInfo> info() = 0;
  // Every file below `directory` ("" is the root), sorted by name; directories are not listed.
  [[nodiscard]] virtual Result<std::vector<FileInfo>> list(std::string_view directory) = 0;
  [[nodiscard]] virtual Result<> make_directory(std::string_view name) = 0;
  // Opens for direct reads and writes. The file must exist.
  [[nodiscard]] virtual Result<FileId> open(std::string_view name) = 0;
  // Creates a file of length 0 and opens it; fails with kExists. The name is durable only after
  // `sync_directory` of its directory.
  [[nodiscard]] virtual Result<FileId> create(std::string_view name) = 0;
  [[nodiscard]] virtual Result<> rename(std::string_view from, std::string_view to) = 0;
  [[nodiscard]] virtual Result<> remove(std::string_view name) = 0;
  [[nodiscard]] virtual Result<> sync_directory(std::string_view directory) = 0;
  virtual void close(FileId file) = 0;

  // Blocking, sector-aligned; `write` returns when the bytes are durable, extending the file.
  [[nodiscard]] virtual Result<std::uint64_t> size(FileId file) = 0;
  [[nodiscard]] virtual Result<> read(FileId file, std::uint64_t offset,
                                      std::span<std::byte> out) = 0;
  [[nodiscard]] virtual Result<> write(FileId file, std::uint64_t offset,
                                       std::span<const std::byte> bytes) = 0;
};

enum class DiskKind : std::uint8_t { kRead, kWrite };

struct DiskOp {
  DiskKind kind = DiskKind::kRead;
  bool durable = false;  // writes: complete only when on stable media (O_DSYNC)
  FileId file = FileId::kNone;
  std::uint64_t offset = 0;
  std::byte* data = nullptr;  // stays valid and, for writes, unchanged until the completion
  std::uint32_t length = 0;
  std::uint64_t tag = 0;  // returned with the completion
};

struct DiskDone {
  std::uint64_t tag = 0;
  std::int32_t result = 0;  // bytes, or -errno
};

class Disk {
 public:
  virtual ~Disk() = default;
  [[nodiscard]] virtual std::size_t depth() const = 0;
  // Takes as many of `ops`, in order, as have room; returns how many. Never blocks. The device may
  // see them only with the next `reap` or `hand_over`, many by one system call.
  [[nodiscard]] virtual std::size_t submit(std::span<const DiskOp> ops) = 0;
  // The device gets what was taken so far now.
  virtual void hand_over() = 0;
  // Fills `out` with finished operations; returns how many. Never blocks.
  [[nodiscard]] virtual std::size_t reap(std::span<DiskDone> out) = 0;
};

}  // namespace penstock::env
