// Operating errors as values: `Result<T>` is a value or an `Error`.
//
// Shape      Error is 8 bytes and trivially copyable; Result<T> of an 8-byte T travels in registers
// Errors     programmer errors are assertions (base/assert.h), never an Error
// Source     include/penstock/errors.def
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace penstock {

enum class ErrorCode : std::uint16_t {
// NOLINTNEXTLINE(bugprone-macro-parentheses): an enumerator's name takes none
#define PENSTOCK_ERROR(name, number, retryable, text) name = number,
#include "penstock/errors.def"
#undef PENSTOCK_ERROR
};

struct Error {
  ErrorCode code;
  std::uint16_t site = 0;   // which place of many, where one function has many
  std::int32_t detail = 0;  // errno, an offset, a count: what the code's text calls for
  friend constexpr bool operator==(const Error&, const Error&) = default;
};
static_assert(sizeof(Error) == 8);

template <class T = void>
using Result = std::expected<T, Error>;

[[nodiscard]] constexpr std::unexpected<Error> fail(ErrorCode code, std::int32_t detail = 0,
                                                    std::uint16_t site = 0) {
  return std::unexpected(Error{code, site, detail});
}

[[nodiscard]] constexpr std::string_view text(ErrorCode code) {
  switch (code) {
#define PENSTOCK_ERROR(name, number, retryable, words) \
  case ErrorCode::name:                                \
    return words;
#include "penstock/errors.def"
#undef PENSTOCK_ERROR
  }
  return "unknown error";
}

[[nodiscard]] constexpr std::string_view name(ErrorCode code) {
  switch (code) {
#define PENSTOCK_ERROR(name, number, retryable, words) \
  case ErrorCode::name:                                \
    return #name;
#include "penstock/errors.def"
#undef PENSTOCK_ERROR
  }
  return "kUnknown";
}

[[nodiscard]] constexpr bool retryable(ErrorCode code) {
  switch (code) {
#define PENSTOCK_ERROR(name, number, can_retry, words) \
  case ErrorCode::name:                                \
    return can_retry;
#include "penstock/errors.def"
#undef PENSTOCK_ERROR
  }
  return false;
}

}  // namespace penstock
