// Two data cores with a cell each and the service core's post, on one simulated disk, over restarts.
//
// Shape      core c owns cell c; the service core is core 2. Shards without limits, until a test sets some. Shard n of a stream
//            takes the hash keys whose highest two bits are n, until a test says otherwise
// Owner      one thread; time moves in `run` and `pass` alone
#pragma once

#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/sim/sim_storage.h"
#include "drivers/entropy/sim_entropy.h"
#include "drivers/sim/time.h"
#include "ingest/data_core.h"
#include "ingest/service_post.h"
#include "storage/store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace penstock::ingest {

inline constexpr StreamUid kStream{1};
inline constexpr Nanos kFarAway{INT64_MAX};

// One core's writes: held back, or failing, while the test says so.
class Gate final : public env::Disk {
 public:
  Gate(drivers::SimStorage& storage, drivers::SimDisk& disk) : storage_(storage), disk_(disk) {}
  [[nodiscard]] std::size_t depth() const override { return disk_.depth(); }
  [[nodiscard]] std::size_t submit(std::span<const env::DiskOp> ops) override {
    if (held) return 0;
    if (failing) storage_.set_rates({.write_error = 1.0});
    const std::size_t taken = disk_.submit(ops);
    storage_.set_rates({});
    return taken;
  }
  void hand_over() override { disk_.hand_over(); }
  [[nodiscard]] std::size_t reap(std::span<env::DiskDone> out) override { return disk_.reap(out); }

  bool held = false;
  bool failing = false;

 private:
  drivers::SimStorage& storage_;
  drivers::SimDisk& disk_;
};

// A put of one record for each text; record i goes to the quarter `quarters[i]` of the key space.
struct Call {
  Call(std::string name, std::vector<std::uint64_t> quarters, Nanos deadline = kFarAway,
       std::size_t bytes = 0) {
    for (std::size_t i = 0; i < quarters.size(); ++i) {
      texts.push_back(name + std::to_string(i));
      texts.back().resize(std::max(bytes, texts.back().size()), '.');
    }
    entries.resize(quarters.size());
    for (std::size_t i = 0; i < quarters.size(); ++i) {
      entries[i].record = {.key = reinterpret_cast<const std::byte*>("k"),
                           .data = reinterpret_cast<const std::byte*>(texts[i].data()),
                           .data_bytes = static_cast<std::uint32_t>(texts[i].size()),
                           .key_bytes = 1,
                           .flags = 0,
                           .hash = {(quarters[i] << 62) | i, 0}};
    }
    request.stream = kStream;
    request.entries = entries;
    request.deadline = deadline;
    request.context = this;
    request.done = [](shard::PutRequest& done, Nanos) {
      ++static_cast<Call*>(done.context)->answers;
    };
  }
  [[nodiscard]] std::size_t count(ErrorCode error) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        entries, [&](const shard::PutEntry& e) { return !e.stored && e.error == error; }));
  }
  [[nodiscard]] std::size_t stored() const {
    return static_cast<std::size_t>(std::ranges::count_if(entries, &shard::PutEntry::stored));
  }

  std::vector<std::string> texts;
  std::vector<shard::PutEntry> entries;
  shard::PutRequest request;
  int answers = 0;
};

struct Stored {
  RecordIndex index;
  WallMillis arrival;
  std::string text;
};

// Keeps every record that one read gives.
class Reading final : public storage::BatchSink {
 public:
  Taken on_batch(const storage::BatchView& batch, std::uint32_t from,
                 std::uint32_t until) override {
    Taken taken;
    for (std::uint32_t i = from; i < until; ++i) {
      const storage::RecordRef record = batch.record(i);
      records.push_back(
          {batch.first() + i, batch.arrival(),
           std::string(reinterpret_cast<const char*>(record.data), record.data_bytes)});
      ++taken.records;
      taken.bytes += record.data_bytes;
    }
    return taken;
  }
  shard::ReadRequest request;
  std::vector<Stored> records;
  int answers = 0;
};

class TwoCores {
 public:
  static constexpr std::uint16_t kCores = 2;
  static constexpr CoreId kService{kCores};

  struct Options {
    storage::JournalOptions journal;
    std::uint64_t seed = 1;
  };
  static Options defaults() {
    Options options;
    options.journal.slot_bytes = 4 * kMiB;
    options.journal.tail_bytes = 8 * kMiB;
    return options;
  }

  explicit TwoCores(const Options& options = defaults())
      : options_(options), storage(time, {}, options.seed) {
    drivers::SimVolume volume(storage);
    drivers::SimEntropy entropy(7);
    const storage::FormatOptions format{
        .cells = kCores, .slot_bytes = options.journal.slot_bytes, .slots_ahead = 2};
    EXPECT_TRUE(storage::Store::format(volume, entropy, format).has_value());
    boot();
  }
  ~TwoCores() {
    storage.kill_process();
    shut_down();
  }

  // The power goes; what is durable comes back, with the shards and the map of before.
  void cut_and_restart() {
    storage.cut_power();
    shut_down();
    storage.restart();
    boot();
    publish();
  }

