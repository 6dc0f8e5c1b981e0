// A directory of a real file system as a Volume: direct I/O, and writes that return when durable.
//
// Shape      FileIds are file descriptors. Files are opened O_DIRECT; each durable write is RWF_DSYNC
// Owner      any thread, one at a time per file name. Files still open are closed with the volume
// Errors     open: kNotFound, kPermission, kSystem. lock: kLocked, the holder's pid in `detail`.
//            A read beyond the file's end is kSystem with ENODATA
// Source     open(2), pwritev2(2), statfs(2), flock(2)
#pragma once

#include "env/disk.h"

#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace penstock::drivers {

class FileVolume final : public env::Volume {
 public:
  // `directory` must exist.
  [[nodiscard]] static Result<std::unique_ptr<FileVolume>> open_root(const std::string& directory);
  ~FileVolume() override;
  FileVolume(const FileVolume&) = delete;
  FileVolume& operator=(const FileVolume&) = delete;

  // Holds DIRECTORY/LOCK, with our process id in it, for as long as this object lives, and where its descriptor
  // is kept open by rings, until their last write has ended. Of a holder that is dead that end is awaited,
  // for 30 seconds at most.
  [[nodiscard]] Result<> lock();
  // REQUIRES: locked.
  [[nodiscard]] int lock_descriptor() const { return lock_; }

  [[nodiscard]] Result<env::VolumeInfo> info() override;
  [[nodiscard]] Result<std::vector<env::FileInfo>> list(std::string_view directory) override;
  [[nodiscard]] Result<> make_directory(std::string_view name) override;
  [[nodiscard]] Result<env::FileId> open(std::string_view name) override;
  [[nodiscard]] Result<env::FileId> create(std::string_view name) override;
  [[nodiscard]] Result<> rename(std::string_view from, std::string_view to) override;
  [[nodiscard]] Result<> remove(std::string_view name) override;
  [[nodiscard]] Result<> sync_directory(std::string_view directory) override;
  void close(env::FileId file) override;
  [[nodiscard]] Result<std::uint64_t> size(env::FileId file) override;
  [[nodiscard]] Result<> read(env::FileId file, std::uint64_t offset,
                              std::span<std::byte> out) override;
  [[nodiscard]] Result<> write(env::FileId file, std::uint64_t offset,
                               std::span<const std::byte> bytes) override;

 private:
  FileVolume(int root, std::string path) : root_(root), path_(std::move(path)) {}
  [[nodiscard]] Result<env::FileId> opened(int fd);
  [[nodiscard]] Result<bool> probe_direct();

  int root_;
  int lock_ = -1;
  std::string path_;
  std::mutex mutex_;  // of what follows: the Volume may be called from any thread
  std::set<int> open_;
  bool probed_ = false;
  bool direct_io_ = false;
};

}  // namespace penstock::drivers
