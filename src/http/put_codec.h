// The fast reading of PutRecord and PutRecords bodies: one pass that finds and checks everything
// without changing a byte, then one that unescapes keys and decodes data where they lie.
//
// What the scan does not understand (members it does not know, a member given twice, an escape beyond
// the simple ones, anything that breaks a constraint) it leaves to the general path, which finds the
// body untouched and gives the service's own messages. So the scan accepts only what is certainly
// valid, and both paths must agree on that: tests/fuzz/json_request_fuzz.cc holds them to it.
//
// Shape      1..500 records; keys 1..256 characters of valid UTF-8; bodies below 4 GiB
// Owner      one core. The body belongs to the exchange and is followed by 64 readable bytes
// Allocates  never
// Errors     none: a body is understood or not
#pragma once

#include "base/hash_key.h"
#include "http/validation.h"
#include "shard/requests.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace penstock::http {

inline constexpr std::size_t kPutRecordsMax = 500;
inline constexpr std::size_t kPartitionKeyCharactersMax = 256;
inline constexpr std::size_t kStreamNameMax = 128;
inline constexpr std::size_t kStreamArnMax = 2048;
inline constexpr std::size_t kSequenceDigitsMax = 129;
inline constexpr std::uint32_t kRecordDataBytesMax = 10'485'760;  // the contract's own bound

// Where one record lies in the body: what stands between the quotes.
struct ScannedRecord {
  std::uint32_t key_at = 0;
  std::uint32_t key_characters = 0;  // bytes as sent
  std::uint32_t key_bytes = 0;       // unescaped
  std::uint32_t data_at = 0;
  std::uint32_t data_characters = 0;  // bytes as sent
  std::uint32_t data_bytes = 0;       // decoded
  bool has_key = false;
  bool has_data = false;
  bool has_hash = false;
  bool key_escaped = false;
  bool data_escaped = false;
  base::HashKey hash{};  // ExplicitHashKey
};

struct ScannedPut {
  std::string_view stream_name;  // empty: absent
  std::string_view stream_arn;
  std::string_view sequence_for_ordering;  // PutRecord
  std::uint32_t count = 0;
  std::uint32_t data_bytes_max = 0;  // of its largest record
  std::uint64_t data_bytes = 0;
  std::uint64_t key_bytes = 0;  // unescaped
};

enum class PutCall : std::uint8_t { kPutRecord, kPutRecords };

// True when the body is valid in every respect that needs no knowledge of streams; `records` then
// holds out.count of them. REQUIRES: records.size() ≥ kPutRecordsMax.
[[nodiscard]] bool scan_put(PutCall call, std::span<const char> body, ScannedPut& out,
                            std::span<ScannedRecord> records);

// The same from a body that the general path has parsed and found valid: copies what it needs over
// the body, so that one way leads on from here. `values` are those of `put_shape(call)`.
// `hash_out_of_range`: the first ExplicitHashKey that is no hash key, which fails the whole call.
void general_put(PutCall call, std::span<const Value> values, std::span<char> body, ScannedPut& out,
                 std::span<ScannedRecord> records, std::string_view& hash_out_of_range);
// Members of the two calls, in the service's order.
[[nodiscard]] std::span<const Member> put_shape(PutCall call);

// Fills entries[i].record, hash included, from a scan that succeeded; overwrites the body.
void materialise_put(std::span<char> body, std::span<const ScannedRecord> records,
                     std::span<shard::PutEntry> entries);

}  // namespace penstock::http
