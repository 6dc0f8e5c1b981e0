#include "data_directory.h"

#include "storage/superblock.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace penstock::tools {
namespace {

Exit exit_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kForeignFormat:
      return Exit::kNotFound;
    case ErrorCode::kPermission:
      return Exit::kDenied;
    case ErrorCode::kLocked:
      return Exit::kConflict;
    default:
      return Exit::kFailed;
  }
}

Problem held(const Error& error, const std::string& path) {
  Problem problem = storage_problem(error, fmt::format("the data directory {} is in use", path));
  problem.lines.clear();
  problem.found(fmt::format("process {} holds it", error.detail))
      .needed("a stopped penstockd: it keeps what is stored here in memory, too")
      .mend(fmt::format("systemctl stop penstockd, or: kill {}", error.detail));
  return problem;
}

}  // namespace

Problem storage_problem(const Error& error, std::string what) {
  Problem problem{exit_of(error.code), number(error.code), std::move(what), {}};
  const bool system = error.code == ErrorCode::kPermission || error.code == ErrorCode::kNotFound;
  problem.found(error.detail == 0 ? std::string(text(error.code))
                : system          ? std::string(std::strerror(error.detail))
                                  : fmt::format("{} (detail {})", text(error.code), error.detail));
  switch (error.code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kForeignFormat:
      problem.needed("a directory that penstockd formatted")
          .mend("--data-dir DIR: [data] directory of its configuration, or what --dev was given");
      break;
    case ErrorCode::kPermission:
      if (error.detail == EROFS) {
        problem.needed("a file system that may be written")
            .mend(
                "dmesg says whether the device failed; then: mount -o remount,rw its mount point");
        break;
      }
      problem.needed("leave to read and write it").mend("run this as root, or as penstockd's user");
      break;
    default:
      problem.needed("a data directory that penstockd can start from")
          .mend("look at the device first: dmesg, smartctl");
  }
  return problem;
}

Attempt<DataDirectory> DataDirectory::open(const std::string& path) {
  if (path.empty()) {
    return std::unexpected(usage_problem("no data directory is given").needed("--data-dir DIR"));
  }
  const std::string failing = fmt::format("cannot open the data directory {}", path);
  auto volume = drivers::FileVolume::open_root(path);
  if (!volume) return std::unexpected(storage_problem(volume.error(), failing));
  // Before the lock, which would make its file in any directory.
  auto superblock = (*volume)->open(storage::kSuperblockName);
  if (!superblock) {
    Error error = superblock.error();
    if (error.code == ErrorCode::kNotFound) error = {ErrorCode::kForeignFormat};
    return std::unexpected(storage_problem(error, failing));
  }
  (*volume)->close(*superblock);
  if (const Result<> locked = (*volume)->lock(); !locked) {
    if (locked.error().code == ErrorCode::kLocked) {
      return std::unexpected(held(locked.error(), path));
    }
    return std::unexpected(storage_problem(locked.error(), failing));
  }
  auto store = storage::Store::open(**volume);
  if (!store) return std::unexpected(storage_problem(store.error(), failing));
  return DataDirectory(path, std::move(*volume), std::move(*store));
}

}  // namespace penstock::tools