  // --- Time -------------------------------------------------------------------------------------
  void turn_core(std::uint16_t core) { static_cast<void>(cores_[core]->poll(time.now(), wall())); }
  void turn_service() { static_cast<void>(office_->post(kService).deliver(time.now())); }
  // Everyone, once; no time passes.
  void turn() {
    for (std::uint16_t core = 0; core < kCores; ++core) turn_core(core);
    turn_service();
  }
  void step() {
    const auto next = storage.next_completion();
    time.advance_to(next ? std::max(*next, time.now() + 1) : time.now() + kNanosPerMilli);
    turn();
  }
  void pass(std::int64_t nanos) {
    for (const Nanos until = time.now() + nanos; time.now() < until;) {
      time.advance_to(std::min(until, time.now() + kNanosPerMilli));
      turn();
    }
  }
  template <class Condition>
  void run_until(Condition condition) {
    turn();
    for (int i = 0; i < 10'000 && !condition(); ++i) step();
    // The test ends here: what it lent to the cores goes out of scope with it.
    if (!condition()) throw std::runtime_error("nothing goes on");
  }
  void run(const Call& call) {
    run_until([&] { return call.answers > 0; });
  }
  [[nodiscard]] WallMillis wall() const { return time.wall(); }

  // --- Shards and maps --------------------------------------------------------------------------
  // Opens it in its cell; the map shows it from the next `publish` on.
  void open(std::uint32_t number, std::uint16_t cell, std::uint64_t first_quarter,
            std::uint64_t last_quarter, ShardNumber parent = route::kNoShard,
            ShardNumber adjacent_parent = route::kNoShard) {
    route::ShardRoute route;
    route.parent = parent;
    route.adjacent_parent = adjacent_parent;
    route.number = ShardNumber(number);
    route.begin = {first_quarter << 62, 0};
    route.end = last_quarter == 3 ? base::kHashKeyMax
                                  : base::previous(base::HashKey{(last_quarter + 1) << 62, 0});
    route.cell = CellId(cell);
    route.core = CoreId(cell);
    route.created_second = 1'700'000'000 + number;
    shard::CellCommand command;
    command.kind = shard::CommandKind::kOpenShard;
    command.control.range_begin[0] = route.begin.high;
    command.control.range_end[0] = route.end.high;
    command.control.range_end[1] = route.end.low;
    command.control.created_second = route.created_second;
    ASSERT_TRUE(order(command, number, cell).has_value());
    routes_.push_back(route);
  }
  // It takes no more; the map says so from the next `publish` on.
  void close(std::uint32_t number) {
    shard::CellCommand command;
    command.kind = shard::CommandKind::kCloseShard;
    ASSERT_TRUE(order(command, number, route(number).cell.raw()).has_value());
    route(number).open = false;
  }
  // The close is taken back.
  void reopen(std::uint32_t number) {
    shard::CellCommand command;
    command.kind = shard::CommandKind::kReopenShard;
    ASSERT_TRUE(order(command, number, route(number).cell.raw()).has_value());
    route(number).open = true;
  }
  Result<> order(shard::CellCommand& command, std::uint32_t number, std::uint16_t cell) {
    start(command, number, cell);
    run_until([&] { return command.context == nullptr; });
    return command.outcome;
  }
  // Its context is null when it is done.
  void start(shard::CellCommand& command, std::uint32_t number, std::uint16_t cell) {
    command.cell = CellId(cell);
    command.shard = {kStream, ShardNumber(number)};
    command.control.catalogue_version = ++version_;
    command.context = this;
    command.done = [](shard::CellCommand& done, Nanos) { done.context = nullptr; };
    service_->start(command, time.now());
  }
  [[nodiscard]] std::shared_ptr<route::RouteMap> next_map() {
    auto stream = std::make_shared<route::StreamRoute>();
    stream->uid = kStream;
    stream->name = "s";
    stream->status = route::StreamStatus::kActive;
    stream->limits = limits;
    stream->shards = routes_;
    stream->tile();
    auto map = empty_map();
    map->streams.emplace(stream->name, stream);
    return map;
  }
  [[nodiscard]] std::shared_ptr<route::RouteMap> empty_map() {
    auto map = std::make_shared<route::RouteMap>();
    map->epoch = ++epoch_;
    return map;
  }
  void publish() { publish(next_map()); }
  void publish(std::shared_ptr<route::RouteMap> map) {
    bool done = false;
    service_->publish(
        std::move(map), [](void* context, Nanos) { *static_cast<bool*>(context) = true; }, &done,
        time.now());
    run_until([&] { return done; });
  }
  // Four shards of a quarter each: 0 and 2 on core 0, 1 and 3 on core 1.
  void open_quarters() {
    for (std::uint32_t n = 0; n < 4; ++n) open(n, static_cast<std::uint16_t>(n % 2), n, n);
    publish();
  }
  // Shard 0 on core 0 takes the lower half, shard 1 on core 1 the upper one.
  void open_halves() {
    open(0, 0, 0, 1);
    open(1, 1, 2, 3);
    publish();
  }
  // What a split of shard 1 opens: shard 2 on core 0 and shard 3 on core 1.
  void open_children() {
    open(2, 0, 2, 2, ShardNumber(1));
    open(3, 1, 3, 3, ShardNumber(1));
  }

  // --- Records ----------------------------------------------------------------------------------
  void put(Call& call, std::uint16_t core) { cores_[core]->put(call.request, time.now()); }
  // From the first record that is left, asked on `core`.
  [[nodiscard]] std::vector<Stored> read(std::uint32_t number, std::uint16_t core = 0) {
    Reading reading;
    reading.request.shard = {kStream, ShardNumber(number)};
    reading.request.owner = route(number).core;
    reading.request.start = shard::ReadStart::kTrimHorizon;
    reading.request.sink = &reading;
    reading.request.context = &reading;
    reading.request.done = [](shard::ReadRequest& request, Nanos) {
      ++static_cast<Reading*>(request.context)->answers;
    };
    cores_[core]->read(reading.request, time.now());
    EXPECT_EQ(reading.answers, 0) << "never inside read";
    run_until([&] { return reading.answers > 0; });
    EXPECT_TRUE(reading.request.outcome.has_value());
    return std::move(reading.records);
  }
  [[nodiscard]] std::vector<std::string> texts(std::uint32_t number, std::uint16_t core = 0) {
    std::vector<std::string> texts;
    for (Stored& record : read(number, core)) {
      EXPECT_EQ(record.index, RecordIndex(texts.size())) << "no gaps, and from 0 on";
      texts.push_back(std::move(record.text));
    }
    return texts;
  }

  [[nodiscard]] DataCore& core(std::uint16_t core) { return *cores_[core]; }
  [[nodiscard]] Gate& gate(std::uint16_t core) { return *gates_[core]; }
  [[nodiscard]] ServicePost& service() { return *service_; }
  [[nodiscard]] shard::Cell& cell(std::uint16_t core) { return *cores_[core]->cells().front(); }
  void expect_nothing_left() {
    for (const auto& core : cores_) {
      EXPECT_EQ(core->puts_under_way(), 0U);
      EXPECT_EQ(core->reads_under_way(), 0U);
      EXPECT_FALSE(core->congested());
    }
  }

 private:
  [[nodiscard]] route::ShardRoute& route(std::uint32_t number) {
    const auto at = std::ranges::find(routes_, ShardNumber(number), &route::ShardRoute::number);
    EXPECT_NE(at, routes_.end());
    return *at;
  }
  void boot() {
    office_ = std::make_unique<runtime::PostOffice>(kCores + 1);
    volume_ = std::make_unique<drivers::SimVolume>(storage);
    auto opened = storage::Store::open(*volume_);
    ASSERT_TRUE(opened.has_value());
    store_ = std::move(*opened);
    auto cells = store_->take_cells();
    std::vector<DataCore*> peers;
    for (std::uint16_t i = 0; i < kCores; ++i) {
      disks_[2 * i] = std::make_unique<drivers::SimDisk>(storage);
      disks_[2 * i + 1] = std::make_unique<drivers::SimDisk>(storage);
      gates_[i] = std::make_unique<Gate>(storage, *disks_[2 * i]);
      const DataCore::Parts parts{CoreId(i), kService, *gates_[i], *disks_[2 * i + 1],
                                  office_->post(CoreId(i))};
      cores_[i] = std::make_unique<DataCore>(parts, kCores);
      storage::JournalOptions journal = options_.journal;
      journal.cell = CellId(i);
      cores_[i]->add_cell(journal, std::move(cells.at(i)));
      peers.push_back(cores_[i].get());
    }
    for (const auto& core : cores_) core->set_peers(peers);
    service_ = std::make_unique<ServicePost>(office_->post(kService), peers,
                                             std::vector{CoreId(0), CoreId(1)});
  }
  void shut_down() {
    for (auto& core : cores_) core.reset();
    service_.reset();
    for (auto& gate : gates_) gate.reset();
    for (auto& disk : disks_) disk.reset();
    store_.reset();
    volume_.reset();
    office_.reset();
  }

  Options options_;

 public:
  drivers::SimTime time;
  drivers::SimStorage storage;
  route::ShardLimits limits{0, 0, 0, 0};  // of the maps made from now on

 private:
  std::unique_ptr<runtime::PostOffice> office_;
  std::unique_ptr<drivers::SimVolume> volume_;
  std::unique_ptr<storage::Store> store_;
  std::array<std::unique_ptr<drivers::SimDisk>, 2 * kCores> disks_;
  std::array<std::unique_ptr<Gate>, kCores> gates_;
  std::array<std::unique_ptr<DataCore>, kCores> cores_;
  std::unique_ptr<ServicePost> service_;
  std::vector<route::ShardRoute> routes_;
  std::uint64_t epoch_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace penstock::ingest
