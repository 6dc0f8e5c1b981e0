// Goal: the API says, byte for byte, what the Kinesis service says. Method: conversations written
// down as text files, held against the service over planes in memory.
//
// A file is a list of paragraphs, divided by empty lines. Lines that begin with '#' are notes.
//
//   @stream fleet 3                 directives: what the rest of the system does
//   ListStreams {"Limit":1}         a signed call; the body may go on in the following lines
//   200 {"StreamNames":["fleet"],…  the answer: status and body, joined from its lines
//
// In answers <any> stands for any text without quotes, and <name=> keeps such a text, which later
// paragraphs may name as <name>. <a*300> is the letter a, 300 times.
#include "tests/support/kinesis_harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace penstock {
namespace {

using test::KinesisHarness;

struct Paragraph {
  int line = 0;
  std::vector<std::string> lines;
};

std::vector<Paragraph> read_paragraphs(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::vector<Paragraph> paragraphs(1);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.starts_with('#')) continue;
    if (line.empty()) {
      if (!paragraphs.back().lines.empty()) paragraphs.emplace_back();
      continue;
    }
    if (paragraphs.back().lines.empty()) paragraphs.back().line = number;
    paragraphs.back().lines.push_back(line);
  }
  if (paragraphs.back().lines.empty()) paragraphs.pop_back();
  return paragraphs;
}

bool is_answer(const std::string& line) {
  return line.size() >= 3 && std::all_of(line.begin(), line.begin() + 3,
                                         [](unsigned char c) { return std::isdigit(c); });
}

class Conversation {
 public:
  void hold(const std::filesystem::path& path) {
    for (const Paragraph& paragraph : read_paragraphs(path)) {
      SCOPED_TRACE(path.filename().string() + ":" + std::to_string(paragraph.line));
      if (paragraph.lines[0].starts_with('@')) {
        for (const std::string& line : paragraph.lines) direct(line);
      } else {
        exchange(paragraph);
      }
      if (testing::Test::HasFatalFailure()) return;
    }
  }

 private:
  void direct(const std::string& line);
  void exchange(const Paragraph& paragraph);
  [[nodiscard]] std::string filled(const std::string& text) const;
  [[nodiscard]] bool matches(const std::string& expected, std::string_view actual);

  KinesisHarness kinesis_;
  std::map<std::string, std::string> kept_;
};

void Conversation::direct(const std::string& line) {
  std::istringstream words(line.substr(1));
  std::string verb;
  std::string stream;
  std::uint64_t number = 0;
  words >> verb;
  auto& data = kinesis_.data;
  if (verb == "stream") {
    words >> stream >> number;
    data.add_stream(stream, static_cast<std::uint32_t>(number));
  } else if (verb == "remove") {
    words >> stream;
    data.remove_stream(stream);
  } else if (verb == "advance") {
    words >> number;
    kinesis_.advance(static_cast<std::int64_t>(number));
  } else if (verb == "status") {
    std::string status;
    words >> stream >> status;
    data.change(stream, [&](route::StreamRoute& route) {
      route.status = status == "CREATING"   ? route::StreamStatus::kCreating
                     : status == "DELETING" ? route::StreamStatus::kDeleting
                     : status == "UPDATING" ? route::StreamStatus::kUpdating
                                            : route::StreamStatus::kActive;
    });
  } else if (verb == "split") {
    std::string at;
    words >> stream >> number >> at;
    data.split(stream, static_cast<std::uint32_t>(number), *base::HashKey::parse(at));
  } else if (verb == "merge") {
    std::uint32_t upper = 0;
    words >> stream >> number >> upper;
    data.merge(stream, static_cast<std::uint32_t>(number), upper);
  } else if (verb == "expire") {
    words >> stream >> number;
    data.expire_shard(stream, static_cast<std::uint32_t>(number));
  } else if (verb == "throttle") {
    words >> stream >> number;
    auto& log = data.log(stream, static_cast<std::uint32_t>(number));
    words >> log.admit;
    log.refuse_puts = ErrorCode::kThrottled;
  } else if (verb == "refuse") {
    words >> stream >> number;
    auto& log = data.log(stream, static_cast<std::uint32_t>(number));
    log.admit = 0;
    log.refuse_puts = ErrorCode::kJournalFull;
  } else if (verb == "throttle-reads") {
    words >> stream >> number;
    data.log(stream, static_cast<std::uint32_t>(number)).refuse_reads = ErrorCode::kThrottled;
  } else if (verb == "lose") {
    std::uint64_t from = 0;
    std::uint64_t until = 0;
    words >> stream >> number >> from >> until;
    data.log(stream, static_cast<std::uint32_t>(number)).lost = {from, until};
  } else {
    FAIL() << "no such directive: " << line;
  }
}

