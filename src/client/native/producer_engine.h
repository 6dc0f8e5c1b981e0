// A producer without I/O or threads: records in, results out, in between one lane for each shard that they go to.
//
// A record goes to the shard that takes its key. Where a shard has closed, its lane keeps what is not stored,
// and takes what is new for its keys, until the server has said what is stored; then all of it goes on to the
// children, in order.
//
// Units      times the turn's `now`
// Shape      lanes as shards that are written to; records until a map is there
// Owner      one thread, that of its link. Borrows Link and Maps, which outlive it
// Allocates  per batch; records amortised
// Errors     as include/penstock/producer.h
// States     Waiting for a map ─► Routing ─► Waiting …;  any ─► Fenced, Stopped: every record fails
// Source     src/proto/PROTOCOL.md §5
#pragma once

#include "client/native/link.h"
#include "client/native/maps.h"
#include "client/native/producer_lane.h"
#include "penstock/producer.h"
#include "penstock/units.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace penstock::client::native {

class ProducerEngine final : public LinkUser, public MapUser {
 public:
  // `released` hears of the bytes of each record that has its result, before its callback does. Neither may call
  // the engine.
  using Released = std::function<void(std::size_t bytes)>;

  ProducerEngine(Link& link, Maps& maps, ProducerSettings settings, Released released, Nanos now);
  ~ProducerEngine() override;
  ProducerEngine(const ProducerEngine&) = delete;
  ProducerEngine& operator=(const ProducerEngine&) = delete;

  // Puts records into batches, which leave with the next `tick`. Where `view.flags` does not say that the hash is
  // explicit, it is worked out, for so many records at once. They linger from
  // `since` on. REQUIRES: keys and data of sizes that a batch may have.
  static constexpr std::size_t kHashedTogether = 64;
  void put(std::span<NewRecord> records, Nanos since);
  // What lingers goes now, and what comes until nothing is without a result: it may have to go another way first.
  void flush(Nanos now);
  void tick(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;
  // Every record has its result now.
  void stop(ErrorCode not_sent);
  [[nodiscard]] std::size_t lanes() const { return lanes_.size(); }
  // Every record has its result.
  [[nodiscard]] bool idle() const {
    return counters_.records_put ==
           counters_.records_stored + counters_.records_failed + counters_.records_unknown;
  }
  [[nodiscard]] ProducerCounters& counters() { return counters_; }

  void on_open(Nanos now) override;
  void on_map(const std::shared_ptr<const StreamMap>& map, Nanos now) override;
  void on_no_map(ErrorCode why, Nanos now) override;

  // --- Its lanes' ----------------------------------------------------------------------------------
  [[nodiscard]] Link& link() { return link_; }
  [[nodiscard]] const ProducerSettings& settings() const { return settings_; }
  // 0 without idempotence.
  [[nodiscard]] std::uint64_t new_producer();
  // Batches that are settled lend their memory to new ones.
  [[nodiscard]] ProducerBatch spare_batch();
  void keep_spare(ProducerBatch batch);
  void finish(PutDone& done, std::size_t bytes, const Result<Stored>& result);
  // It has something to do at the end of this turn.
  void wake(ProducerLane& lane);
  void need_map(std::uint64_t epoch, Nanos now) { maps_.need(settings_.stream, epoch, now); }
  void need_newer_map(Nanos now);
  // A session has a bounded number of lanes: one that has nothing to send gives way.
  [[nodiscard]] bool free_lane(Nanos now);
  void fence(Nanos now);
  // What a record hears whose deadline passes before it is sent.
  [[nodiscard]] ErrorCode expiry() const { return expiry_; }

 private:
  static constexpr std::size_t kSpareBytesMax = 4 * kMiB;  // of all, where a batch is not larger
  static constexpr std::size_t kSparesMax = 256;
  static constexpr std::int64_t kLookAgainNanos = 10 * kNanosPerMilli;

  static void hash(std::span<NewRecord> records);
  void route(NewRecord&& record, Nanos now);
  void route_all(ProducerBatch batch, Nanos now);
  [[nodiscard]] ProducerLane& lane_of(const route::ShardRoute& shard);
  // Whether the map says so.
  [[nodiscard]] bool is_closed(const ProducerLane& lane) const;
  void abandon_lanes(Nanos now);
  // Moves on what resolved lanes have left, and lets lanes do what they have to.
  void settle(Nanos now);
  void drop_lane(ShardNumber number);
  void expire(Nanos now);

  Link& link_;
  Maps& maps_;
  ProducerSettings settings_;
  Released released_;
  ProducerCounters counters_;
  std::uint64_t producer_;
  std::shared_ptr<const StreamMap> map_;
  std::map<ShardNumber, std::unique_ptr<ProducerLane>> lanes_;
  std::vector<ProducerLane*> lane_at_;  // by position in the map's shards; null: none yet
  std::vector<ProducerLane*> closed_;   // whose shards the map says are closed, by number
  std::vector<ProducerLane*> woken_;
  // No lane is due earlier; later, perhaps. So not every turn asks every lane.
  Nanos lanes_due_{INT64_MAX};
  std::vector<ProducerBatch> spares_;
  bool flushing_ = false;
  ShardNumber rested_;      // whose lane was the last to give way
  Nanos none_to_free_;      // no lane will be before
  ProducerBatch unrouted_;  // no shard is known for them yet
  std::optional<ErrorCode> failed_;
  ErrorCode expiry_ = ErrorCode::kDeadline;
  Nanos next_expiry_{INT64_MAX};
};

}  // namespace penstock::client::native
