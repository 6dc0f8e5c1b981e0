// Sequence numbers that clients hand in: which layout they have, what they name, and where in a
// shard they stand.
//
// Penstock gives record i of a shard the sequence index i + 1: index 0 is the shard's own starting
// number, which no record has, so that AFTER_SEQUENCE_NUMBER of it begins at the first record.
//
// Source     the Kinesis contract: sequence numbers; layouts 0 and 1 are the service's older ones
#pragma once

#include "penstock/units.h"
#include "proto/kinesis.h"
#include "route/map.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::http {

struct GivenSequence {
  int version = 2;
  std::int64_t shard_created_second = 0;
  std::int64_t shard = 0;   // negative where the number's top bit is set, as the service reads it
  std::uint64_t index = 0;  // version 2
  std::int64_t second = 0;  // versions 1 and 2
};

// Nothing for text that is no number of any layout. REQUIRES: decimal digits only.
[[nodiscard]] std::optional<GivenSequence> parse_given_sequence(std::string_view decimal);
// "shardId-000000000007", or "shardId--00000000007" for a negative one.
[[nodiscard]] std::string given_shard_id(std::int64_t shard);

[[nodiscard]] proto::SequenceNumber starting_sequence(const route::ShardRoute& shard);
// REQUIRES: a closed shard.
[[nodiscard]] proto::SequenceNumber ending_sequence(const route::ShardRoute& shard);

// The record index at which AT_ and AFTER_SEQUENCE_NUMBER begin.
[[nodiscard]] constexpr RecordIndex index_at(std::uint64_t sequence_index) {
  return RecordIndex(sequence_index == 0 ? 0 : sequence_index - 1);
}
[[nodiscard]] constexpr RecordIndex index_after(std::uint64_t sequence_index) {
  return RecordIndex(sequence_index);
}

}  // namespace penstock::http
