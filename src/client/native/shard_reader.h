// Reads one shard: by a subscription whose credit it keeps up, or by one Get after the other; from the next record
// on, however often the connection is lost.
//
// Units      bytes of messages; times the turn's `now`
// Shape      `credit` bytes at most are on their way, or one Delivery where that is more
// Owner      its engine
// Allocates  a list of views, which grows to the largest delivery
// Errors     told to the engine; kOverloaded where there was no lane for it for kLanelessNanos, once until there is one
// States     Idle ─► Opening ─► Reading ─► Ended;  Opening, Reading ─► Idle when the lane ends, to be opened again
// Source     src/proto/PROTOCOL.md §6
#pragma once

#include "client/native/link.h"
#include "penstock/consumer.h"
#include "penstock/units.h"
#include "route/map.h"

#include <penstock_generated.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace penstock::client::native {

class ConsumerEngine;

class ShardReader final : public LaneUser {
 public:
  ShardReader(ConsumerEngine& engine, const route::ShardRoute& shard, const StartAt& start);
  ~ShardReader() override;

  void pump(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;
  // Its end was read before, or there is nothing to read in it.
  void skip() { state_ = State::kEnded; }
  // The stream has no such shard any more.
  void vanish(Nanos now);
  [[nodiscard]] bool ended() const { return state_ == State::kEnded; }
  // Once there was nothing behind what was handed on.
  [[nodiscard]] bool caught_up() const { return caught_up_; }
  [[nodiscard]] const route::ShardRoute& shard() const { return shard_; }

  void on_message(const proto::DecodedMessage& message, Nanos now) override;
  void on_lane_end(transport::CloseCode code, bool lost, Nanos now) override;

 private:
  enum class State : std::uint8_t { kIdle, kReading, kEnded };
  static constexpr std::int64_t kRetryNanos = 100 * kNanosPerMilli;
  static constexpr std::int64_t kOverloadedNanos = kNanosPerSecond;
  static constexpr std::int64_t kLanelessNanos = 5 * kNanosPerSecond;
  static constexpr std::uint64_t kCreditMax = 32 * kMiB;  // two of the largest messages

  void open(Nanos now);
  // There are as many lanes as the session, or the server, takes.
  void go_without_lane(std::int64_t retry_nanos, Nanos now);
  void subscribe();
  void get();
  void leave();
  void on_failed(const proto::DecodedMessage& message, Nanos now);
  // Hands on the records [from, next) that the batches hold.
  void deliver(std::span<const std::byte> batches, std::uint64_t from, std::uint64_t next,
               std::int64_t millis_behind);
  void end(const flatbuffers::Vector<flatbuffers::Offset<proto::Shard>>* children, Nanos now);
  [[nodiscard]] proto::Position position() const;

  ConsumerEngine& engine_;
  route::ShardRoute shard_;
  StartAt start_;
  std::optional<std::uint64_t>
      next_;  // the next record's index; before the first answer only `start_` says it
  State state_ = State::kIdle;
  std::uint32_t lane_ = 0;
  Nanos not_before_;
  std::optional<Nanos> tell_laneless_;  // that it has no lane, then; INT64_MAX: was told
  bool asked_ = false;                  // a Get has no answer yet
  bool caught_up_ = false;
  std::uint64_t credit_;
  std::uint64_t taken_ = 0;  // bytes of messages on this lane
  std::vector<Record> records_;
};

}  // namespace penstock::client::native
