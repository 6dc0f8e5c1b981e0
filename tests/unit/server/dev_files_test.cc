// Goal: what clients are given outlives a power cut, and is never replaced behind their backs. Method: a
// temporary directory; this program's own fsync and rename write down what was asked of the kernel.
#include "server/dev_files.h"

#include "drivers/entropy/system_entropy.h"
#include "server/certificate.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
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

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kNow = 1'798'761'600;  // 2027-01-01

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
    return prepare_files(path_.string(), "eu-west-1", "", "", "", entropy_,
                         WallMillis(now_ * 1'000));
  }
  [[nodiscard]] Validity served() const { return validity_of(content("server.pem")).value(); }
  [[nodiscard]] std::string content(const char* name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  fs::path path_;
  std::int64_t now_ = kNow;
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
  for (const char* name : {"credentials", "token.key", "server-key.pem", "ca-key.pem"}) {
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
  for (const char* name : {"ca.pem", "ca-key.pem", "server.pem", "server-key.pem"}) {
    fs::remove(path_ / name);
  }
  std::ofstream(path_ / "server-key.pem.new") << "half";
  ASSERT_TRUE(prepare());
  EXPECT_NE(content("server-key.pem").find("PRIVATE KEY"), std::string::npos);
}

TEST_F(DevFiles, ACertificateIsRenewedInTimeUnderTheSameAuthority) {
  ASSERT_TRUE(prepare());
  const std::string authority = content("ca.pem");
  const std::string key = content("server-key.pem");
  const std::string first = content("server.pem");
  EXPECT_EQ(served().until, kNow + 825 * kDay);
  now_ = kNow + (825 - 91) * kDay;
  EXPECT_EQ(prepare()->renewed, "");
  EXPECT_EQ(content("server.pem"), first);
  for (const std::int64_t days : {825 - 89, 825 - 89 + 826, 100}) {
    now_ = kNow + days * kDay;
    const std::string before = content("server.pem");
    const auto again = prepare();
    ASSERT_TRUE(again);
    EXPECT_NE(again->renewed, "") << days;
    EXPECT_EQ(again->warning, "");
    EXPECT_NE(content("server.pem"), before) << days;
    EXPECT_EQ(served().until, now_ + 825 * kDay);
    EXPECT_EQ(content("ca.pem"), authority);
    EXPECT_EQ(content("server-key.pem"), key);
  }
}

TEST_F(DevFiles, AClientThatTrustsTheFirstAuthorityTrustsTheRenewedCertificate) {
  ASSERT_TRUE(prepare());
  now_ = kNow + 10 * 365 * kDay;
  ASSERT_NE(prepare()->renewed, "");
  const auto read = [](const std::string& text) {
    BIO* const bio = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
    X509* const certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    return certificate;
  };
  X509* const authority = read(content("ca.pem"));
  X509* const server = read(content("server.pem"));
  X509_STORE* const trusted = X509_STORE_new();
  X509_STORE_add_cert(trusted, authority);
  X509_STORE_CTX* const context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, trusted, server, nullptr);
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_time(parameters, now_);
  X509_VERIFY_PARAM_set1_ip_asc(parameters, "127.0.0.1");
  EXPECT_EQ(X509_verify_cert(context), 1)
      << X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  X509_STORE_CTX_free(context);
  X509_STORE_free(trusted);
  X509_free(server);
  X509_free(authority);
}

TEST_F(DevFiles, AFirstStartIn1970GivesACertificateThatIsValidOnceTheClockIsSet) {
  now_ = 60;
  ASSERT_TRUE(prepare());
  EXPECT_LE(served().from, now_);
  EXPECT_GT(served().until, kNow);
  EXPECT_EQ(prepare()->renewed, "");
  now_ = kNow;
  EXPECT_NE(prepare()->renewed, "");
  EXPECT_EQ(served().until, kNow + 825 * kDay);
  // Back in 1970 after the next power cut: what is there is better than what this clock would make.
  now_ = 60;
  EXPECT_EQ(prepare()->renewed, "");
  EXPECT_EQ(served().until, kNow + 825 * kDay);
}

TEST_F(DevFiles, WithoutTheAuthoritysKeyTheOperatorIsTold) {
  ASSERT_TRUE(prepare());
  fs::remove(path_ / "ca-key.pem");
  EXPECT_EQ(prepare()->warning, "");
  now_ = kNow + 800 * kDay;
  const auto files = prepare();
  ASSERT_TRUE(files);
  EXPECT_NE(files->warning.find("rm -f "), std::string::npos) << files->warning;
  EXPECT_EQ(served().until, kNow + 825 * kDay);
}

}  // namespace
}  // namespace penstock::server
