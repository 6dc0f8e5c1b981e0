// A consumer without I/O or threads: a reader for each shard, parents before their children.
//
// Owner      one thread, that of its link. Borrows Link and Maps, which outlive it. Handlers may stop it, but not end it
// Shape      readers as the stream has shards that it keeps
// Errors     to the handler, by shard; of the stream: route::kNoShard. What is not there is told once, after kMissedNanos:
//            it may be news that the client's map does not have yet. It is read where it comes later
// States     of a shard: Known ─► Reading (when every parent that is known is ended) ─► Ended
// Source     src/proto/PROTOCOL.md §6; the order is that of client/shard_walk.h
#pragma once

#include "client/native/link.h"
#include "client/native/maps.h"
#include "client/native/shard_reader.h"
#include "penstock/consumer.h"
#include "penstock/units.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock::client::native {

struct ConsumerSettings {
  std::string stream;
  StartAt start;
  std::vector<ShardNumber> shards;
  Checkpoints checkpoints;
  std::uint64_t credit_bytes = 4 * kMiB;
  std::uint32_t delivery_bytes = 256 * kKiB;
  bool polling = false;
  std::uint32_t poll_wait_ms = 5'000;
  std::uint32_t get_records = 10'000;
};

struct ConsumerHandlers {
  std::function<void(const Records&)> on_records;
  // How far a shard was read, behind what on_records has returned from.
  std::function<void(ShardNumber, const Checkpoints::Point&)> on_progress;
  std::function<void(ShardNumber)> on_shard_end;
  // The stream was deleted and made again: what was said of progress was of the other one.
  std::function<void()> on_new_stream;
  std::function<void()> on_caught_up;
  std::function<void(ShardNumber, const Error&)> on_problem;
};

class ConsumerEngine final : public LinkUser, public MapUser {
 public:
  ConsumerEngine(Link& link, Maps& maps, ConsumerSettings settings, ConsumerHandlers handlers,
                 Nanos now);
  ~ConsumerEngine() override;
  ConsumerEngine(const ConsumerEngine&) = delete;
  ConsumerEngine& operator=(const ConsumerEngine&) = delete;

  void tick(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;
  // No handler is called any more.
  void stop() { stopped_ = true; }
  [[nodiscard]] ConsumerCounters& counters() { return counters_; }

  void on_open(Nanos now) override { tick(now); }
  void on_map(const std::shared_ptr<const StreamMap>& map, Nanos now) override;
  void on_no_map(ErrorCode why, Nanos now) override;

  // --- Its readers' --------------------------------------------------------------------------------
  [[nodiscard]] Link& link() { return link_; }
  [[nodiscard]] const ConsumerSettings& settings() const { return settings_; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  void hand_on(const Records& records);
  void note(ShardNumber shard, std::uint64_t next, bool ended);
  void problem(ShardNumber shard, const Error& error);
  void on_end(ShardNumber shard, const std::vector<route::ShardRoute>& children, Nanos now);
  void need_newer_map(Nanos now);
  [[nodiscard]] StreamUid uid() const { return uid_; }
  // A reader has caught up.
  void check_caught_up();

 private:
  static constexpr std::int64_t kMissedNanos = kNanosPerSecond;

  void begin_anew(const StreamMap& map);
  void tell_missing();
  void add(const route::ShardRoute& shard, bool first_map);
  [[nodiscard]] bool named(ShardNumber shard) const;
  [[nodiscard]] bool wanted(const route::ShardRoute& shard) const;
  // Where to begin in a shard that has no checkpoint.
  [[nodiscard]] StartAt start_of(const route::ShardRoute& shard, bool first_map) const;
  // Known from its parent's end or from its child alone, so far.
  [[nodiscard]] bool younger_than_map(ShardNumber shard) const;
  [[nodiscard]] bool may_be_read(const ShardReader& reader) const;
  [[nodiscard]] bool follows_what_is_read(const route::ShardRoute& shard) const;

  Link& link_;
  Maps& maps_;
  ConsumerSettings settings_;
  ConsumerHandlers handlers_;
  ConsumerCounters counters_;
  std::shared_ptr<const StreamMap> map_;
  StreamUid uid_;                     // of the last map; 0: none yet
  std::vector<ShardNumber> missing_;  // of those that are named, and not told
  bool told_none_ = false;            // none of them was there
  std::optional<ErrorCode> no_map_;   // why; told
  Nanos tell_at_{INT64_MAX};          // what is not there then
  std::map<ShardNumber, std::unique_ptr<ShardReader>> readers_;
  bool stopped_ = false;
  bool caught_up_ = false;  // was told
};

}  // namespace penstock::client::native
