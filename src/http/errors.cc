#include "http/errors.h"

#include "http/json_writer.h"

#include <fmt/format.h>

#include <array>
#include <chrono>

namespace penstock::http {

namespace {

std::string with_code(ErrorCode code) {
  return fmt::format("{} (PS-{})", text(code), static_cast<unsigned>(code));
}

}  // namespace

proto::KinesisError serialization_error(std::string message) {
  return {.type = "SerializationException", .message = std::move(message)};
}

proto::KinesisError invalid_argument(std::string message) {
  return {.type = "InvalidArgumentException", .message = std::move(message)};
}

proto::KinesisError stream_not_found(std::string_view stream, std::string_view account) {
  return {.type = "ResourceNotFoundException",
          .message = fmt::format("Stream {} under account {} not found.", stream, account)};
}

proto::KinesisError shard_missing(ShardNumber shard, std::string_view stream,
                                  std::string_view account) {
  return {.type = "ResourceNotFoundException",
          .message = fmt::format("Shard {} in stream {} under account {} does not exist",
                                 proto::shard_id(shard), stream, account)};
}

proto::KinesisError shard_not_resolved(std::string_view given, std::string_view stream,
                                       std::string_view account) {
  return {.type = "ResourceNotFoundException",
          .message = fmt::format("Could not find shard {} in stream {} under account {}.", given,
                                 stream, account)};
}

proto::KinesisError hash_key_out_of_range(std::string_view given) {
  return invalid_argument(
      fmt::format("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
                  "Specified value "
                  "was {}",
                  given));
}

proto::KinesisError record_too_large(std::uint64_t bytes, std::uint64_t bytes_max,
                                     std::string_view stream, std::string_view account) {
  return invalid_argument(
      fmt::format("Data of {} bytes exceeds the maximum record size of {} bytes of stream {} under "
                  "account {}.",
                  bytes, bytes_max, stream, account));
}

proto::KinesisError iterator_invalid() { return invalid_argument("Invalid ShardIterator."); }

proto::KinesisError iterator_expired(WallMillis issued, WallMillis now) {
  return {
      .type = "ExpiredIteratorException",
      .message = fmt::format(
          "Iterator expired. The iterator was created at time {} while right now it is {} which "
          "is further in the future than the tolerated delay of 300000 milliseconds.",
          service_time(issued), service_time(now))};
}

proto::KinesisError page_token_invalid() { return invalid_argument("Invalid NextToken."); }

proto::KinesisError page_token_expired(WallMillis issued, WallMillis now) {
  return {.type = "ExpiredNextTokenException",
          .message = fmt::format(
              "NextToken expired. The token was created at time {} while right now it is {} which "
              "is further in the future than the tolerated delay of 300000 milliseconds.",
              service_time(issued), service_time(now))};
}

proto::KinesisError timestamp_in_future(std::int64_t given, std::int64_t now) {
  return invalid_argument(
      fmt::format("The timestampInMillis parameter cannot be greater than the "
                  "currentTimestampInMillis. timestampInMillis: {}, currentTimestampInMillis: {}",
                  given, now));
}

proto::KinesisError rate_exceeded(ShardNumber shard, std::string_view stream,
                                  std::string_view account) {
  char text[kRateExceededMax];
  const char* const end = write_rate_exceeded(shard, stream, account, text);
  return {.type = "ProvisionedThroughputExceededException",
          .message = std::string(static_cast<const char*>(text), end)};
}

proto::KinesisError internal_failure(ErrorCode code) {
  return {.type = "InternalFailureException", .message = with_code(code), .http_status = 500};
}

proto::KinesisError service_unavailable(ErrorCode code) {
  return {.type = "ServiceUnavailable", .message = with_code(code), .http_status = 503};
}

char* write_shard_id(ShardNumber shard, char* out) {
  constexpr std::string_view kPrefix = "shardId-";
  out = write_text(kPrefix, out);
  std::uint32_t rest = shard.raw();
  for (char* digit = out + 11; digit >= out; --digit, rest /= 10) {
    *digit = static_cast<char>('0' + rest % 10);
  }
  return out + 12;
}

char* write_rate_exceeded(ShardNumber shard, std::string_view stream, std::string_view account,
                          char* out) {
  out = write_text("Rate exceeded for shard ", out);
  out = write_shard_id(shard, out);
  out = write_text(" in stream ", out);
  out = write_text(stream, out);
  out = write_text(" under account ", out);
  out = write_text(account, out);
  return write_text(".", out);
}

std::string service_time(WallMillis time) {
  using namespace std::chrono;
  constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                     "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const sys_time<milliseconds> point{milliseconds{time.raw()}};
  const sys_days day = floor<days>(point);
  const year_month_day date{day};
  const hh_mm_ss clock{floor<seconds>(point - day)};
  return fmt::format("{} {} {:02} {:02}:{:02}:{:02} UTC {}", kDays[weekday{day}.c_encoding()],
                     kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(),
                     static_cast<int>(date.year()));
}

}  // namespace penstock::http
