// Structured log lines: one JSON object a line on standard error, or plain text where that is a
// terminal. Control code only; no data core ever logs.
//
// Owner      any thread; one line is one write(2)
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

namespace penstock::server {

struct LogField {
  std::string_view name;
  std::string value;
};

enum class LogLevel : std::uint8_t { kInfo, kWarning, kError };

// `event` is a stable name such as "recovery_finished"; `message` is for people.
void log(LogLevel level, std::string_view event, std::string_view message,
         std::initializer_list<LogField> fields = {});

// Where events go: `log`, or a test's memory. Empty: nowhere.
using LogSink = std::function<void(LogLevel level, std::string_view event, std::string_view message,
                                   std::initializer_list<LogField> fields)>;

// `text` as the inside of a JSON string.
[[nodiscard]] std::string json_escaped(std::string_view text);

}  // namespace penstock::server
