// Goal: a configuration means what it says, and a wrong one is refused with the line and the remedy.
// Method: small files, good and bad, through the parser.
#include "server/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace penstock::server {
namespace {

TEST(Config, EmptyFileIsTheDefaults) {
  const auto config = parse_config("", "penstock.toml");
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->https.port, 4567);
  EXPECT_EQ(config->cells, 4);
  EXPECT_FALSE(config->zero_copy_send);
  EXPECT_EQ(config->shard_limits.write_records, 1'000U);
}

TEST(Config, TakesEveryKind) {
  const auto config = parse_config(R"(
[node]
account = "123456789012"
[cores]
data = [0, 2, 4]
idle = "poll"
[journal]
slot_bytes = "64MiB"
[kinesis]
http = "off"
https = "[::1]:443"
[native]
zero_copy_send = true
[limits]
shard = "none"
state = "50ms"
)",
                                   "penstock.toml");
  ASSERT_TRUE(config.has_value()) << config.error().front().text();
  EXPECT_EQ(config->identity.account, "123456789012");
  EXPECT_EQ(config->data_cpus, (std::vector<std::uint32_t>{0, 2, 4}));
  EXPECT_EQ(config->idle, Idle::kPoll);
  EXPECT_EQ(config->slot_bytes, 64 * kMiB);
  EXPECT_EQ(config->http.port, 0);
  EXPECT_EQ(config->https.host, "::1");
  EXPECT_TRUE(config->zero_copy_send);
  EXPECT_EQ(config->shard_limits.write_bytes, 0U);
  EXPECT_EQ(config->state_ns, 50 * kNanosPerMilli);
}

TEST(Config, NamesTheNearestKeyWithItsPlace) {
  const auto config = parse_config("[journal]\nslot_byte = \"64MiB\"\n", "penstock.toml");
  ASSERT_FALSE(config.has_value());
  ASSERT_EQ(config.error().size(), 1U);
  const ConfigError& error = config.error().front();
  EXPECT_EQ(error.line, 2U);
  EXPECT_NE(error.needed.find("slot_bytes"), std::string::npos) << error.text();
}

TEST(Config, NamesTheNearestSection) {
  const auto config = parse_config("[kinesys]\n", "penstock.toml");
  ASSERT_FALSE(config.has_value());
  EXPECT_NE(config.error().front().needed.find("kinesis"), std::string::npos);
}

TEST(Config, ReportsEveryProblemAtOnce) {
  const auto config =
      parse_config("[cores]\nidle = \"sleep\"\n[limits]\nshards_max = 0\n", "penstock.toml");
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().size(), 2U);
}

TEST(Config, RefusesWhatDoesNotGoTogether) {
  EXPECT_FALSE(parse_config("[kinesis]\nhttp = \"0.0.0.0:80\"\n", "f").has_value());
  EXPECT_FALSE(parse_config("[admin]\nlisten = \"10.0.0.1:80\"\n", "f").has_value());
  EXPECT_FALSE(parse_config("[kinesis]\nkey_file = \"k.pem\"\n", "f").has_value());
  EXPECT_FALSE(parse_config("[cores]\ndata = [0, 1]\n[journal]\ncells = 1\n", "f").has_value());
}

TEST(Config, RefusesTwoListenersOnOnePort) {
  const auto both = [](const char* https, const char* http) {
    return parse_config(fmt::format("[kinesis]\nhttps = \"{}\"\nhttp = \"{}\"\n", https, http),
                        "f");
  };
  EXPECT_FALSE(both("127.0.0.1:80", "127.0.0.1:80").has_value());
  EXPECT_FALSE(both("0.0.0.0:80", "127.0.0.1:80").has_value());
  EXPECT_FALSE(both("[::]:80", "localhost:80").has_value());
  EXPECT_FALSE(both("localhost:80", "127.0.0.1:80").has_value());
  EXPECT_TRUE(both("10.0.0.1:80", "127.0.0.1:80").has_value());
  EXPECT_TRUE(both("127.0.0.1:80", "127.0.0.1:81").has_value());
  EXPECT_TRUE(both("off", "off").has_value());
  EXPECT_FALSE(parse_config("[native]\nlisten = \"127.0.0.1:4570\"\n", "f").has_value());
}

TEST(Config, RefusesWrongTypesAndSyntax) {
  EXPECT_FALSE(parse_config("[data]\ndirectory = 7\n", "f").has_value());
  EXPECT_FALSE(parse_config("journal = 7\n", "f").has_value());
  EXPECT_FALSE(parse_config("[journal\n", "f").has_value());
  EXPECT_FALSE(parse_config("[kinesis]\nhttps = \"here\"\n", "f").has_value());
  EXPECT_FALSE(parse_config("[kinesis]\nhttps = \"h:99999\"\n", "f").has_value());
}

TEST(Config, ReadsSizesAndDurations) {
  EXPECT_EQ(parse_size("256MiB"), 256 * kMiB);
  EXPECT_EQ(parse_size("1GB"), 1'000'000'000U);
  EXPECT_EQ(parse_size("12"), 12U);
  EXPECT_EQ(parse_size("MiB"), std::nullopt);
  EXPECT_EQ(parse_size("5 parsecs"), std::nullopt);
  EXPECT_EQ(parse_size("99999999999TiB"), std::nullopt);
  EXPECT_EQ(parse_duration("24h"), 86'400'000'000'000);
  EXPECT_EQ(parse_duration("5"), std::nullopt);
  EXPECT_EQ(parse_duration("-5s"), std::nullopt);
}

}  // namespace
}  // namespace penstock::server
