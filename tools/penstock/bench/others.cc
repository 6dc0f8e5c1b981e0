#include "bench/others.h"

#include "base/assert.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>

namespace penstock::tools::bench {
namespace {

namespace fs = std::filesystem;

struct ProcessTime {
  pid_t group = 0;
  std::uint64_t user = 0;
};

// The processes there are; entries of /proc that are none are left out.
std::vector<pid_t> processes(const std::string& proc) {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(proc, error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (read.ec == std::errc() && read.ptr == name.data() + name.size()) found.push_back(pid);
  }
  return found;
}

// Nothing of use for a process that has ended.
ProcessTime process_time(const std::string& proc, pid_t pid) {
  std::ifstream file(fmt::format("{}/{}/stat", proc, pid));
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');  // a name may have spaces and brackets in it
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  std::vector<std::string> words;
  for (std::string word; words.size() < 14 && fields >> word;) words.push_back(std::move(word));
  if (words.size() < 14) return {};
  const auto number = [&words](std::size_t i) {
    std::uint64_t value = 0;
    std::from_chars(words[i].data(), words[i].data() + words[i].size(), value);
    return value;
  };
  return {static_cast<pid_t>(number(2)), number(11) + number(13)};  // utime, cutime
}

std::set<std::string> listening_inodes(std::uint16_t port, const std::string& proc) {
  std::set<std::string> inodes;
  const std::string wanted = fmt::format(":{:04X}", port);
  for (const char* table : {"/net/tcp", "/net/tcp6"}) {
    std::ifstream file(proc + table);
    std::string line;
    while (std::getline(file, line)) {
      std::istringstream fields(line);
      std::vector<std::string> words;
      for (std::string word; words.size() < 10 && fields >> word;) words.push_back(std::move(word));
      constexpr std::string_view kListens = "0A";
      if (words.size() < 10 || words[3] != kListens || !words[1].ends_with(wanted)) continue;
      inodes.insert(fmt::format("socket:[{}]", words[9]));
    }
  }
  return inodes;
}

}  // namespace

CpuTicks cpu_ticks(const std::string& proc, pid_t group, const std::vector<pid_t>& also_ours) {
  CpuTicks ticks;
  std::ifstream stat(proc + "/stat");
  std::string name;
  std::uint64_t user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0;
  stat >> name >> user >> nice >> system >> idle >> wait >> irq >> softirq >> steal;
  ticks.all = user + nice + steal;
  for (const pid_t pid : processes(proc)) {
    const ProcessTime time = process_time(proc, pid);
    const bool named = std::ranges::find(also_ours, pid) != also_ours.end();
    if (named || time.group == group) ticks.ours += time.user;
  }
  return ticks;
}

double others_share(const CpuTicks& before, const CpuTicks& after, double ticks_possible) {
  PENSTOCK_ASSERT(ticks_possible > 0);
  const std::uint64_t ours = after.ours - std::min(before.ours, after.ours);
  const std::uint64_t all = after.all - std::min(before.all, after.all);
  return static_cast<double>(all - std::min(ours, all)) / ticks_possible;
}

Others::Others(std::vector<pid_t> also_ours)
    : also_ours_(std::move(also_ours)),
      begin_(std::chrono::steady_clock::now()),
      before_(cpu_ticks("/proc", getpgrp(), also_ours_)) {}

double Others::share() const {
  const CpuTicks after = cpu_ticks("/proc", getpgrp(), also_ours_);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
  const auto possible = passed.count() * static_cast<double>(sysconf(_SC_CLK_TCK)) *
                        static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  // Ticks are counted one by one: within the first of them there is nothing to say.
  return possible < 1 ? 0 : others_share(before_, after, possible);
}

std::vector<pid_t> listeners(std::uint16_t port, const std::string& proc) {
  const std::set<std::string> inodes = listening_inodes(port, proc);
  std::vector<pid_t> found;
  if (inodes.empty()) return found;
  for (const pid_t pid : processes(proc)) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fmt::format("{}/{}/fd", proc, pid), error)) {
      std::error_code gone;
      if (!inodes.contains(fs::read_symlink(entry.path(), gone).string())) continue;
      found.push_back(pid);
      break;
    }
  }
  return found;
}

}  // namespace penstock::tools::bench
