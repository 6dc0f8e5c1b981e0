// Goal: lines arrive whole however the bytes were cut, and a pause is told. Method: a pipe.
#include "line_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

namespace penstock::tools {
namespace {

using std::chrono::milliseconds;

class LineSourceTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(pipe(ends_), 0); }
  void TearDown() override {
    close(ends_[0]);
    end();
  }
  void write(std::string_view text) const {
    ASSERT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void end() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }
  int ends_[2] = {-1, -1};
};

TEST_F(LineSourceTest, GivesLinesAndTheUnfinishedLast) {
  write("one\r\n\ntwo");
  write(" and more\nlast");
  end();
  LineSource lines(ends_[0]);
  std::vector<std::string> got;
  std::string_view line;
  while (lines.next(line, milliseconds(1'000)) == LineSource::Got::kLine) got.emplace_back(line);
  EXPECT_EQ(got, (std::vector<std::string>{"one", "", "two and more", "last"}));
  EXPECT_EQ(lines.next(line, milliseconds(0)), LineSource::Got::kEnd);
  EXPECT_EQ(lines.error(), 0);
}

TEST_F(LineSourceTest, TellsAPauseAndGoesOnAfterIt) {
  write("half");
  LineSource lines(ends_[0]);
  std::string_view line;
  EXPECT_EQ(lines.next(line, milliseconds(1)), LineSource::Got::kIdle);
  write(" whole\n");
  ASSERT_EQ(lines.next(line, milliseconds(1'000)), LineSource::Got::kLine);
  EXPECT_EQ(line, "half whole");
}

TEST_F(LineSourceTest, TakesLinesLongerThanItsReads) {
  const std::string longer(40'000, 'x');
  write(longer);
  LineSource lines(ends_[0]);
  std::string_view line;
  EXPECT_EQ(lines.next(line, milliseconds(1)), LineSource::Got::kIdle);
  write(longer + "\nnext\n");
  ASSERT_EQ(lines.next(line, milliseconds(1'000)), LineSource::Got::kLine);
  EXPECT_EQ(line, longer + longer);
  ASSERT_EQ(lines.next(line, milliseconds(1'000)), LineSource::Got::kLine);
  EXPECT_EQ(line, "next");
}

TEST_F(LineSourceTest, AnInputThatCannotBeReadIsAnError) {
  const int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_GE(directory, 0);
  LineSource lines(directory);
  std::string_view line;
  EXPECT_EQ(lines.next(line, milliseconds(1'000)), LineSource::Got::kEnd);
  EXPECT_EQ(lines.error(), EISDIR);
  close(directory);
}

}  // namespace
}  // namespace penstock::tools
