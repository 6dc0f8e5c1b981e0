// One line on a terminal, written over itself. Nothing where standard error is no terminal.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace penstock::tools {

class ProgressLine {
 public:
  ProgressLine() : shown_(isatty(STDERR_FILENO) != 0) {}
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void show(const std::string& text) const {
    if (shown_) fmt::print(stderr, "\r\033[K{}", text);
  }
  void clear() const { show(""); }

 private:
  bool shown_;
};

}  // namespace penstock::tools
