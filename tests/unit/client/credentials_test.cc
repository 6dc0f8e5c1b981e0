// Goal: credential files read as the AWS tools read them, and what is wrong names its line. Method:
// texts as people write them.
#include "client/credentials.h"

#include <gtest/gtest.h>

namespace penstock::client {
namespace {

TEST(Credentials, ReadsTheChosenProfileAlone) {
  const auto section = parse_profile(
      "# a comment\n[other]\naws_access_key_id=A\n\n[default]\r\naws_access_key_id = KEY\r\n"
      "aws_secret_access_key = s3=cr/et\nregion=eu-central-1\n[last]\nregion=x\n",
      "default", "credentials");
  ASSERT_TRUE(section && *section);
  const auto credentials = credentials_of(**section);
  ASSERT_TRUE(credentials);
  EXPECT_EQ(credentials->access_key, "KEY");
  EXPECT_EQ(credentials->secret_key, "s3=cr/et");
  EXPECT_EQ((*section)->at("region"), "eu-central-1");
}

TEST(Credentials, AcceptsTheConfigurationFilesHeadings) {
  const auto section =
      parse_profile("[profile fleet]\nregion = r\ns3 =\n  x = 1\n", "fleet", "config");
  ASSERT_TRUE(section && *section);
  EXPECT_EQ((*section)->at("region"), "r");
  EXPECT_FALSE((*section)->contains("x"));
}

TEST(Credentials, HalfAKeyIsNone) { EXPECT_FALSE(credentials_of({{"aws_access_key_id", "KEY"}})); }

TEST(Credentials, SaysWhichLineIsWrong) {
  const auto section =
      parse_profile("[default]\nregion = r\nnonsense\n", "default", "a/credentials");
  ASSERT_FALSE(section);
  EXPECT_NE(section.error().message.find("a/credentials:3"), std::string::npos);
  const auto heading = parse_profile("[default\n", "default", "f");
  ASSERT_FALSE(heading);
  EXPECT_NE(heading.error().message.find("f:1"), std::string::npos);
}

TEST(Credentials, AFileThatIsNotThereIsNoSection) {
  const auto section = read_profile("/nonexistent/credentials", "default");
  ASSERT_TRUE(section);
  EXPECT_FALSE(*section);
}

}  // namespace
}  // namespace penstock::client
