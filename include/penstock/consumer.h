// Reads a stream: every shard from a position on, those of a key in the order in which they were stored,
// a shard's parents before it, over lost connections and splits.
//
// Units      sizes in bytes; a record's index counts in its shard from 0; times in milliseconds since 1970 UTC
// Shape      a subscription a shard, on a lane of its own, of which a client has 8,192 (client.h): more shards at once
//            want more clients; `credit_bytes` at most are on their way or wait for the callback, of each
// Owner      ConsumerOptions::on_records is called on the client's thread; its views hold until it returns. The rest may
//            be called from any thread
// Allocates  per delivery, not per record
// Errors     to on_problem: kDataLoss (reading goes on behind it); kNotFound (the stream, or a shard that was
//            named, is not there: it is read where it comes later; or what was left of a shard has expired); kOverloaded (a shard has had no lane for 5 s: it is
//            read when another gives one up); kDenied. A lost connection is none: reading resumes with the next record
// States     of a shard: Waiting for its parents ─► Reading ─► Ended (closed, and read to its end)
// Source     src/proto/PROTOCOL.md §6
#pragma once

#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

struct Record {
  std::string_view key;
  std::span<const std::byte> data;
  RecordIndex index;
  WallMillis arrival;
  std::uint64_t hash_high = 0;
  std::uint64_t hash_low = 0;
};

// Records of one shard, in order, without a gap to those before them.
struct Records {
  ShardNumber shard;
  std::int64_t shard_created_second = 0;
  std::span<const Record> records;
  RecordIndex next;                // behind the last: what a checkpoint takes
  std::int64_t millis_behind = 0;  // how far the last of them is from the shard's end
  [[nodiscard]] std::string sequence_number(const Record& record) const;
};

// Where to begin in a shard.
struct StartAt {
  enum class Kind : std::uint8_t { kHorizon, kLatest, kIndex, kTime };
  Kind kind = Kind::kHorizon;
  RecordIndex index;
  WallMillis time;
};

// How far each shard was read. The application stores it; begun with again, reading goes on there.
struct Checkpoints {
  struct Point {
    RecordIndex next;
    bool ended = false;  // closed, and read to its end
    friend bool operator==(const Point&, const Point&) = default;
  };
  std::map<ShardNumber, Point> shards;

  // "penstock-checkpoints 1", then a line for each shard: its number, next index, "end" where it is ended.
  [[nodiscard]] std::string serialize() const;
  // kMalformed
  [[nodiscard]] static Result<Checkpoints> parse(std::string_view text);
};

struct ConsumerOptions {
  // Of shards that have no checkpoint and whose parents have none; children of shards that are read begin at their
  // first record.
  StartAt start;
  // Begin with these alone, and follow their children. Empty: with all that the stream has. Of one that has not been
  // there for a second on_problem hears kNotFound, once.
  std::vector<ShardNumber> shards;
  Checkpoints checkpoints;
  std::uint64_t credit_bytes = 4 * kMiB;      // of a shard, ahead of the callback
  std::uint32_t delivery_bytes = 256 * kKiB;  // aimed at, of one delivery
  // Ask with Get, again and again, instead of a subscription.
  bool polling = false;
  std::chrono::milliseconds poll_wait{5'000};  // how long such a Get waits for records
  std::function<void(const Records&)> on_records;
  std::function<void(ShardNumber)> on_shard_end;
  // Once: every shard that it reads was handed on to its end, or up to what was its newest record then. Not where it
  // reads none, since those that were named are not there.
  std::function<void()> on_caught_up;
  // ShardNumber(UINT32_MAX): of the stream.
  std::function<void(ShardNumber, const Error&)> on_problem;
};

struct ConsumerCounters {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  // of deliveries
  std::uint64_t deliveries = 0;
  std::uint64_t subscriptions = 0;  // opened, also again
  std::uint64_t shards_ended = 0;
};

class Consumer {
 public:
  ~Consumer();  // stops
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  // Behind all that on_records has returned from.
  [[nodiscard]] Checkpoints checkpoints() const;
  [[nodiscard]] ConsumerCounters counters() const;
  // No callback runs any more when it returns, but for the one that calls it.
  void stop();

  struct Impl;
  explicit Consumer(std::shared_ptr<Impl> impl);

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace penstock
