// A disk that forgets: a FUSE file system with one file, `disk`, which behaves like a drive with a volatile
// write cache. A write is kept apart until a flush; a power cut loses a random part of what was not flushed.
// Under a loop device it carries a real file system, which carries the real daemon.
//
//   forgetful_disk IMAGE BYTES SEED MOUNTPOINT
//
// SIGUSR1 cuts the power at the next flush that has something to flush, or after some more writes: each
// unflushed write survives whole, not at all, or torn at 512-byte sectors; from then on every operation
// fails with EIO. SIGUSR2 gives power back. The file `state` in the same place reads
// `writes N flushes N cuts N lost N power on|off`: how often each happened, and the power's state.
//
// Shape      IMAGE holds what is flushed. IMAGE.now beside it holds what a reader sees: equal to IMAGE but
//            where unflushed writes lie, which are listed here in order
// Owner      one lock over everything: this is a test's disk, not a fast one
#define FUSE_USE_VERSION 35
#include <fcntl.h>
#include <fuse.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kTear = 512;
constexpr std::uint32_t kWritesArmed = 64;  // a daemon that never flushes loses its power, too

// Whole transfers or an errno.
int write_all(int file, const char* data, std::size_t bytes, off_t offset) {
  while (bytes > 0) {
    const ssize_t done = pwrite(file, data, bytes, offset);
    if (done <= 0) {
      return done < 0 ? errno : EIO;
    }
    data += done;
    bytes -= static_cast<std::size_t>(done);
    offset += done;
  }
  return 0;
}

int read_all(int file, char* data, std::size_t bytes, off_t offset) {
  while (bytes > 0) {
    const ssize_t done = pread(file, data, bytes, offset);
    if (done <= 0) {
      return done < 0 ? errno : EIO;
    }
    data += done;
    bytes -= static_cast<std::size_t>(done);
    offset += done;
  }
  return 0;
}

class ForgetfulDisk {
 public:
  ForgetfulDisk(const std::string& image, off_t bytes, std::uint64_t seed)
      : bytes_(bytes),
        chance_(seed),
        flushed_(open(image.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600)),
        seen_(open((image + ".now").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600)) {
    if (flushed_ < 0 || seen_ < 0 || ftruncate(flushed_, bytes) != 0 ||
        ftruncate(seen_, bytes) != 0) {
      std::perror(image.c_str());
      std::exit(1);
    }
  }

  [[nodiscard]] off_t bytes() const { return bytes_; }

  int write(const char* data, std::size_t bytes, off_t offset) {
    const std::lock_guard lock(mutex_);
    if (!powered_) {
      return EIO;
    }
    ++writes_;
    unflushed_.push_back({offset, std::vector<char>(data, data + bytes)});
    const int error = write_all(seen_, data, bytes, offset);
    if (armed_ && ++writes_armed_ == kWritesArmed) {
      cut();
    }
    return error;
  }

  int read(char* data, std::size_t bytes, off_t offset) {
    const std::lock_guard lock(mutex_);
    return powered_ ? read_all(seen_, data, bytes, offset) : EIO;
  }

  int flush() {
    const std::lock_guard lock(mutex_);
    if (!powered_) {
      return EIO;
    }
    if (armed_ && !unflushed_.empty()) {
      cut();
      return EIO;
    }
    ++flushes_;
    for (const Write& write : unflushed_) {
      if (const int error =
              write_all(flushed_, write.data.data(), write.data.size(), write.offset)) {
        return error;
      }
    }
    unflushed_.clear();
    return 0;
  }

  // In between flushes there is little to lose, so the cut waits for a moment that has something.
  void arm() {
    const std::lock_guard lock(mutex_);
    armed_ = true;
    writes_armed_ = 0;
  }

  void restore() {
    const std::lock_guard lock(mutex_);
    powered_ = true;
    armed_ = false;
  }

  [[nodiscard]] std::string state() {
    const std::lock_guard lock(mutex_);
    return "writes " + std::to_string(writes_) + " flushes " + std::to_string(flushes_) + " cuts " +
           std::to_string(cuts_) + " lost " + std::to_string(lost_) + " power " +
           (powered_ ? "on" : "off") + "\n";
  }

 private:
  struct Write {
    off_t offset;
    std::vector<char> data;
  };

