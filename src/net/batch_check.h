// Whether a batch that a client sent may be stored: its layout, its records' sizes and keys, and whether
// every hash is what it should be and where it should lie.
//
// Shape      1 to 10,000 records
// Allocates  never
// Errors     kMalformed, kTooLarge, kWrongShard: in the verdict, with the first record that is wrong
// Source     src/proto/PROTOCOL.md §5; src/storage/FORMAT.md §6
#pragma once

#include "base/hash_key.h"
#include "penstock/result.h"
#include "storage/batch.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace penstock::net {

// RecordEntry.flags: the hash is the client's choice, not the key's MD5.
inline constexpr std::uint16_t kExplicitHash = 1;
inline constexpr std::size_t kKeyCharactersMax = 256;

struct BatchRules {
  base::HashKey begin;  // inclusive
  base::HashKey end;    // inclusive
  std::uint32_t record_bytes_max = 0;
};

struct BatchVerdict {
  std::optional<ErrorCode> refusal;
  ErrorCode code = ErrorCode::kMalformed;
  std::string_view why;  // a literal
  std::uint32_t record = UINT32_MAX;
  storage::BatchShape shape;
  [[nodiscard]] bool good() const { return !refusal.has_value(); }
};

// REQUIRES: 64 more bytes may be read behind `flat`.
[[nodiscard]] BatchVerdict check_batch(std::span<const std::byte> flat, const BatchRules& rules);

}  // namespace penstock::net
