// Why a command did not do what was asked, in the form every error of Penstock has: what failed; what was
// found and what was needed; the likely cause; the command that mends it; a stable number.
//
// Shape      exit codes: 1 failed, 2 usage, 3 not found, 4 unreachable or time-out, 5 denied,
//            6 conflict or precondition, 7 throttled or over quota, 8 checks found problems
#pragma once

#include "client/failure.h"
#include "penstock/result.h"

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::tools {

enum class Exit : std::uint8_t {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kUnreachable = 4,
  kDenied = 5,
  kConflict = 6,
  kThrottled = 7,
  kChecksFailed = 8,
};

// Numbers of what only a client meets; all others are those of penstock/errors.def.
inline constexpr int kNumberUsage = 5001;
inline constexpr int kNumberUnreachable = 5002;
inline constexpr int kNumberTimeout = 5003;
inline constexpr int kNumberTls = 5004;
inline constexpr int kNumberNoCredentials = 5005;
inline constexpr int kNumberProtocol = 5006;
inline constexpr int kNumberLocalFile = 5007;
inline constexpr int kNumberVerification = 5008;
inline constexpr int kNumberResult = 5009;      // a file that is no result of bench
inline constexpr int kNumberDurability = 5010;  // what is to be compared has two durability classes
inline constexpr int kNumberIncomparable =
    5011;  // it differs in scenario or load, or has no figure in common
[[nodiscard]] constexpr int number(ErrorCode code) { return static_cast<int>(code); }

struct Problem {
  Exit exit = Exit::kFailed;
  int number = 0;
  std::string what;
  std::vector<std::pair<std::string, std::string>> lines;  // label, text

  Problem& found(std::string text) { return line("found", std::move(text)); }
  Problem& needed(std::string text) { return line("needed", std::move(text)); }
  Problem& cause(std::string text) { return line("cause", std::move(text)); }
  Problem& mend(std::string text) { return line("mend", std::move(text)); }
  Problem& line(std::string label, std::string text);

  [[nodiscard]] std::string as_text() const;
  [[nodiscard]] std::string as_json() const;
};

// What a command ends with.
using Ended = std::expected<Exit, Problem>;
template <class T>
using Attempt = std::expected<T, Problem>;

[[nodiscard]] Problem usage_problem(std::string what);
// A call's failure; `what` says what was being done: "stream 'fleet' cannot be created".
[[nodiscard]] Problem problem_of(const client::Failure& failure, std::string what);

}  // namespace penstock::tools
