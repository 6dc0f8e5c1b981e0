// The block device below a directory, as the kernel describes it in /sys.
//
// Errors     nothing where the file system has no block device of its own (tmpfs, overlay, NFS, btrfs)
#pragma once

#include <optional>
#include <string>

namespace penstock::tools {

struct BlockDevice {
  std::string name;         // "nvme0n1"
  std::string write_cache;  // "write back" or "write through"; empty: not told
  bool fua = false;         // can write a single block through its cache
  bool rotational = false;
};

// `sys` is /sys but in tests.
[[nodiscard]] std::optional<BlockDevice> block_device(unsigned major, unsigned minor,
                                                      const std::string& sys);

}  // namespace penstock::tools
