#include "http/sequence_check.h"

#include <fmt/format.h>

#include <array>

namespace penstock::http {

namespace {

// 192 bits, least significant word first: the longest layout has 186.
class Wide {
 public:
  // False when it would no longer fit.
  bool append_digit(unsigned digit) {
    std::uint64_t carry = digit;
    for (std::uint64_t& word : words_) {
      __extension__ using Double = unsigned __int128;
      const Double product = static_cast<Double>(word) * 10 + carry;
      word = static_cast<std::uint64_t>(product);
      carry = static_cast<std::uint64_t>(product >> 64);
    }
    return carry == 0;
  }
  // `bits` (at most 64) from bit `from` upwards.
  [[nodiscard]] std::uint64_t field(unsigned from, unsigned bits) const {
    const unsigned word = from / 64;
    const unsigned shift = from % 64;
    std::uint64_t value = words_[word] >> shift;
    if (shift != 0 && word + 1 < words_.size()) value |= words_[word + 1] << (64 - shift);
    return bits == 64 ? value : value & ((std::uint64_t{1} << bits) - 1);
  }
  // 0 for zero.
  [[nodiscard]] unsigned bit_width() const {
    for (unsigned word = 3; word-- > 0;) {
      if (words_[word] != 0) {
        return word * 64 + 64 - static_cast<unsigned>(__builtin_clzll(words_[word]));
      }
    }
    return 0;
  }
  // REQUIRES: below 2^124.
  void add_layout_0_marker() { words_[1] |= std::uint64_t{1} << 60; }

 private:
  std::array<std::uint64_t, 3> words_{};
};

// The service's own bound, somewhere in the year 2477.
constexpr std::uint64_t kCreatedSecondEnd = 16'025'175'000;

std::int64_t signed_shard(std::uint64_t field) {
  const auto value = static_cast<std::int64_t>(field);
  return field >= 0x8000'0000U ? -value : value;
}

std::optional<GivenSequence> layout_0(const Wide& number) {
  const std::uint64_t created = number.field(88, 36);
  if (created >= kCreatedSecondEnd) return std::nullopt;
  return GivenSequence{.version = 0,
                       .shard_created_second = static_cast<std::int64_t>(created),
                       .shard = static_cast<std::int64_t>(number.field(0, 16))};
}

std::optional<GivenSequence> layout_1_or_2(const Wide& number) {
  const std::uint64_t version = number.field(0, 4);
  if (version != 1 && version != 2) return std::nullopt;
  const std::uint64_t created = number.field(148, 36);
  GivenSequence given{.version = static_cast<int>(version),
                      .shard_created_second = static_cast<std::int64_t>(created)};
  if (version == 1) {
    given.second = static_cast<std::int64_t>(number.field(100, 36));
    given.shard = static_cast<std::int64_t>(number.field(4, 32));
    return given;
  }
  given.index = number.field(80, 64);
  given.second = static_cast<std::int64_t>(number.field(36, 36));
  given.shard = signed_shard(number.field(4, 32));
  if (given.index > proto::kSequenceIndexEnd || created >= kCreatedSecondEnd) return std::nullopt;
  return given;
}

}  // namespace

std::optional<GivenSequence> parse_given_sequence(std::string_view decimal) {
  Wide number;
  for (const char digit : decimal) {
    if (!number.append_digit(static_cast<unsigned>(digit - '0'))) return std::nullopt;
  }
  const unsigned width = number.bit_width();
  if (width <= 124) number.add_layout_0_marker();
  if (width <= 128) return layout_0(number);
  // 47 hex digits of which the first is 2, and more than that digit alone.
  const bool marked = width == 186 && number.field(184, 4) == 2;
  if (!marked) return std::nullopt;
  return layout_1_or_2(number);
}

std::string given_shard_id(std::int64_t shard) {
  if (shard >= 0) return fmt::format("shardId-{:012}", shard);
  return fmt::format("shardId--{:011}", -shard);
}

proto::SequenceNumber starting_sequence(const route::ShardRoute& shard) {
  return {.shard_created_second = shard.created_second,
          .shard = shard.number,
          .index = 0,
          .second = shard.created_second};
}

proto::SequenceNumber ending_sequence(const route::ShardRoute& shard) {
  return {.shard_created_second = shard.created_second,
          .shard = shard.number,
          .index = proto::kSequenceIndexEnd,
          .second = shard.closed_ms / 1000};
}

}  // namespace penstock::http
