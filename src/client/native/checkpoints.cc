// Checkpoints as text, which people may read and edit.
#include "penstock/consumer.h"
#include "proto/kinesis.h"

#include <charconv>

namespace penstock {
namespace {

constexpr std::string_view kHeading = "penstock-checkpoints 1";

// Up to the delimiter, which is gone then, too.
std::string_view cut(std::string_view& text, char delimiter) {
  const auto at = text.find(delimiter);
  const std::string_view piece = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return piece;
}

template <class Int>
bool parse_number(std::string_view text, Int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string Checkpoints::serialize() const {
  std::string text = std::string(kHeading) + "\n";
  for (const auto& [shard, point] : shards) {
    text += std::to_string(shard.raw()) + " " + std::to_string(point.next.raw());
    text += point.ended ? " end\n" : "\n";
  }
  return text;
}

Result<Checkpoints> Checkpoints::parse(std::string_view text) {
  Checkpoints checkpoints;
  std::int32_t number = 1;
  if (cut(text, '\n') != kHeading) return fail(ErrorCode::kMalformed, number);
  while (!text.empty()) {
    ++number;
    std::string_view line = cut(text, '\n');
    std::uint32_t shard = 0;
    std::uint64_t next = 0;
    const bool numbers = parse_number(cut(line, ' '), shard) && parse_number(cut(line, ' '), next);
    if (!numbers || (!line.empty() && line != "end")) return fail(ErrorCode::kMalformed, number);
    const Point point{RecordIndex(next), line == "end"};
    if (!checkpoints.shards.emplace(ShardNumber(shard), point).second) {
      return fail(ErrorCode::kMalformed, number);
    }
  }
  return checkpoints;
}

std::string Records::sequence_number(const Record& record) const {
  return proto::record_sequence(shard_created_second, shard, record.index, record.arrival)
      .decimal();
}

}  // namespace penstock
