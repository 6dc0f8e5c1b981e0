// Goal: a response reads the same however its bytes are cut, and what is none is refused. Method: each
// conversation is fed whole, byte by byte and in pieces of three.
#include "client/http_response.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace penstock::client {
namespace {

bool feed_in_pieces(HttpResponse& response, std::string_view text, std::size_t piece) {
  while (!text.empty()) {
    if (!response.feed(text.substr(0, piece))) return false;
    text.remove_prefix(std::min(piece, text.size()));
  }
  return true;
}

struct Case {
  const char* name;
  std::string_view text;
  int status;
  std::string_view body;
  bool keep_alive;
};

TEST(HttpResponse, ReadsEveryFormInEveryCut) {
  const Case cases[] = {
      {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-amzn-RequestId: r1\r\n\r\nhello", 200,
       "hello", true},
      {"empty", "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", 200, "", true},
      {"closing", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
       400, "{}", false},
      {"old", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false},
      {"chunked",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n"
       "Trailer: t\r\n\r\n",
       200, "hello world", true},
      {"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\n!",
       503, "!", true},
  };
  for (const Case& each : cases) {
    for (const std::size_t piece : {each.text.size(), std::size_t{1}, std::size_t{3}}) {
      HttpResponse response;
      ASSERT_TRUE(feed_in_pieces(response, each.text, piece)) << each.name << " by " << piece;
      EXPECT_TRUE(response.complete()) << each.name << " by " << piece;
      EXPECT_EQ(response.status(), each.status) << each.name;
      EXPECT_EQ(response.body(), each.body) << each.name;
      EXPECT_EQ(response.keep_alive(), each.keep_alive) << each.name;
    }
  }
}

TEST(HttpResponse, IsUsedAgainAfterReset) {
  HttpResponse response;
  ASSERT_TRUE(
      response.feed("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx-amzn-RequestId: r\r\n\r\nabc"));
  EXPECT_EQ(response.request_id(), "r");
  response.reset();
  EXPECT_TRUE(response.empty());
  ASSERT_TRUE(response.feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz"));
  EXPECT_EQ(response.body(), "z");
  EXPECT_EQ(response.request_id(), "");
}

TEST(HttpResponse, IsNotCompleteBeforeItsEnd) {
  HttpResponse response;
  ASSERT_TRUE(response.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"));
  EXPECT_FALSE(response.complete());
}

TEST(HttpResponse, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy"}) {
    HttpResponse response;
    EXPECT_FALSE(response.feed(text)) << text;
  }
  HttpResponse endless;
  EXPECT_FALSE(endless.feed(std::string(70'000, 'x')));
}

TEST(HttpResponse, TellsTheTimeOfTheService) {
  const auto date_of = [](const char* header) {
    HttpResponse response;
    EXPECT_TRUE(
        response.feed(std::string("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n") + header + "\r\n"));
    return response.date();
  };
  EXPECT_EQ(date_of("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 784'111'777);
  EXPECT_EQ(date_of("Date: yesterday\r\n"), 0);
  EXPECT_EQ(date_of(""), 0);
}

}  // namespace
}  // namespace penstock::client
