// Lines of a file or a pipe, with a note when nothing more is coming for the moment: what was collected
// should be sent then and not wait for company.
//
// Shape      a line ends with \n, or with the end of the input; \r before it is dropped
// Owner      one thread. Views hold until the next call
// Errors     read errors end the input; `error` says which
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::tools {

class LineSource {
 public:
  // Does not own the descriptor.
  explicit LineSource(int descriptor) : descriptor_(descriptor) {}

  enum class Got : std::uint8_t { kLine, kIdle, kEnd };
  // kIdle after `patience` without a whole line.
  [[nodiscard]] Got next(std::string_view& line, std::chrono::milliseconds patience);
  [[nodiscard]] int error() const { return error_; }

 private:
  [[nodiscard]] bool take(std::string_view& line);

  int descriptor_;
  int error_ = 0;
  bool ended_ = false;
  std::string buffer_;
  std::size_t begin_ = 0;    // of the next line in the buffer
  std::size_t scanned_ = 0;  // no line break before here
};

}  // namespace penstock::tools
