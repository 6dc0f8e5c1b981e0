// Goal: what peers send and get, byte for byte. Method: the conversations under tests/wire/http, played
// against a front door with an echoing service. A script is lines of
//
//   # …             a remark
//   connect         a new peer; its connection is the one that the following lines speak of
//   > text          bytes to send, CRLF is added; \r \n \xNN are understood
//   >> text         the same without CRLF
//   repeat N text   bytes to send, N times
//   turn            send what was gathered and let the server work
//   piece N         the server receives at most N bytes at a time from now on
//   wait N          seconds pass
//   < text          the next line of what comes back, CRLF is expected behind it
//   << text         the next bytes of what comes back
//   answer S C text the next whole answer: its status, its Connection, and its body
//   nothing         nothing (more) has come back
//   closed, open    how the connection stands
//   end             the peer ends its side
//   drained         the server is done with everybody
//   let go          the service answers the oldest request that it holds
//   pause, resume   back-pressure from behind the front door
//   drain           the server is asked to stop
//   rejected NAME N that many refusals of this name have been counted
#include "http/front_door.h"
#include "tests/support/echo_service.h"
#include "tests/support/fake_socket.h"

#include <gtest/gtest.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace penstock::http {
namespace {

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
    } else if (const char c = text[++i]; c == 'x') {
      int value = 0;
      std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += c == 'r' ? '\r' : c == 'n' ? '\n' : c;
    }
  }
  return out;
}

class Player {
 public:
  void play(const std::filesystem::path& path) {
    std::ifstream file(path);
    ASSERT_TRUE(file.good()) << path;
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
      if (line.empty() || line[0] == '#') continue;
      SCOPED_TRACE(path.filename().string() + ":" + std::to_string(number) + ": " + line);
      step(line);
      if (testing::Test::HasFatalFailure() || testing::Test::HasFailure()) return;
    }
    flush();
    EXPECT_EQ(output_, "") << "at the end of " << path.filename();
  }

 private:
  void step(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    const std::string text = line.size() > verb.size() ? line.substr(verb.size() + 1) : "";
    if (verb == ">") {
      gathered_ += unescaped(text) + "\r\n";
    } else if (verb == ">>") {
      gathered_ += unescaped(text);
    } else if (verb == "repeat") {
      std::size_t count = 0;
      std::string what;
      words >> count >> what;
      for (std::size_t i = 0; i < count; ++i) gathered_ += unescaped(what);
    } else {
      flush();
      act(verb, text);
    }
  }

  void act(const std::string& verb, const std::string& text) {
    std::istringstream words(text);
    if (verb == "connect") {
      EXPECT_EQ(output_, "") << "unexpected before the next connection";
      output_.clear();
      peer_ = socket_.connect();
      turn();
    } else if (verb == "piece") {
      std::size_t bytes = 0;
      words >> bytes;
      socket_.set_receive_max(bytes);
    } else if (verb == "wait") {
      double seconds = 0;
      words >> seconds;
      now_ = now_ + static_cast<std::int64_t>(seconds * 1e9);
      turn();
    } else if (verb == "<") {
      expect(unescaped(text) + "\r\n");
    } else if (verb == "<<") {
      expect(unescaped(text));
    } else if (verb == "answer") {
      expect_answer(text);
    } else if (verb == "nothing") {
      EXPECT_EQ(output_, "");
    } else if (verb == "closed") {
      EXPECT_FALSE(socket_.open(peer_));
    } else if (verb == "open") {
      EXPECT_TRUE(socket_.open(peer_));
    } else if (verb == "end") {
      socket_.end(peer_);
      turn();
    } else if (verb == "let") {
      ASSERT_FALSE(service_.held.empty());
      service_.let_go(now_);
      turn();
    } else if (verb == "pause" || verb == "resume") {
      door_.pause(verb == "pause");
      turn();
    } else if (verb == "drain") {
      door_.begin_drain();
      turn();
    } else if (verb == "drained") {
      EXPECT_TRUE(door_.drained());
    } else if (verb == "rejected") {
      expect_rejected(words);
    } else {
      ASSERT_EQ(verb, "turn") << "no such verb";
    }
  }

  void flush() {
    if (!gathered_.empty()) socket_.give(peer_, gathered_);
    gathered_.clear();
    turn();
  }

  // Turns until nothing happens any more.
  void turn() {
    while (door_.poll(now_, WallMillis(1385959815'000)) > 0) now_ = now_ + 1000;
    if (peer_ != env::ConnectionId::kNone) output_ += socket_.taken(peer_);
  }

  void expect(const std::string& text) {
    ASSERT_EQ(output_.substr(0, text.size()), text);
    output_.erase(0, text.size());
  }

  void expect_answer(const std::string& text) {
    const std::size_t head_end = output_.find("\r\n\r\n");
    ASSERT_NE(head_end, std::string::npos) << "no whole answer in: " << output_;
    const std::string head = output_.substr(0, head_end + 2);
    std::istringstream words(text);
    std::string status, connection, body;
    words >> status >> connection;
    std::getline(words >> std::ws, body);
    EXPECT_EQ(head.substr(0, 12), "HTTP/1.1 " + status);
    EXPECT_NE(head.find("\r\nConnection: " + connection + "\r\n"), std::string::npos) << head;
    const std::size_t length_at = head.find("\r\nContent-Length: ");
    ASSERT_NE(length_at, std::string::npos) << head;
    const std::size_t length = std::stoul(head.substr(length_at + 18));
    ASSERT_GE(output_.size(), head_end + 4 + length);
    if (body != "...") {
      EXPECT_EQ(output_.substr(head_end + 4, length), unescaped(body));
    }
    output_.erase(0, head_end + 4 + length);
  }

  void expect_rejected(std::istringstream& words) {
    std::string name;
    std::uint64_t count = 0;
    words >> name >> count;
    for (std::size_t i = 1; i < kRejections; ++i) {
      if (describe(static_cast<Rejection>(i)).name != name) continue;
      EXPECT_EQ(door_.counters().rejected[i], count);
      return;
    }
    FAIL() << "no refusal is called " << name;
  }

  test::FakeSocket socket_;
  test::EchoService service_;
  FrontDoor door_{socket_, service_, FrontDoorOptions{}};
  env::ConnectionId peer_ = env::ConnectionId::kNone;
  std::string gathered_;
  std::string output_;
  Nanos now_{1'000 * kNanosPerSecond};
};

std::vector<std::filesystem::path> scripts() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(PENSTOCK_HTTP_SCRIPTS)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

class HttpScript : public testing::TestWithParam<std::filesystem::path> {};

std::string script_name(const testing::TestParamInfo<std::filesystem::path>& script) {
  return script.param.stem().string();
}

TEST_P(HttpScript, Plays) { Player().play(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Wire, HttpScript, testing::ValuesIn(scripts()), script_name);

}  // namespace
}  // namespace penstock::http