// Replaces <name> by what was kept and <a*3> by aaa.
std::string Conversation::filled(const std::string& text) const {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t open = text.find('<', at);
    const std::size_t close = open == std::string::npos ? open : text.find('>', open);
    if (close == std::string::npos) return out + text.substr(at);
    out += text.substr(at, open - at);
    const std::string inside = text.substr(open + 1, close - open - 1);
    const std::size_t star = inside.find('*');
    if (star != std::string::npos && star > 0) {
      const int times = std::stoi(inside.substr(star + 1));
      for (int i = 0; i < times; ++i) out += inside.substr(0, star);
    } else if (const auto found = kept_.find(inside); found != kept_.end()) {
      out += found->second;
    } else {
      out += "<" + inside + ">";
    }
    at = close + 1;
  }
  return out;
}

bool Conversation::matches(const std::string& expected, std::string_view actual) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < expected.size();) {
    const std::size_t close = expected[i] == '<' ? expected.find('>', i) : std::string::npos;
    if (close == std::string::npos) {
      if (at >= actual.size() || actual[at] != expected[i]) return false;
      ++at;
      ++i;
      continue;
    }
    const std::size_t end = std::min(actual.find('"', at), actual.size());
    std::string name = expected.substr(i + 1, close - i - 1);
    if (name.ends_with('=')) {
      name.pop_back();
      kept_[name] = std::string(actual.substr(at, end - at));
    }
    at = end;
    i = close + 1;
  }
  return at == actual.size();
}

void Conversation::exchange(const Paragraph& paragraph) {
  const auto answer = std::find_if(paragraph.lines.begin(), paragraph.lines.end(), is_answer);
  ASSERT_NE(answer, paragraph.lines.end()) << "a call without its answer";
  std::string call;
  for (auto line = paragraph.lines.begin(); line != answer; ++line) call += *line;
  std::string expected;
  for (auto line = answer; line != paragraph.lines.end(); ++line) expected += *line;
  call = filled(call);
  expected = filled(expected);
  const std::size_t space = call.find(' ');
  ASSERT_NE(space, std::string::npos);
  const test::Answer given = kinesis_.call(call.substr(0, space), call.substr(space + 1));
  EXPECT_EQ(std::to_string(given.status), expected.substr(0, 3)) << given.body;
  const std::string body = expected.size() > 4 ? expected.substr(4) : "";
  EXPECT_TRUE(matches(body, given.body)) << "given:    " << given.body << "\nexpected: " << body;
}

class KinesisVectors : public testing::TestWithParam<std::string> {};

TEST_P(KinesisVectors, AreHeld) {
  Conversation conversation;
  conversation.hold(std::filesystem::path(PENSTOCK_VECTORS) / (GetParam() + ".txt"));
}

INSTANTIATE_TEST_SUITE_P(Files, KinesisVectors,
                         testing::Values("streams", "types", "constraints", "shards", "put",
                                         "iterators", "records", "control"),
                         [](const auto& parameter) { return parameter.param; });

}  // namespace
}  // namespace penstock
