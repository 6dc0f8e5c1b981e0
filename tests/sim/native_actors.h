// Clients of the native protocol: producers, most of them idempotent, and subscribers, each a process of its own that is
// killed now and then, with the engines of the client library on the simulated network.
//
// Owner      one simulation
#pragma once

#include "client/native/consumer_engine.h"
#include "client/native/producer_engine.h"
#include "tests/sim/actors.h"
#include "tests/sim/native_node.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace penstock::sim {

// Puts records under keys of its own, many under way, and never again by itself: the library repeats what it
// has to. Each life is a writer of its own to the model; a quarter of them store at least once.
class NativeProducer final : public Actor {
 public:
  NativeProducer(Stage& stage, const NativeSite& site, std::uint64_t id, std::uint64_t seed);
  void poll(Nanos now, WallMillis wall) override;
  // Records without a result. Every one gets it: nobody else speaks for it.
  [[nodiscard]] bool busy() const override { return open_ > 0; }
  [[nodiscard]] Nanos next_action() const override { return next_; }
  [[nodiscard]] Nanos next_turn(bool quiet) const override;
  void lose_server() override {}  // it hears so from the network
  [[nodiscard]] std::uint64_t stored() const { return stored_; }
  [[nodiscard]] std::uint64_t put() const { return put_; }
  [[nodiscard]] std::uint64_t repeated() const { return repeated_; }
  [[nodiscard]] std::uint64_t repeated_plainly() const { return repeated_plainly_; }
  [[nodiscard]] std::uint64_t deaths() const { return deaths_; }

 private:
  static constexpr std::size_t kOpenMax = 400;

  void begin(Nanos now);
  void put_some(Nanos now);
  // What the model may expect of a life without idempotence.
  void note_leeway();
  // A life that is over may have records on their way that come behind those of the next: to the model it is another
  // writer.
  [[nodiscard]] std::uint64_t writer() const { return 1'000 * (id_ + 1) + life_; }
  // A put, on the clocks of the producer and of expiry.
  struct Call {
    Nanos deadline;
    std::int64_t retention_ms = 0;
    bool calm = false;
  };
  void told(const std::string& data, const Call& call, const Result<Stored>& result);
  void die(Nanos now);

  Stage& stage_;
  NativeSite site_;
  std::uint64_t id_;
  drivers::SimRandom random_;
  std::uint64_t life_ = 0;
  std::uint64_t counter_ = 0;
  std::size_t open_ = 0;
  std::uint64_t put_ = 0;
  std::uint64_t stored_ = 0;
  std::uint64_t repeated_ = 0;
  std::uint64_t repeated_plainly_ = 0;  // without idempotence
  std::uint64_t deaths_ = 0;
  bool dying_ = false;
  bool stopping_ = false;
  Nanos now_;
  Nanos next_;
  std::int64_t patience_ = 0;
  bool idempotent_ = true;
  std::unique_ptr<NativeNode> node_;  // null: dead until `next_`
  std::unique_ptr<client::native::ProducerEngine> engine_;
};

// Reads every shard from its horizon on, parents first; begins again where its last checkpoint was.
class NativeSubscriber final : public Actor {
 public:
  NativeSubscriber(Stage& stage, const NativeSite& site, std::uint64_t id, std::uint64_t seed);
  void poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] bool busy() const override { return false; }
  [[nodiscard]] Nanos next_action() const override { return next_; }
  [[nodiscard]] Nanos next_turn(bool quiet) const override;
  void lose_server() override {}
  [[nodiscard]] std::uint64_t deaths() const { return deaths_; }
  // Whether it has read all of these to the end.
  [[nodiscard]] bool caught_up(const std::vector<SeenShard>& shards) const;
  // What it got against what is there.
  void check(const std::vector<SeenShard>& shards);

 private:
  // Of a shard, since the checkpoint that was begun with.
  struct Progress {
    std::uint64_t next = 0;
    std::uint64_t begun = 0;  // when, in the order of events; 0: before the checkpoint
    std::uint64_t ended = 0;
    bool is_ended = false;
  };
  // Records that it was not handed: they must have expired.
  struct Missed {
    ShardNumber shard;
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };

  void begin(Nanos now);
  void die(Nanos now);
  void on_records(const Records& records);
  void on_progress(ShardNumber shard, const Checkpoints::Point& point);
  void on_end(ShardNumber shard);
  void on_problem(ShardNumber shard, const Error& error);
  // Where it is in a shard, whose record `first` comes next.
  Progress& move_to(ShardNumber shard, std::uint64_t first);
  void check_missed(const SeenShard& shard, ShardNumber number);
  void find(const std::string& text);

  Stage& stage_;
  NativeSite site_;
  std::uint64_t id_;
  drivers::SimRandom random_;
  client::native::ConsumerSettings settings_;
  std::uint64_t life_ = 0;
  std::uint64_t deaths_ = 0;
  std::uint64_t events_ = 0;
  std::map<ShardNumber, Progress> progress_;
  std::vector<Missed> missed_;
  Checkpoints points_;
  Checkpoints saved_;
  bool slow_ = false;
  Nanos next_;
  std::unique_ptr<NativeNode> node_;
  std::unique_ptr<client::native::ConsumerEngine> engine_;
};

}  // namespace penstock::sim
