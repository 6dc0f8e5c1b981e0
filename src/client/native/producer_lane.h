// What a producer has to store in one shard: batches in order, at most eight of them without an answer,
// numbered so that the server stores each once.
//
// A refused batch takes no number, and what was sent behind it meets a gap: so after any refusal nothing is
// sent until all that is under way is answered, and then everything from the refused one on, in order. A
// batch whose answer was lost with its lane is *in doubt*: a copy of it may still reach the server. It keeps
// its bytes and its sequence until the server says what became of it; where that would number others wrongly,
// they go in a new epoch, which fences such copies.
//
// Without idempotence there are no numbers, epochs, gaps, or openings that tell: a batch in doubt is sent again, and
// it stays in doubt, also where its records go on to a child, until a copy is known to be stored.
//
// Units      times the turn's `now`
// Shape      at most kWindow batches under way
// Owner      its engine. Borrows the engine's link, which outlives it
// Allocates  batches
// Errors     each record's, through the engine
// States     Closed ─► Opening ─► Open ─► Closed (the lane has ended, or is to be opened again);
//            beside it: halted (waits for what is under way, then goes on from the first), resolving (the shard has
//            closed: opened once more to hear what is stored, then the rest is the children's)
// Source     src/proto/PROTOCOL.md §5
#pragma once

#include "client/native/link.h"
#include "client/native/producer_batch.h"
#include "penstock/producer.h"
#include "penstock/units.h"
#include "route/map.h"

#include <penstock_generated.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace penstock::client::native {

struct ProducerSettings {
  std::string stream;
  std::uint32_t batch_bytes = 64 * kKiB;
  std::uint32_t batch_records = kBatchRecordsMax;
  std::int64_t linger_nanos = 2 * kNanosPerMilli;
  std::int64_t deadline_nanos = 30 * kNanosPerSecond;
  std::uint32_t sequence_max = UINT32_MAX - 1;  // then a new epoch begins
  bool idempotent = true;
};

class ProducerEngine;

class ProducerLane final : public LaneUser {
 public:
  static constexpr std::size_t kWindow = 8;

  ProducerLane(ProducerEngine& engine, const route::ShardRoute& shard, StreamUid stream,
               std::uint64_t producer);
  ~ProducerLane() override;

  void append(NewRecord&& record, Nanos now);
  // Does what there is to do: opens, sends, settles.
  void pump(Nanos now);
  // What lingers is due.
  void flush();
  // Gives results to those whose deadline has passed; returns the next deadline.
  Nanos expire(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;

  // Ends its lane until there is something to send. False: it has none, or needs it.
  [[nodiscard]] bool rest();

  // The map says that the shard takes nothing any more.
  void on_shard_closed(Nanos now);
  // Of a shard that is closed: all that may be stored is known.
  [[nodiscard]] bool resolved() const { return resolved_; }
  // Takes what has no result, in order. REQUIRES: nothing is under way, or in doubt with idempotence.
  [[nodiscard]] std::vector<ProducerBatch> take_rest();
  // Nobody will say what became of batches in doubt; the rest has its results, too, where `others` is an error.
  void give_up_doubt();
  void fail_all(ErrorCode others);

  [[nodiscard]] const route::ShardRoute& shard() const { return shard_; }
  [[nodiscard]] bool contains(base::HashKey hash) const {
    return shard_.begin <= hash && hash <= shard_.end;
  }
  [[nodiscard]] bool idle() const { return queue_.empty() && filling_.empty(); }

  bool woken = false;  // the engine's: it stands among those that have something to do

  void on_message(const proto::DecodedMessage& message, Nanos now) override;
  void on_lane_end(transport::CloseCode code, bool lost, Nanos now) override;

 private:
  enum class State : std::uint8_t { kClosed, kOpening, kOpen };
  static constexpr std::int64_t kRetryNanos = 50 * kNanosPerMilli;
  static constexpr std::int64_t kFreedNanos =
      kNanosPerMilli;  // until another lane's end has been sent
  static constexpr std::int64_t kOverloadedNanos = kNanosPerSecond;
  // A server forgets an idle producer after 15 minutes; if it does, an opening tells nothing of what was stored.
  static constexpr std::int64_t kRememberedNanos = 600 * kNanosPerSecond;

  // producer_lane.cc
  [[nodiscard]] bool idempotent() const { return producer_ != 0; }
  void open(Nanos now);
  void leave();
  void seal();
  void send_more(Nanos now);
  [[nodiscard]] bool filling_due(Nanos now) const;
  [[nodiscard]] bool window_is_full() const;
  // Whether it can only be sent in an epoch that begins with it.
  [[nodiscard]] bool wants_epoch(const ProducerBatch& batch) const;
  // producer_answers.cc
  void on_opened(const proto::DecodedMessage& message, Nanos now);
  void on_not_opened(const proto::DecodedMessage& message, Nanos now);
  void on_stored(std::size_t at, const proto::PutResult& result);
  void on_refused(std::size_t at, const proto::DecodedMessage& message, Nanos now);
  void refuse_for_good(std::size_t at, ErrorCode code, std::uint32_t record);
  void wait(std::uint32_t retry_after_ms, Nanos now);
  // producer_settle.cc
  void take_turn(Nanos now);
  void renumber();
  void fresh_epoch();
  void become_another();
  [[nodiscard]] bool doubt_from(std::size_t at) const;
  // Whether its bytes may differ the next time.
  [[nodiscard]] bool changeable(const ProducerBatch& batch) const {
    return idempotent() ? batch.certain() : batch.request == 0;
  }
  void finish_stored(ProducerBatch batch, std::uint64_t first_index, std::int64_t arrival_ms);
  void finish_failed(ProducerBatch batch, ErrorCode code);
  [[nodiscard]] ProducerBatch extract(std::size_t at);
  // The next deadline of a record without a result.
  Nanos expire(ProducerBatch& batch, Nanos now);

  ProducerEngine& engine_;
  route::ShardRoute shard_;
  StreamUid stream_;
  std::uint64_t producer_;  // 0: without idempotence
  std::uint32_t epoch_ = 1;
  bool has_sent_ = false;  // a batch in this epoch: it is not to begin anew
  State state_ = State::kClosed;
  std::uint32_t lane_ = 0;
  std::uint64_t open_request_ = 0;
  Nanos ended_;       // when the last lane did
  Nanos not_before_;  // nothing is opened or sent earlier

  std::deque<ProducerBatch> queue_;  // those under way in front, unless halted
  ProducerBatch filling_;
  Nanos filling_since_;
  bool flushing_ = false;
  std::size_t under_way_ = 0;
  std::uint32_t stored_ = 0;  // highest sequence known to be stored in this epoch
  std::uint32_t next_sequence_ = 1;

  bool halted_ = false;
  bool reopen_ = false;     // once nothing is under way
  bool forgotten_ = false;  // the server does not know the producer
  bool resolving_ = false;
  bool resolved_ = false;
};

}  // namespace penstock::client::native
