// Goal: an answer is one contiguous message, whatever the sizes of its head and its body. Method:
// messages compared as text.
#include "http/response.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::http {
namespace {

TEST(Response, PutsItsHeadInFrontOfItsBody) {
  base::BufferPool pool(kMiB);
  Response response(pool);
  response.append("hello");
  EXPECT_EQ(
      response.finish({.status = 404,
                       .content_type = "text/plain",
                       .extra_headers = "a: b\r\n",
                       .date_line = "Date: now\r\n",
                       .keep_alive = false}),
      "HTTP/1.1 404 Not Found\r\nDate: now\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
      "Connection: close\r\na: b\r\n\r\nhello");
}

TEST(Response, GrowsInThePoolAndComesBack) {
  base::BufferPool pool(16 * kMiB);
  Response response(pool);
  std::string body;
  for (int i = 0; i < 20'000; ++i) {
    const std::string part = std::to_string(i) + ",";
    response.append(part);
    body += part;
  }
  EXPECT_GT(pool.used(), 0U);
  const std::string_view message =
      response.finish({.content_type = {}, .extra_headers = {}, .date_line = {}});
  EXPECT_TRUE(message.ends_with("\r\n\r\n" + body));
  EXPECT_EQ(message.find("Content-Type"), std::string_view::npos);
  response.release();
  EXPECT_EQ(pool.used(), 0U);
  EXPECT_EQ(response.size(), 0U);
}

TEST(Response, MovesItsBodyForAHeadThatIsTooLong) {
  base::BufferPool pool(kMiB);
  for (const std::size_t length : {800U, 900U, 1000U, 3000U, 9000U}) {
    Response response(pool);
    response.append(std::string(2900, 'b'));
    const std::string extra = "x: " + std::string(length, 'h') + "\r\n";
    const std::string_view message =
        response.finish({.content_type = "t", .extra_headers = extra, .date_line = "Date: d\r\n"});
    EXPECT_TRUE(message.starts_with("HTTP/1.1 200 OK\r\nDate: d\r\n")) << length;
    EXPECT_TRUE(message.ends_with(extra + "\r\n" + std::string(2900, 'b'))) << length;
  }
}

TEST(Response, GivesBackWhatItReservedInVain) {
  for (const std::size_t bytes : {5U, 50'000U, 3'000'000U}) {
    base::BufferPool pool(32 * kMiB);
    Response response(pool);
    EXPECT_TRUE(response.has_room(10 * kMiB, 8 * kMiB));
    EXPECT_FALSE(response.has_room(20 * kMiB, 10 * kMiB));
    (void)response.reserve(12 * kMiB - 1024);
    EXPECT_EQ(pool.used(), 12 * kMiB);
    const std::string body(bytes, 'b');
    response.append(body);
    const std::string_view message =
        response.finish({.content_type = {}, .extra_headers = {}, .date_line = {}});
    EXPECT_TRUE(message.ends_with("\r\n\r\n" + body)) << bytes;
    EXPECT_LE(pool.used(), 2 * bytes) << bytes;
  }
}

TEST(DateLine, IsThatOfItsSecond) {
  DateLine line;
  EXPECT_EQ(line.at(WallMillis(1385959815'999)), "Date: Mon, 02 Dec 2013 04:50:15 GMT\r\n");
  EXPECT_EQ(line.at(WallMillis(1385959816'000)), "Date: Mon, 02 Dec 2013 04:50:16 GMT\r\n");
  EXPECT_EQ(line.at(WallMillis(-5)), "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
  EXPECT_EQ(line.at(WallMillis(1709164800'000)), "Date: Thu, 29 Feb 2024 00:00:00 GMT\r\n");
}

}  // namespace
}  // namespace penstock::http
