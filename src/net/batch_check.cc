#include "net/batch_check.h"

#include "route/md5.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace penstock::net {
namespace {

constexpr std::size_t kHashedTogether = 8;
constexpr std::size_t kBatchBytesMax = 16 * kMiB - 128;
// What a FlatBuffer may have besides its records' entries, keys and data. Ours has 64; others' builders may lay it
// out in more, but not hide anything to speak of.
constexpr std::size_t kFrameBytesMax = 1024;

BatchVerdict refused(ErrorCode code, std::string_view why, std::uint32_t record) {
  return {.refusal = code, .code = code, .why = why, .record = record, .shape = {}};
}

// Keys are short: eight bytes at a time need no more than a few instructions.
bool is_ascii(const std::byte* text, std::size_t bytes) {
  std::uint64_t all = 0;
  std::uint64_t word;
  for (; bytes >= sizeof(word); text += sizeof(word), bytes -= sizeof(word)) {
    std::memcpy(&word, text, sizeof(word));
    all |= word;
  }
  for (; bytes > 0; ++text, --bytes) all |= static_cast<std::uint64_t>(*text);
  return (all & 0x8080808080808080U) == 0;
}

// Of UTF-8: all bytes but continuations.
std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// 1 to 256 characters of UTF-8.
bool is_key(const std::byte* key, std::size_t bytes) {
  if (bytes == 0) return false;
  const char* const text = reinterpret_cast<const char*>(key);
  if (is_ascii(key, bytes)) return bytes <= kKeyCharactersMax;
  return bytes <= 4 * kKeyCharactersMax && simdjson::validate_utf8(text, bytes) &&
         characters({text, bytes}) <= kKeyCharactersMax;
}

// Keys whose hashes are to be their MD5: eight at a time.
class Hashed {
 public:
  // The first record whose hash is wrong; none so far.
  [[nodiscard]] std::optional<std::uint32_t> add(const storage::RecordRef& record,
                                                 std::uint32_t at) {
    keys_[count_] = {record.key, record.key_bytes};
    given_[count_] = record.hash;
    at_[count_] = at;
    return ++count_ == kHashedTogether ? check() : std::nullopt;
  }
  [[nodiscard]] std::optional<std::uint32_t> check() {
    std::array<base::HashKey, kHashedTogether> hashes;
    const std::size_t count = std::exchange(count_, 0);
    route::md5_readable(std::span(keys_).first(count), std::span(hashes).first(count));
    for (std::size_t i = 0; i < count; ++i) {
      if (hashes[i] != given_[i]) return at_[i];
    }
    return std::nullopt;
  }

 private:
  std::array<route::KeyRef, kHashedTogether> keys_;
  std::array<base::HashKey, kHashedTogether> given_;
  std::array<std::uint32_t, kHashedTogether> at_{};
  std::size_t count_ = 0;
};

constexpr std::string_view kWrongHash =
    "the hash is not the MD5 of the partition key, and is not marked as explicit";

struct Fault {
  ErrorCode code;
  std::string_view why;
};

// All but whether the hash is the key's.
std::optional<Fault> fault_of(const storage::RecordRef& record, const BatchRules& rules) {
  if ((record.flags & ~kExplicitHash) != 0) {
    return Fault{ErrorCode::kMalformed, "an unknown flag is set"};
  }
  if (!is_key(record.key, record.key_bytes)) {
    return Fault{ErrorCode::kMalformed, "a partition key has 1 to 256 characters of UTF-8"};
  }
  if (record.data_bytes > rules.record_bytes_max) {
    return Fault{ErrorCode::kTooLarge, "the data exceeds the stream's record limit"};
  }
  if (record.hash < rules.begin || rules.end < record.hash) {
    return Fault{ErrorCode::kWrongShard, "the hash lies outside of the shard's range"};
  }
  return std::nullopt;
}

}  // namespace

BatchVerdict check_batch(std::span<const std::byte> flat, const BatchRules& rules) {
  if (flat.size() > kBatchBytesMax) {
    return refused(ErrorCode::kTooLarge, "a batch has at most 16 MiB - 128", UINT32_MAX);
  }
  const Result<storage::BatchShape> shape = storage::verify_batch(flat);
  if (!shape) {
    return refused(shape.error().code,
                   "the batch does not verify, or its records' ranges do not tile its bytes",
                   UINT32_MAX);
  }
  const std::size_t meant = shape->count * storage::kRecordEntryBytes + shape->payload_bytes;
  if (flat.size() > meant + kFrameBytesMax) {
    return refused(ErrorCode::kMalformed, "the batch holds more than its records", UINT32_MAX);
  }
  Hashed hashed;
  for (std::uint32_t i = 0; i < shape->count; ++i) {
    const storage::RecordRef record = storage::record_of(*shape, i);
    const std::optional<Fault> fault = fault_of(record, rules);
    if (fault) {
      // One before it may be wrong, too, and is to be named then.
      if (const auto wrong = hashed.check()) {
        return refused(ErrorCode::kMalformed, kWrongHash, *wrong);
      }
      return refused(fault->code, fault->why, i);
    }
    if ((record.flags & kExplicitHash) != 0) continue;
    if (const auto wrong = hashed.add(record, i)) {
      return refused(ErrorCode::kMalformed, kWrongHash, *wrong);
    }
  }
  if (const auto wrong = hashed.check()) return refused(ErrorCode::kMalformed, kWrongHash, *wrong);
  BatchVerdict verdict;
  verdict.shape = *shape;
  return verdict;
}

}  // namespace penstock::net
