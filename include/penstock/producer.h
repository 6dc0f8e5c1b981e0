// Puts records into one stream: each is stored once, those of a key in the order of the calls, over lost
// connections, restarts, refusals and splits of shards; and each gets a result. Without idempotence
// (ProducerOptions::idempotent) each is stored at least once, and what is sent again may change its place.
//
// Units      sizes in bytes; durations as std::chrono has them
// Shape      a key of 1 to 256 characters of UTF-8; data up to the stream's limit, 10 MiB at most; batches as
//            ProducerOptions says, eight of a shard under way
// Owner      any thread may call `put`; results come on the client's thread, one at a time. A result's callback must not
//            wait. `put` copies key and data
// Allocates  per record only what its key, data and callback take (amortised); per batch a few times
// Errors     of a record: kUnknownOutcome: nobody knows; kSequenceOld: it is stored, but nobody knows where. All others
//            mean that it is not stored: kDeadline, kMalformed, kTooLarge, kNotFound (no such stream), kProducerFenced,
//            kStopping (the producer ends)
// States     of a record: Buffered ─► Batched ─► Under way ─► has its result;  back to Batched when it was refused
// Source     src/proto/PROTOCOL.md §5
#pragma once

#include "penstock/ids.h"
#include "penstock/result.h"
#include "penstock/units.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace penstock {

struct ProducerOptions {
  // A batch goes when it has so many bytes (at most 16 MiB - 128) or records (at most 10,000), or is so old;
  // 0: at once, or within a millisecond where many come.
  std::uint32_t batch_bytes = 64 * kKiB;
  std::uint32_t batch_records = 10'000;
  std::chrono::microseconds linger{2'000};
  // What `put` has taken and has no result yet.
  std::uint64_t buffered_bytes_max = 64 * kMiB;
  std::chrono::milliseconds deadline{30'000};  // of a record, from when the client's thread has it
  // False: the server keeps nothing of this producer, of which it knows a bounded number in each of its cells
  // (kProducersFull), and there is no epoch that it has to make durable before the first record of a shard. What it
  // refuses for the moment, or gives no answer to, is sent again until the deadline. So a record may be stored more
  // than once: wherever a connection or the server is lost between the sending and the answer. And those of a key keep
  // their order only until a batch is sent again: what was sent behind it may be stored in front of it.
  bool idempotent = true;
};

// Where a record is.
struct Stored {
  ShardNumber shard;
  RecordIndex index;
  WallMillis arrival;
  std::int64_t shard_created_second = 0;
  // As the Kinesis API writes it: 56 digits.
  [[nodiscard]] std::string sequence_number() const;
};
using PutDone = std::move_only_function<void(const Result<Stored>&)>;

// Where in the hash key space a record goes, if not to the MD5 of its key.
struct ExplicitHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
};

struct ProducerCounters {
  std::uint64_t records_put = 0;  // taken
  std::uint64_t records_stored = 0;
  std::uint64_t records_failed = 0;   // not stored
  std::uint64_t records_unknown = 0;  // kUnknownOutcome
  std::uint64_t batches_sent = 0;     // each sending counts
  // The server had them already; without idempotence: sent again, though the server may have them.
  std::uint64_t batches_repeated = 0;
  std::uint64_t batches_throttled = 0;
  std::uint64_t batches_refused = 0;  // for any other reason
  std::uint64_t lanes_opened = 0;
  std::uint64_t buffered_bytes = 0;
};

class Producer {
 public:
  using Bytes = std::span<const std::byte>;

  // What has no result gets one: kStopping (not sent) or kUnknownOutcome. `flush` first.
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // Waits while `buffered_bytes_max` is reached, and while the client's thread has a MiB to batch first, but not on that
  // thread. An error: the record was not taken, and
  // `done` is not called; kMalformed, kTooLarge, kOverloaded, kStopping.
  [[nodiscard]] Result<> put(std::string_view key, Bytes data, PutDone done,
                             std::optional<ExplicitHash> hash = std::nullopt);
  // Never waits: kOverloaded.
  [[nodiscard]] Result<> try_put(std::string_view key, Bytes data, PutDone done,
                                 std::optional<ExplicitHash> hash = std::nullopt);
  [[nodiscard]] std::future<Result<Stored>> put(std::string_view key, Bytes data);
  // Sends what lingers, and waits until nothing is without a result, also what others put meanwhile. From a
  // callback it does not wait.
  void flush();
  [[nodiscard]] ProducerCounters counters() const;

  struct Impl;
  explicit Producer(std::shared_ptr<Impl> impl);

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace penstock
