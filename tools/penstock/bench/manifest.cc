#include "bench/manifest.h"

#include "build_info.h"
#include "commit.h"
#include "doctor/device.h"
#include "words.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

namespace penstock::tools::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnknown = "unknown";

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string first_line(const std::string& path) {
  const std::string text = contents(path);
  return text.substr(0, text.find('\n'));
}

// The first line of /proc/cpuinfo with that name.
std::string processor_line(const std::string& name) {
  std::istringstream lines(contents("/proc/cpuinfo"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with(name) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return kUnknown;
}

// Whether this is a virtual machine, and of whose make.
std::string virtual_machine() {
  const std::string flags = " " + processor_line("flags") + " ";
  if (!flags.contains(" hypervisor ")) return flags.contains(kUnknown) ? kUnknown : "no";
  const std::string vendor = first_line("/sys/class/dmi/id/sys_vendor");
  const std::string product = first_line("/sys/class/dmi/id/product_name");
  if (vendor.empty() && product.empty()) return "yes";
  return fmt::format("yes ({}{}{})", vendor, vendor.empty() ? "" : " ", product);
}

std::string memory() {
  const double bytes =
      static_cast<double>(sysconf(_SC_PAGE_SIZE)) * static_cast<double>(sysconf(_SC_PHYS_PAGES));
  return fmt::format("{:.1f} GB", bytes / 1e9);
}

std::string date() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto days = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_seconds(std::chrono::duration_cast<std::chrono::seconds>(now)));
  const std::chrono::year_month_day day(days);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
}

std::vector<std::string> own_command() {
  std::vector<std::string> words;
  std::istringstream text(contents("/proc/self/cmdline"));
  for (std::string word; std::getline(text, word, '\0');) words.push_back(word);
  return words;
}

// mountinfo writes blanks in octal.
std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '3') {
      out +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool lies_below(const std::string& path, const std::string& directory) {
  if (directory == "/") return path.starts_with('/');
  return path == directory || path.starts_with(directory + "/");
}

void add_disk(Manifest& manifest, const std::string& given) {
  std::error_code error;
  const std::string path = fs::canonical(given, error).string();
  const Mount mount = mount_of(path, contents("/proc/self/mountinfo"));
  manifest.set("file system", mount.type.empty() ? kUnknown : mount.type);
  struct stat status{};
  const auto device = stat(path.c_str(), &status) == 0
                          ? block_device(major(status.st_dev), minor(status.st_dev), "/sys")
                          : std::nullopt;
  manifest.set("disk", device ? std::string(disk_kind(device->name)) : kUnknown);
  if (!device) return;
  manifest.set("rotational", device->rotational ? "yes" : "no");
  manifest.set("write cache", device->write_cache.empty() ? kUnknown : device->write_cache);
  manifest.set("fua", device->fua ? "yes" : "no");
}

}  // namespace

std::string as_text(const Facts& facts) {
  std::string text;
  for (const auto& [name, value] : facts) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value);
  }
  return text;
}

void Manifest::set(std::string_view name, std::string value) {
  for (auto& [known, held] : facts) {
    if (known == name) {
      held = std::move(value);
      return;
    }
  }
  facts.emplace_back(name, std::move(value));
}

const std::string* Manifest::find(std::string_view name) const {
  for (const auto& [known, value] : facts) {
    if (known == name) return &value;
  }
  return nullptr;
}

Mount mount_of(const std::string& path, const std::string& mountinfo) {
  Mount found;
  std::size_t longest = 0;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t dash = line.find(" - ");
    std::istringstream before(line.substr(0, dash));
    std::string skipped, point;
    before >> skipped >> skipped >> skipped >> skipped >> point;
    point = unescaped(point);
    // What was mounted later on the same point hides what was there.
    if (dash == std::string::npos || point.size() < longest || !lies_below(path, point)) continue;
    longest = point.size();
    std::istringstream after(line.substr(dash + 3));
    after >> found.type >> found.source;
  }
  return found;
}

std::string_view disk_kind(std::string_view device) {
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"nvme", "NVMe"},         {"vd", "virtio"},   {"sd", "SCSI or SATA"}, {"xvd", "Xen"},
      {"dm-", "device mapper"}, {"md", "RAID"},     {"mmcblk", "MMC"},      {"loop", "loop"},
      {"ram", "memory"},        {"zram", "memory"}, {"nbd", "network"},     {"rbd", "network"},
  };
  for (const auto& [prefix, kind] : kKinds) {
    if (device.starts_with(prefix)) return kind;
  }
  return "other";
}

std::string shown_command(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (text.empty()) {
      text = fs::path(word).filename();
      continue;
    }
    const std::size_t scheme = word.find("://");
    const std::size_t at = scheme == std::string::npos ? scheme : word.rfind('@');
    const bool secret = at != std::string::npos && at > scheme;
    text += " " + (secret ? word.substr(0, scheme + 3) + "…" + word.substr(at) : word);
  }
  return printable(text);
}

Manifest manifest_of_machine(const std::string& path) {
  Manifest manifest;
  utsname names{};
  uname(&names);
  manifest.set("date", date());
  manifest.set("command", shown_command(own_command()));
  manifest.set("penstock", PENSTOCK_VERSION);
  manifest.set("commit", kCommit);
  manifest.set("compiler", kCompiler);
  manifest.set("checks", kChecks);
  manifest.set("cpu", processor_line("model name"));
  manifest.set("cpus", std::to_string(sysconf(_SC_NPROCESSORS_ONLN)));
  manifest.set("memory", memory());
  manifest.set("virtual", virtual_machine());
  manifest.set("kernel", names.release);
  if (!path.empty()) add_disk(manifest, path);
  return manifest;
}

}  // namespace penstock::tools::bench
