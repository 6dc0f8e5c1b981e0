#include "bench/records.h"

#include "base/assert.h"
#include "base/crc32c.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <random>

namespace penstock::tools::bench {
namespace {

constexpr std::size_t kSumBytes = 4;
constexpr std::size_t kNameBytes = kStampBytes - kSumBytes;  // run, producer, number

// Little-endian, as the machines that this runs on are.
std::array<std::byte, kNameBytes> name_bytes(const Stamp& stamp) {
  std::array<std::byte, kNameBytes> bytes{};
  std::memcpy(bytes.data(), &stamp.run, 4);
  std::memcpy(bytes.data() + 4, &stamp.producer, 2);
  std::memcpy(bytes.data() + 6, &stamp.number, 6);
  return bytes;
}

}  // namespace

std::uint32_t sum_of_body(std::span<const std::byte> data) {
  return base::crc32c(data.first(data.size() - kStampBytes));
}

Stamp peek_stamp(std::span<const std::byte> data) {
  const auto name = data.last(kNameBytes);
  Stamp stamp;
  std::memcpy(&stamp.run, name.data(), 4);
  std::memcpy(&stamp.producer, name.data() + 4, 2);
  std::memcpy(&stamp.number, name.data() + 6, 6);
  return stamp;
}

std::optional<Stamp> read_stamp(std::span<const std::byte> data) {
  if (data.size() < kStampBytes) return std::nullopt;
  std::uint32_t sum = 0;
  std::memcpy(&sum, data.data() + data.size() - kStampBytes, kSumBytes);
  if (base::crc32c(data.last(kNameBytes), sum_of_body(data)) != sum) return std::nullopt;
  return peek_stamp(data);
}

void write_stamp(std::span<std::byte> data, std::uint32_t body_sum, const Stamp& stamp) {
  const auto name = name_bytes(stamp);
  const std::uint32_t sum = base::crc32c(name, body_sum);
  std::byte* at = data.data() + data.size() - kStampBytes;
  std::memcpy(at, &sum, kSumBytes);
  std::memcpy(at + kSumBytes, name.data(), name.size());
}

Keys::Keys(std::uint32_t producer, std::uint32_t count) : producer_(producer), count_(count) {
  PENSTOCK_ASSERT(producer < kProducersMax);
  PENSTOCK_ASSERT(count > 0);
  PENSTOCK_ASSERT(count <= kKeysMax);
  text_.reserve(kBytes * count);
  for (std::uint32_t key = 0; key < count; ++key) {
    fmt::format_to(std::back_inserter(text_), "p{:04}-k{:09}", producer, key);
  }
}

base::HashKey Keys::hash(std::uint32_t key) const {
  // Multiples of the golden ratio lie evenly, whatever their number.
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ULL;
  return {(std::uint64_t{producer_} * kKeysMax + key + 1) * kGolden, key};
}

RecordPool::RecordPool(std::uint32_t run, std::uint16_t producer, std::size_t bytes)
    : run_(run), producer_(producer), bytes_(bytes) {
  PENSTOCK_ASSERT(bytes >= kStampBytes);
  const std::size_t count = std::clamp<std::size_t>(kPoolBytesMax / bytes, 1, kPayloads);
  payloads_.resize(count * bytes);
  std::mt19937_64 random(run + producer);
  for (std::size_t i = 0; i < count; ++i) {
    const std::span payload(payloads_.data() + i * bytes, bytes);
    for (std::size_t at = 0; at < bytes; ++at) {
      // Random and alike take turns by eight bytes.
      payload[at] = at / 8 % 2 == 0 ? static_cast<std::byte>(random()) : std::byte{'.'};
    }
    sums_.push_back(sum_of_body(payload));
  }
}

std::span<const std::byte> RecordPool::record(std::uint64_t number) {
  const std::size_t i = number % sums_.size();
  const std::span payload(payloads_.data() + i * bytes_, bytes_);
  write_stamp(payload, sums_[i], {run_, producer_, number});
  return payload;
}

}  // namespace penstock::tools::bench
