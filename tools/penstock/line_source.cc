#include "line_source.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace penstock::tools {

bool LineSource::take(std::string_view& line) {
  auto end = buffer_.find('\n', scanned_);
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    if (!ended_ || begin_ == buffer_.size()) return false;
    end = buffer_.size();
  }
  line = std::string_view(buffer_).substr(begin_, end - begin_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  begin_ = std::min(end + 1, buffer_.size());
  scanned_ = begin_;
  return true;
}

LineSource::Got LineSource::next(std::string_view& line, std::chrono::milliseconds patience) {
  for (;;) {
    if (take(line)) return Got::kLine;
    if (ended_) return Got::kEnd;
    buffer_.erase(0, begin_);
    scanned_ -= begin_;
    begin_ = 0;
    pollfd waiting{descriptor_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(patience.count()));
    if (ready == 0) return Got::kIdle;
    if (ready < 0 && errno == EINTR) continue;
    std::array<char, 65536>
        bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by read
    const ssize_t got = ::read(descriptor_, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error_ = errno;
    if (got <= 0) {
      ended_ = true;
    } else {
      buffer_.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }
}

}  // namespace penstock::tools
