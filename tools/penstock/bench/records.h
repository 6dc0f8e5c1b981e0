// The records of a run: each names its run, its producer and its number, and carries a checksum over all of its
// data, so that what is read back can be judged by itself.
//
// Units      bytes of data; the key is not counted
// Shape      data of kStampBytes and more, one half of them random, the other half alike: what telemetry is after
//            encoding. Its end, little-endian:  … body │ sum 4 │ run 4 │ producer 2 │ number 6.  The sum, CRC32C, is
//            over body, run, producer and number; it does not stand last, where it would blind a CRC over the record
// Owner      a pool is one producer's
// Allocates  the pool, at once: kPayloads payloads, fewer where they would take more than kPoolBytesMax
// Source     chosen
#pragma once

#include "base/hash_key.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools::bench {

inline constexpr std::size_t kStampBytes = 16;
inline constexpr std::size_t kPayloads = 1'000;
inline constexpr std::size_t kPoolBytesMax = std::size_t{64} * 1024 * 1024;
inline constexpr std::uint32_t kProducersMax = 1'000;
inline constexpr std::uint32_t kKeysMax = 1'000'000;  // of one producer

struct Stamp {
  std::uint32_t run = 0;
  std::uint16_t producer = 0;
  std::uint64_t number = 0;  // 48 bits
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

// Nothing where the sum is not that of the data: it was damaged, or is no record of ours.
[[nodiscard]] std::optional<Stamp> read_stamp(std::span<const std::byte> data);
// The same unverified, for who has no time. REQUIRES: kStampBytes and more.
[[nodiscard]] Stamp peek_stamp(std::span<const std::byte> data);
// The checksum over `data` less its stamp; what `write_stamp` continues from.
[[nodiscard]] std::uint32_t sum_of_body(std::span<const std::byte> data);
void write_stamp(std::span<std::byte> data, std::uint32_t body_sum, const Stamp& stamp);

// A producer's keys, used in turn: record n has key n modulo `count`.
class Keys {
 public:
  static constexpr std::size_t kBytes = 16;  // "p0003-k000000017"

  Keys(std::uint32_t producer, std::uint32_t count);
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t of(std::uint64_t number) const {
    return static_cast<std::uint32_t>(number % count_);
  }
  [[nodiscard]] std::string_view text(std::uint32_t key) const {
    return {text_.data() + std::size_t{key} * kBytes, kBytes};
  }
  // Spread over all of the hash key space; the same for the same key.
  [[nodiscard]] base::HashKey hash(std::uint32_t key) const;

 private:
  std::uint32_t producer_;
  std::uint32_t count_;
  std::string text_;
};

class RecordPool {
 public:
  // REQUIRES: bytes ≥ kStampBytes.
  RecordPool(std::uint32_t run, std::uint16_t producer, std::size_t bytes);
  // The data of that record; it holds until the next call.
  [[nodiscard]] std::span<const std::byte> record(std::uint64_t number);

 private:
  std::uint32_t run_;
  std::uint16_t producer_;
  std::size_t bytes_;
  std::vector<std::byte> payloads_;  // one behind the other
  std::vector<std::uint32_t> sums_;  // of each payload's body
};

}  // namespace penstock::tools::bench
