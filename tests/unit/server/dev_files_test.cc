// Goal: what clients are given outlives a power cut, and is never replaced behind their backs. Method: a
// temporary directory; this program's own fsync and rename write down what was asked of the kernel.
#include "server/dev_files.h"

#include "drivers/entropy/system_entropy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <vector>

namespace {
std::vector<std::string> g_calls;  // "fsync <name>", "rename <name>"
}  // namespace

extern "C" int fsync(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  g_calls.push_back("fsync " + std::filesystem::read_symlink(link).filename().string());
  return static_cast<int>(syscall(SYS_fsync, fd));
}

extern "C" int rename(const char* from, const char* to) noexcept {
  g_calls.push_back("rename " + std::filesystem::path(to).filename().string());
  return static_cast<int>(syscall(SYS_rename, from, to));
}

namespace penstock::server {
namespace {

namespace fs = std::filesystem;

class DevFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "penstock-files-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
    g_calls.clear();
  }
  void TearDown() override { fs::remove_all(path_); }

  std::expected<ServerFiles, FileProblem> prepare() {
    return prepare_files(path_.string(), "eu-west-1", "", "", "", entropy_);
  }
  [[nodiscard]] std::string content(const char* name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  fs::path path_;
  drivers::SystemEntropy entropy_;
};

TEST_F(DevFiles, EveryFileAndItsNameAreSyncedBeforeTheStartGoesOn) {
  ASSERT_TRUE(prepare());
  const std::string directory = "fsync " + path_.filename().string();
  for (const std::string name : {"credentials", "token.key", "server-key.pem", "ca.pem"}) {
    const auto written = std::ranges::find(g_calls, "fsync " + name + ".new");
    const auto placed = std::find(written, g_calls.end(), "rename " + name);
    ASSERT_NE(placed, g_calls.end()) << name;
    EXPECT_NE(std::find(placed, g_calls.end(), directory), g_calls.end()) << name;
  }
}

TEST_F(DevFiles, TheSecondStartFindsWhatTheFirstMade) {
  const auto first = prepare();
  ASSERT_TRUE(first);
  const std::array<std::string, 3> before = {content("credentials"), content("ca.pem"),
                                             content("server.pem")};
  const auto second = prepare();
  ASSERT_TRUE(second);
  EXPECT_EQ(first->token_key, second->token_key);
  EXPECT_EQ(before, (std::array{content("credentials"), content("ca.pem"), content("server.pem")}));
  for (const char* name : {"credentials", "token.key", "server-key.pem"}) {
    struct stat status{};
    ASSERT_EQ(stat((path_ / name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << name;
  }
}

TEST_F(DevFiles, AnAuthorityIsNotReplacedBecauseOneFileIsGone) {
  for (const char* name : {"ca.pem", "server.pem", "server-key.pem"}) {
    fs::remove_all(path_);
    fs::create_directory(path_);
    ASSERT_TRUE(prepare());
    const std::string left = content(name == std::string("ca.pem") ? "server.pem" : "ca.pem");
    fs::remove(path_ / name);
    const auto refused = prepare();
    ASSERT_FALSE(refused) << name;
    EXPECT_NE(refused.error().found.find(name), std::string::npos) << refused.error().found;
    EXPECT_NE(refused.error().mend.find("rm -f "), std::string::npos);
    EXPECT_FALSE(fs::exists(path_ / name));
    EXPECT_EQ(left, content(name == std::string("ca.pem") ? "server.pem" : "ca.pem"));
  }
}

TEST_F(DevFiles, APowerCutInTheMiddleOfTheFirstStartIsMadeGood) {
  ASSERT_TRUE(prepare());
  const std::string authority = content("ca.pem");
  // In place were all but the last; before that, some were written aside and none in place.
  fs::rename(path_ / "ca.pem", path_ / "ca.pem.new");
  ASSERT_TRUE(prepare());
  EXPECT_EQ(content("ca.pem"), authority);
  for (const char* name : {"ca.pem", "server.pem", "server-key.pem"}) fs::remove(path_ / name);
  std::ofstream(path_ / "server-key.pem.new") << "half";
  ASSERT_TRUE(prepare());
  EXPECT_NE(content("server-key.pem").find("PRIVATE KEY"), std::string::npos);
}

}  // namespace
}  // namespace penstock::server
