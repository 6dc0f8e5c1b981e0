// The refusals of the front door, with the service's names and words.
//
// Source     the Kinesis contract; docs/kinesis-compatibility.md
#pragma once

#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "proto/kinesis.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::http {

[[nodiscard]] proto::KinesisError serialization_error(std::string message = {});
[[nodiscard]] proto::KinesisError invalid_argument(std::string message);
[[nodiscard]] proto::KinesisError stream_not_found(std::string_view stream,
                                                   std::string_view account);
[[nodiscard]] proto::KinesisError shard_missing(ShardNumber shard, std::string_view stream,
                                                std::string_view account);
// For text that names no shard at all.
[[nodiscard]] proto::KinesisError shard_not_resolved(std::string_view given,
                                                     std::string_view stream,
                                                     std::string_view account);
[[nodiscard]] proto::KinesisError hash_key_out_of_range(std::string_view given);
[[nodiscard]] proto::KinesisError record_too_large(std::uint64_t bytes, std::uint64_t bytes_max,
                                                   std::string_view stream,
                                                   std::string_view account);
[[nodiscard]] proto::KinesisError iterator_invalid();
[[nodiscard]] proto::KinesisError iterator_expired(WallMillis issued, WallMillis now);
[[nodiscard]] proto::KinesisError page_token_invalid();
[[nodiscard]] proto::KinesisError page_token_expired(WallMillis issued, WallMillis now);
[[nodiscard]] proto::KinesisError timestamp_in_future(std::int64_t given, std::int64_t now);
[[nodiscard]] proto::KinesisError rate_exceeded(ShardNumber shard, std::string_view stream,
                                                std::string_view account);
// What no client can mend: 500 with the service's name for it and our code in the text.
[[nodiscard]] proto::KinesisError internal_failure(ErrorCode code);
[[nodiscard]] proto::KinesisError service_unavailable(ErrorCode code);

// "Thu Jan 22 01:22:02 UTC 2015"
[[nodiscard]] std::string service_time(WallMillis time);

// 20 characters; returns the end.
char* write_shard_id(ShardNumber shard, char* out);
// "Rate exceeded for shard … in stream … under account ….", as entries of PutRecords give it.
inline constexpr std::size_t kRateExceededMax = 64 + 20 + 128 + 12;
char* write_rate_exceeded(ShardNumber shard, std::string_view stream, std::string_view account,
                          char* out);

}  // namespace penstock::http
