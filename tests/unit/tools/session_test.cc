// Goal: each setting comes from the first place that has it. Method: an environment of our own and files
// in a temporary directory.
#include "session.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace penstock::tools {
namespace {

namespace fs = std::filesystem;

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    home_ = fs::temp_directory_path() / ("penstock-session-" + std::to_string(::getpid()));
    fs::create_directories(home_ / ".aws");
    environment_["HOME"] = home_.string();
    options_.endpoint = "http://127.0.0.1:4568";
  }
  void TearDown() override { fs::remove_all(home_); }
  void write(const fs::path& name, const char* text) const { std::ofstream(home_ / name) << text; }
  [[nodiscard]] Attempt<client::ClientOptions> resolved(std::string* ca_file = nullptr) const {
    return resolve(
        options_,
        [this](const char* name) -> std::optional<std::string> {
          const auto found = environment_.find(name);
          if (found == environment_.end()) return std::nullopt;
          return found->second;
        },
        ca_file);
  }

  fs::path home_;
  GlobalOptions options_;
  std::map<std::string, std::string> environment_;
};

// The native endpoint may be TLS where that of the API is not.
TEST_F(SessionTest, ADirectorysAuthorityIsKnownWhateverTheEndpoint) {
  write("credentials", "[default]\naws_access_key_id=D\naws_secret_access_key=d\n");
  options_.dir = home_.string();
  std::string ca_file;
  ASSERT_TRUE(resolved(&ca_file).has_value());
  EXPECT_EQ(ca_file, "");
  write("ca.pem", "");
  ASSERT_TRUE(resolved(&ca_file).has_value());
  EXPECT_EQ(ca_file, (home_ / "ca.pem").string());
}

TEST_F(SessionTest, TheEnvironmentGoesBeforeFiles) {
  write(".aws/credentials",
        "[default]\naws_access_key_id=F\naws_secret_access_key=f\nregion=file\n");
  EXPECT_EQ(resolved()->credentials.access_key, "F");
  EXPECT_EQ(resolved()->region, "file");
  environment_["AWS_ACCESS_KEY_ID"] = "E";
  environment_["AWS_SECRET_ACCESS_KEY"] = "e";
  environment_["AWS_REGION"] = "environment";
  EXPECT_EQ(resolved()->credentials.access_key, "E");
  EXPECT_EQ(resolved()->region, "environment");
}

TEST_F(SessionTest, AnOptionGoesBeforeTheEnvironment) {
  write("other", "[default]\naws_access_key_id=O\naws_secret_access_key=o\n");
  environment_["AWS_ACCESS_KEY_ID"] = "E";
  environment_["AWS_SECRET_ACCESS_KEY"] = "e";
  environment_["AWS_ENDPOINT_URL"] = "http://other:1";
  options_.credentials = (home_ / "other").string();
  EXPECT_EQ(resolved()->credentials.access_key, "O");
  EXPECT_EQ(resolved()->endpoint.url(), "http://127.0.0.1:4568");
  options_.endpoint.clear();
  EXPECT_EQ(resolved()->endpoint.url(), "http://other:1");
}

TEST_F(SessionTest, ADataDirectorySaysEverything) {
  write("credentials", "[default]\naws_access_key_id=D\naws_secret_access_key=d\nregion=r\n");
  write("config", "[default]\nregion=other\nendpoint_url=http://h:5\n");
  environment_["AWS_ACCESS_KEY_ID"] = "E";
  environment_["AWS_SECRET_ACCESS_KEY"] = "e";
  environment_["AWS_REGION"] = "environment";
  environment_["AWS_ENDPOINT_URL"] = "http://other:1";
  options_.dir = home_.string();
  options_.endpoint.clear();
  const auto found = resolved();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->credentials.access_key, "D");
  EXPECT_EQ(found->region, "r");
  EXPECT_EQ(found->endpoint.url(), "http://h:5");
}

TEST_F(SessionTest, ProfilesOfTheConfigurationFileAreRead) {
  write(".aws/config", "[profile fleet]\naws_access_key_id=P\naws_secret_access_key=p\n");
  environment_["AWS_PROFILE"] = "fleet";
  EXPECT_EQ(resolved()->credentials.access_key, "P");
}

TEST_F(SessionTest, NoCredentialsIsDeniedAndSaysWhereItLooked) {
  const auto found = resolved();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().exit, Exit::kDenied);
  EXPECT_NE(found.error().as_text().find(".aws/credentials"), std::string::npos);
}

TEST_F(SessionTest, WhatIsWrongIsSaid) {
  environment_["AWS_ACCESS_KEY_ID"] = "E";
  environment_["AWS_SECRET_ACCESS_KEY"] = "e";
  options_.timeout = "soon";
  EXPECT_EQ(resolved().error().exit, Exit::kUsage);
  options_.timeout = "1s";
  options_.endpoint = "localhost:4567";
  EXPECT_EQ(resolved().error().exit, Exit::kUsage);
  options_.endpoint = "https://localhost:4567";
  options_.ca = (home_ / "no-such.pem").string();
  const auto found = resolved();
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().as_text().find("no-such.pem"), std::string::npos);
}

}  // namespace
}  // namespace penstock::tools
