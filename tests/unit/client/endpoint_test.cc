// Goal: an endpoint's parts are what its text says, and nonsense is refused. Method: a table.
#include "client/endpoint.h"

#include <gtest/gtest.h>

namespace penstock::client {
namespace {

TEST(Endpoint, TakesSchemeHostAndPort) {
  const auto endpoint = Endpoint::parse("https://kinesis.example:4567/");
  ASSERT_TRUE(endpoint);
  EXPECT_TRUE(endpoint->tls);
  EXPECT_EQ(endpoint->host, "kinesis.example");
  EXPECT_EQ(endpoint->port, 4567);
  EXPECT_EQ(endpoint->authority(), "kinesis.example:4567");
}

TEST(Endpoint, KnowsTheSchemesPorts) {
  EXPECT_EQ(Endpoint::parse("http://h")->port, 80);
  EXPECT_EQ(Endpoint::parse("https://h")->port, 443);
  EXPECT_EQ(Endpoint::parse("https://h")->authority(), "h");
  EXPECT_EQ(Endpoint::parse("http://h:443")->authority(), "h:443");
}

TEST(Endpoint, TakesIpv6Literals) {
  const auto endpoint = Endpoint::parse("http://[::1]:4568");
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->host, "::1");
  EXPECT_EQ(endpoint->authority(), "[::1]:4568");
  EXPECT_EQ(endpoint->url(), "http://[::1]:4568");
}

TEST(Endpoint, RefusesWhatIsNone) {
  for (const char* text :
       {"", "localhost:4567", "ftp://h", "https://", "https://h:", "https://h:0", "https://h:99999",
        "https://h:12x", "https://h/path", "http://[::1", "http://[::1]x", "https://user@h"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

}  // namespace
}  // namespace penstock::client
