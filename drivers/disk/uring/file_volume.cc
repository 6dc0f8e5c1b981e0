#include "drivers/disk/uring/file_volume.h"

#include "base/assert.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <thread>

namespace penstock::drivers {
namespace {

constexpr std::chrono::seconds kLockPatience{30};
constexpr const char* kProbeName = ".direct-io-probe";
constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;
// One system call transfers at most 2 GiB less a page; whole sectors below it.
constexpr std::size_t kTransferMax = std::size_t{1} << 30;

struct FileSystem {
  std::uint32_t magic;
  std::string_view name;
  bool durable;
};

// XFS and ZFS have no entry in linux/magic.h.
constexpr std::array<FileSystem, 9> kFileSystems = {{
    {EXT4_SUPER_MAGIC, "ext4", true},
    {0x58465342, "xfs", true},
    {BTRFS_SUPER_MAGIC, "btrfs", true},
    {F2FS_SUPER_MAGIC, "f2fs", true},
    {0x2FC12FC1, "zfs", true},
    {NFS_SUPER_MAGIC, "nfs", true},
    {TMPFS_MAGIC, "tmpfs", false},
    {RAMFS_MAGIC, "ramfs", false},
    {OVERLAYFS_SUPER_MAGIC, "overlay", false},
}};

std::unexpected<Error> failed(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return fail(ErrorCode::kNotFound, error);
    case EEXIST:
    case ENOTEMPTY:
      return fail(ErrorCode::kExists, error);
    case ENOSPC:
    case EDQUOT:
      return fail(ErrorCode::kNoSpace, error);
    case EACCES:
    case EPERM:
    case EROFS:
      return fail(ErrorCode::kPermission, error);
    default:
      return fail(ErrorCode::kSystem, error);
  }
}

std::string relative(std::string_view name) { return name.empty() ? "." : std::string(name); }

}  // namespace

Result<std::unique_ptr<FileVolume>> FileVolume::open_root(const std::string& directory) {
  const int root = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return failed(errno);
  return std::unique_ptr<FileVolume>(new FileVolume(root, directory));
}

FileVolume::~FileVolume() {
  for (const int fd : open_) ::close(fd);
  if (lock_ >= 0) ::close(lock_);
  ::close(root_);
}

Result<> FileVolume::lock() {
  PENSTOCK_ASSERT(lock_ < 0);
  const int fd = openat(root_, "LOCK", O_RDWR | O_CREAT | O_CLOEXEC, kFileMode);
  if (fd < 0) return failed(errno);
  const auto begin = std::chrono::steady_clock::now();
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    std::array<char, 16> text{};
    const ssize_t got = pread(fd, text.data(), text.size() - 1, 0);
    const int holder = got > 0 ? std::atoi(text.data()) : 0;
    // A killed process's writes may still be under way.
    const bool dead = holder > 0 && kill(holder, 0) != 0 && errno == ESRCH;
    if (error == EWOULDBLOCK && dead && std::chrono::steady_clock::now() - begin < kLockPatience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    ::close(fd);
    if (error != EWOULDBLOCK) return failed(error);
    return fail(ErrorCode::kLocked, holder);
  }
  const std::string pid = fmt::format("{}\n", getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    const int error = errno;
    ::close(fd);
    return failed(error);
  }
  lock_ = fd;
  return {};
}

Result<env::VolumeInfo> FileVolume::info() {
  struct statfs system{};
  if (fstatfs(root_, &system) != 0) return failed(errno);
  env::VolumeInfo info;
  const auto magic = static_cast<std::uint32_t>(system.f_type);
  const auto* known = std::find_if(kFileSystems.begin(), kFileSystems.end(),
                                   [&](const FileSystem& fs) { return fs.magic == magic; });
  if (known != kFileSystems.end()) {
    info.file_system = known->name;
    info.durable = known->durable;
  } else {
    info.file_system = fmt::format("{:#x}", magic);
  }
  const auto block = static_cast<std::uint64_t>(system.f_bsize);
  info.free_bytes = system.f_bavail * block;
  info.total_bytes = system.f_blocks * block;
  const Result<bool> direct = probe_direct();
  if (!direct) return std::unexpected(direct.error());
  info.direct_io = *direct;
  return info;
}

// Asks the file system by doing it: some accept O_DIRECT in open and refuse the transfer.
Result<bool> FileVolume::probe_direct() {
  const std::lock_guard guard(mutex_);
  if (probed_) return direct_io_;
  const int fd = openat(root_, kProbeName, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, kFileMode);
  if (fd < 0 && errno != EINVAL) return failed(errno);
  bool works = false;
  int error = 0;
  if (fd >= 0) {
    void* const sector = std::aligned_alloc(env::kSector, env::kSector);
    std::fill_n(static_cast<std::byte*>(sector), env::kSector, std::byte{0});
    works = pwrite(fd, sector, env::kSector, 0) == static_cast<ssize_t>(env::kSector);
    error = works ? 0 : errno;
    std::free(sector);
    ::close(fd);
  }
  unlinkat(root_, kProbeName, 0);
  if (error == ENOSPC || error == EDQUOT) return true;  // full says nothing; asked again next time
  probed_ = true;
  direct_io_ = works;
  return works;
}

