#include "doctor/device.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

namespace penstock::tools {
namespace {

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

std::optional<BlockDevice> block_device(unsigned major, unsigned minor, const std::string& sys) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path device = fs::canonical(fmt::format("{}/dev/block/{}:{}", sys, major, minor), error);
  if (error) return std::nullopt;
  // A partition has no queue of its own: its disk is the directory above.
  if (!fs::exists(device / "queue", error)) device = device.parent_path();
  if (!fs::exists(device / "queue", error)) return std::nullopt;
  BlockDevice found;
  found.name = device.filename();
  found.write_cache = first_line(device / "queue" / "write_cache");
  found.fua = first_line(device / "queue" / "fua") == "1";
  found.rotational = first_line(device / "queue" / "rotational") == "1";
  return found;
}

}  // namespace penstock::tools