  // REQUIRES: the lock. A drive may write its cache in any order: later writes can be there where earlier ones are not.
  void cut() {
    powered_ = false;
    armed_ = false;
    ++cuts_;
    for (const Write& write : unflushed_) {
      enum { kAll, kNothing, kTorn, kFates };
      // The first never survives whole, so that no cut is without a loss.
      const auto fate =
          &write == &unflushed_.front() ? kNothing + chance_() % 2 : chance_() % kFates;
      lost_ += fate == kAll ? 0 : 1;
      for (std::size_t at = 0; at < write.data.size(); at += kTear) {
        if (fate == kAll || (fate == kTorn && chance_() % 2 == 0)) {
          const std::size_t length = std::min(kTear, write.data.size() - at);
          write_all(flushed_, write.data.data() + at, length,
                    write.offset + static_cast<off_t>(at));
        }
      }
    }
    // What a reader sees after power is back is what was kept.
    for (const Write& write : unflushed_) {
      std::vector<char> kept(write.data.size());
      read_all(flushed_, kept.data(), kept.size(), write.offset);
      write_all(seen_, kept.data(), kept.size(), write.offset);
    }
    unflushed_.clear();
  }

  std::mutex mutex_;
  off_t bytes_;
  std::mt19937_64 chance_;
  int flushed_;
  int seen_;
  bool powered_ = true;
  bool armed_ = false;
  std::uint32_t writes_armed_ = 0;
  std::vector<Write> unflushed_;
  std::uint64_t writes_ = 0;
  std::uint64_t flushes_ = 0;
  std::uint64_t cuts_ = 0;
  std::uint64_t lost_ = 0;
};

ForgetfulDisk* g_disk = nullptr;  // FUSE's callbacks are plain functions

enum class Node { kRoot, kDisk, kState, kNone };

Node node(const char* path) {
  if (std::strcmp(path, "/") == 0) {
    return Node::kRoot;
  }
  if (std::strcmp(path, "/disk") == 0) {
    return Node::kDisk;
  }
  return std::strcmp(path, "/state") == 0 ? Node::kState : Node::kNone;
}

int get_attributes(const char* path, struct stat* out, fuse_file_info*) {
  *out = {};
  switch (node(path)) {
    case Node::kRoot:
      out->st_mode = S_IFDIR | 0700;
      out->st_nlink = 2;
      return 0;
    case Node::kDisk:
      out->st_mode = S_IFREG | 0600;
      out->st_nlink = 1;
      out->st_size = g_disk->bytes();
      return 0;
    case Node::kState:
      out->st_mode = S_IFREG | 0400;
      out->st_nlink = 1;
      return 0;
    case Node::kNone:
      break;
  }
  return -ENOENT;
}

int open_file(const char* path, fuse_file_info* file) {
  if (node(path) != Node::kDisk && node(path) != Node::kState) {
    return -ENOENT;
  }
  file->direct_io = 1;  // nothing of it in the page cache: what is read is what the disk has
  return 0;
}

int read_file(const char* path, char* out, std::size_t bytes, off_t offset, fuse_file_info*) {
  if (node(path) == Node::kState) {
    const std::string text = g_disk->state();
    const auto at = std::min(static_cast<std::size_t>(offset), text.size());
    return static_cast<int>(text.copy(out, bytes, at));
  }
  if (offset >= g_disk->bytes()) {
    return 0;
  }
  bytes = std::min(bytes, static_cast<std::size_t>(g_disk->bytes() - offset));
  const int error = g_disk->read(out, bytes, offset);
  return error != 0 ? -error : static_cast<int>(bytes);
}

int write_file(const char*, const char* data, std::size_t bytes, off_t offset, fuse_file_info*) {
  if (offset + static_cast<off_t>(bytes) > g_disk->bytes()) {
    return -ENOSPC;
  }
  const int error = g_disk->write(data, bytes, offset);
  return error != 0 ? -error : static_cast<int>(bytes);
}

int sync_file(const char*, int, fuse_file_info*) { return -g_disk->flush(); }

// Signals arrive here alone, where locks may be taken.
void obey_signals(sigset_t signals) {
  for (;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) == 0) {
      signal == SIGUSR1 ? g_disk->arm() : g_disk->restore();
    }
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) {
    std::fputs("usage: forgetful_disk IMAGE BYTES SEED MOUNTPOINT\n", stderr);
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigaddset(&signals, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // inherited by FUSE's threads
  static ForgetfulDisk disk(words[1], static_cast<off_t>(std::atoll(words[2])),
                            std::strtoull(words[3], nullptr, 10));
  g_disk = &disk;
  std::thread(obey_signals, signals).detach();

  fuse_operations operations{};
  operations.getattr = get_attributes;
  operations.open = open_file;
  operations.read = read_file;
  operations.write = write_file;
  operations.fsync = sync_file;
  char foreground[] = "-f";
  char* arguments[] = {words[0], foreground, words[4], nullptr};
  return fuse_main(3, arguments, &operations, nullptr);
}
