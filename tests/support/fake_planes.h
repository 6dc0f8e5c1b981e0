// The data cores and the control core, as a front door sees them, in memory: streams, shards and
// records in plain containers, outcomes handed out when the test lets time pass.
//
// Shape      requests are answered by `run`, in order, never inside `put`, `read` or `start`
// Owner      the test
#pragma once

#include "proto/kinesis.h"
#include "route/map.h"
#include "shard/requests.h"
#include "storage/batch.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::test {

class FakeDataPlane final : public shard::DataPlane {
 public:
  struct Record {
    std::string key;
    std::string data;
    WallMillis arrival;
    base::HashKey hash;
  };
  // As it came: the FlatBuffer, byte for byte.
  struct Batch {
    std::vector<std::byte> bytes;
    std::uint64_t first = 0;
    std::uint64_t producer = 0;
    std::uint32_t epoch = 0;
    std::uint32_t sequence = 0;
  };
  struct ShardLog {
    std::vector<Record> records;
    std::vector<Batch> batches;  // their records are in `records`, too
    std::map<std::uint64_t, storage::ProducerState> producers;
    std::uint64_t trim = 0;
    // Records [first, second) cannot be read back.
    std::optional<std::pair<std::uint64_t, std::uint64_t>> lost;
    std::optional<ErrorCode> refuse_puts;
    std::optional<ErrorCode> refuse_reads;
    std::uint64_t admit = UINT64_MAX;  // entries, before `refuse_puts` holds
  };

  explicit FakeDataPlane(WallMillis wall) : wall_(wall) { publish({}); }

  void put(shard::PutRequest& request, Nanos now) override;
  void read(shard::ReadRequest& request, Nanos now) override;
  void open_producer(shard::ProducerRequest& request, Nanos now) override;
  [[nodiscard]] const std::shared_ptr<const route::RouteMap>& routes() const override {
    return map_;
  }

  // Answers everything that was asked before this call.
  void run(Nanos now);
  // The put that came last, before all others. REQUIRES: there is one.
  void answer_newest_put(Nanos now);
  [[nodiscard]] std::size_t waiting() const {
    return puts_.size() + reads_.size() + producers_.size();
  }
  void set_wall(WallMillis wall) { wall_ = wall; }
  [[nodiscard]] WallMillis wall() const { return wall_; }

  // Streams as the catalogue makes them. Every change is in the map at once.
  void add_stream(const std::string& name, std::uint32_t shards);
  void remove_stream(const std::string& name);
  void split(const std::string& name, std::uint32_t shard, base::HashKey at);
  void merge(const std::string& name, std::uint32_t lower, std::uint32_t upper);
  // The parent is closed, and no map says so yet.
  void close_unpublished(const std::string& name, std::uint32_t shard);
  void expire_shard(const std::string& name, std::uint32_t shard);
  // Changes one stream and publishes.
  template <class Change>
  void change(const std::string& name, Change&& change) {
    route::StreamRoute stream = *map_->find(name);
    change(stream);
    store(std::move(stream));
  }
  [[nodiscard]] ShardLog& log(const std::string& name, std::uint32_t shard);

 private:
  void answer(shard::PutRequest& request, Nanos now);
  void answer(shard::ReadRequest& request, Nanos now);
  void answer(shard::ProducerRequest& request, Nanos now);
  void place(shard::PutEntry& entry, const route::StreamRoute* stream);
  void deliver(const ShardLog& log, std::uint64_t from, shard::ReadRequest& request);
  void store(route::StreamRoute stream);
  void publish(route::RouteMap map);
  static void retile(route::StreamRoute& stream);

  WallMillis wall_;
  std::shared_ptr<const route::RouteMap> map_;
  std::map<ShardKey, ShardLog> logs_;
  std::map<ShardKey, bool> closed_early_;
  std::deque<shard::PutRequest*> puts_;
  std::deque<shard::ReadRequest*> reads_;
  std::deque<shard::ProducerRequest*> producers_;
  std::uint64_t next_uid_ = 1;
};

// Carries calls out on the data plane's map; a refusal set by the test goes first.
class FakeControlPlane final : public proto::ControlPlane {
 public:
  explicit FakeControlPlane(FakeDataPlane& data) : data_(data) {}
  void start(proto::ControlRequest& request, Nanos now) override;
  void run(Nanos now);
  std::optional<proto::KinesisError> refusal;
  // The last call that was started.
  decltype(proto::ControlRequest::call) last;

 private:
  void apply(const proto::CreateStream& call) { data_.add_stream(call.name, call.shards); }
  void apply(const proto::DeleteStream& call) { data_.remove_stream(call.name); }
  void apply(const proto::SetRetention& call);
  void apply(const proto::SplitShard& call);
  void apply(const proto::MergeShards& call);

  FakeDataPlane& data_;
  std::deque<proto::ControlRequest*> started_;
};

}  // namespace penstock::test
