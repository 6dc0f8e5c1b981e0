#include "server/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <ctime>

namespace penstock::server {
namespace {

std::string_view word(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

std::string timestamp() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03d}Z", fmt::gmtime(now.tv_sec),
                     now.tv_nsec / 1'000'000);
}

}  // namespace

std::string json_escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

void log(LogLevel level, std::string_view event, std::string_view message,
         std::initializer_list<LogField> fields) {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  std::string line;
  if (terminal) {
    line = fmt::format("{} {:7} {}", timestamp(), word(level), message);
    for (const LogField& field : fields) line += fmt::format(" {}={}", field.name, field.value);
  } else {
    line = fmt::format(R"({{"time":"{}","level":"{}","event":"{}","message":"{}")", timestamp(),
                       word(level), event, json_escaped(message));
    for (const LogField& field : fields) {
      line += fmt::format(R"(,"{}":"{}")", field.name, json_escaped(field.value));
    }
    line += '}';
  }
  line += '\n';
  // A log that cannot be written is no reason to stop, and one that nobody reads none to wait.
  pollfd out{STDERR_FILENO, POLLOUT, 0};
  if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) return;
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace penstock::server