Result<std::vector<env::FileInfo>> FileVolume::list(std::string_view directory) {
  namespace fs = std::filesystem;
  const fs::path root = path_;
  std::error_code error;
  std::vector<env::FileInfo> files;
  // The directory itself must be readable; what others keep below it, as ext4 its lost+found, need not.
  fs::directory_iterator top(root / directory, error);
  if (error) return failed(error.value());
  fs::recursive_directory_iterator entry(root / directory,
                                         fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code gone;  // removed since it was read: not there
    if (!entry->is_regular_file(gone) || gone) continue;
    const std::uintmax_t bytes = entry->file_size(gone);
    if (!gone) files.push_back({entry->path().lexically_relative(root).string(), bytes});
  }
  if (error) return failed(error.value());
  std::sort(files.begin(), files.end(),
            [](const env::FileInfo& a, const env::FileInfo& b) { return a.name < b.name; });
  return files;
}

Result<> FileVolume::make_directory(std::string_view name) {
  if (mkdirat(root_, relative(name).c_str(), kDirectoryMode) != 0) return failed(errno);
  return {};
}

Result<env::FileId> FileVolume::opened(int fd) {
  const std::lock_guard guard(mutex_);
  open_.insert(fd);
  return static_cast<env::FileId>(fd);
}

Result<env::FileId> FileVolume::open(std::string_view name) {
  const int fd = openat(root_, relative(name).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
  if (fd < 0 && errno == EINVAL) return fail(ErrorCode::kNoDirectIo, EINVAL);
  if (fd < 0) return failed(errno);
  return opened(fd);
}

Result<env::FileId> FileVolume::create(std::string_view name) {
  const std::string path = relative(name);
  const int fd =
      openat(root_, path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, kFileMode);
  if (fd < 0 && errno == EINVAL) {
    // The name is made before the flag is refused.
    unlinkat(root_, path.c_str(), 0);
    return fail(ErrorCode::kNoDirectIo, EINVAL);
  }
  if (fd < 0) return failed(errno);
  return opened(fd);
}

Result<> FileVolume::rename(std::string_view from, std::string_view to) {
  if (renameat(root_, relative(from).c_str(), root_, relative(to).c_str()) != 0) {
    return failed(errno);
  }
  return {};
}

Result<> FileVolume::remove(std::string_view name) {
  if (unlinkat(root_, relative(name).c_str(), 0) != 0) return failed(errno);
  return {};
}

Result<> FileVolume::sync_directory(std::string_view directory) {
  const int fd = openat(root_, relative(directory).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed(errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (error != 0) return failed(error);
  return {};
}

void FileVolume::close(env::FileId file) {
  const int fd = static_cast<int>(file);
  {
    const std::lock_guard guard(mutex_);
    PENSTOCK_ASSERT(open_.erase(fd) == 1);
  }
  ::close(fd);
}

Result<std::uint64_t> FileVolume::size(env::FileId file) {
  struct stat status{};
  if (fstat(static_cast<int>(file), &status) != 0) return failed(errno);
  return static_cast<std::uint64_t>(status.st_size);
}

Result<> FileVolume::read(env::FileId file, std::uint64_t offset, std::span<std::byte> out) {
  PENSTOCK_ASSERT(offset % env::kSector == 0);
  PENSTOCK_ASSERT(out.size() % env::kSector == 0);
  PENSTOCK_ASSERT(reinterpret_cast<std::uintptr_t>(out.data()) % env::kSector == 0);
  while (!out.empty()) {
    const ssize_t got = pread(static_cast<int>(file), out.data(),
                              std::min(out.size(), kTransferMax), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(errno);
    // A part of a sector is the file's end too: nothing aligned can follow it.
    if (got == 0 || static_cast<std::size_t>(got) % env::kSector != 0) {
      return fail(ErrorCode::kSystem, ENODATA);
    }
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

Result<> FileVolume::write(env::FileId file, std::uint64_t offset,
                           std::span<const std::byte> bytes) {
  PENSTOCK_ASSERT(offset % env::kSector == 0);
  PENSTOCK_ASSERT(bytes.size() % env::kSector == 0);
  PENSTOCK_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % env::kSector == 0);
  while (!bytes.empty()) {
    iovec part{.iov_base = const_cast<std::byte*>(bytes.data()),
               .iov_len = std::min(bytes.size(), kTransferMax)};
    const ssize_t put =
        pwritev2(static_cast<int>(file), &part, 1, static_cast<off_t>(offset), RWF_DSYNC);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed(errno);
    // A short durable write is what a full file system gives first; asking again names the reason.
    offset += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    if (put == 0) return fail(ErrorCode::kSystem, EIO);
  }
  return {};
}

}  // namespace penstock::drivers
