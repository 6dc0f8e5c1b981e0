// On what a figure was measured: the machine, its disk, the build, the command line. A result without it
// cannot be compared with anything.
//
// Shape      facts in the order in which they were set, each once; what cannot be found out says "unknown"
// Source     /proc/cpuinfo, uname(2), /proc/self/mountinfo, /sys/dev/block, as bench/support/measure.py
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::tools::bench {

using Facts = std::vector<std::pair<std::string, std::string>>;  // name, value

// "cpu …, kernel …".
[[nodiscard]] std::string as_text(const Facts& facts);

// Durability classes: an acknowledgement means stable media; it may be lost within a second; it means nothing.
inline constexpr std::string_view kDurableMedia = "media";
inline constexpr std::string_view kDurableSecond = "1 s";
inline constexpr std::string_view kDurableNone = "none";
inline constexpr std::string_view kDurableUnknown = "unknown";

struct Manifest {
  Facts facts;
  std::string durability = std::string(kDurableUnknown);  // the class of what was measured

  // Replaces the fact where it is there.
  void set(std::string_view name, std::string value);
  // Null where it is not there.
  [[nodiscard]] const std::string* find(std::string_view name) const;
};

// `path` lies on the disk that counts; empty where none on this machine does. Does not say the durability.
[[nodiscard]] Manifest manifest_of_machine(const std::string& path);

// What /proc/self/mountinfo says of the file system that `path`, canonical, lies on. Empty type: not found.
struct Mount {
  std::string type;    // "ext4"
  std::string source;  // "/dev/nvme0n1p1"
};
[[nodiscard]] Mount mount_of(const std::string& path, const std::string& mountinfo);
// "NVMe", "virtio", …, by the name of a block device.
[[nodiscard]] std::string_view disk_kind(std::string_view device);
// A command line without the directory of the program, and without what stands before '@' in a URL.
[[nodiscard]] std::string shown_command(const std::vector<std::string>& words);

}  // namespace penstock::tools::bench
