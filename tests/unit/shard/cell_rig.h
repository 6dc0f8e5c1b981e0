// One cell on the simulated disk, over restarts; it keeps what the cell hands back.
#pragma once

#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/sim/sim_storage.h"
#include "drivers/entropy/sim_entropy.h"
#include "drivers/sim/time.h"
#include "runtime/disk_queue.h"
#include "shard/cell.h"
#include "storage/store.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace penstock::shard {

[[nodiscard]] inline ShardKey key_of(std::uint32_t shard) {
  return {StreamUid(1), ShardNumber(shard)};
}

// A call with its entries; `text` stands in every record, followed by the entry's number.
struct Call {
  Call(std::uint64_t serial, std::size_t count, const std::string& text, Nanos deadline) {
    request.serial = serial;
    request.deadline = deadline;
    for (std::size_t i = 0; i < count; ++i) texts.push_back(text + std::to_string(i));
    entries.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      entries[i].request = &request;
      entries[i].record = {.key = reinterpret_cast<const std::byte*>("k"),
                           .data = reinterpret_cast<const std::byte*>(texts[i].data()),
                           .data_bytes = static_cast<std::uint32_t>(texts[i].size()),
                           .key_bytes = 1,
                           .flags = 0,
                           .hash = {}};
    }
  }
  PutRequest request;
  std::vector<std::string> texts;
  std::vector<PutEntry> entries;
};

// What a producer sends: a FlatBuffer of so many records, `text` in each, followed by its number.
[[nodiscard]] inline std::vector<std::byte> flat_batch(const std::vector<std::string>& texts) {
  std::size_t payload = 0;
  for (const std::string& text : texts) payload += 1 + text.size();
  std::vector<std::uint64_t> space(storage::batch_bytes(texts.size(), payload) / 8);
  const auto out = std::as_writable_bytes(std::span(space));
  storage::BatchWriter writer(out, {}, static_cast<std::uint32_t>(texts.size()), payload);
  for (const std::string& text : texts) {
    writer.add({.key = reinterpret_cast<const std::byte*>("k"),
                .data = reinterpret_cast<const std::byte*>(text.data()),
                .data_bytes = static_cast<std::uint32_t>(text.size()),
                .key_bytes = 1,
                .flags = 0,
                .hash = {}});
  }
  const auto flat = out.first(writer.finish()).subspan(storage::kBatchHeaderBytes);
  return {flat.begin(), flat.end()};
}

// One batch for one shard. Producer 0: of nobody in particular.
struct BatchCall {
  BatchCall(std::uint64_t serial, std::size_t count, const std::string& text,
            std::uint64_t producer = 0, std::uint32_t epoch = 0, std::uint32_t sequence = 0,
            Nanos deadline = Nanos(INT64_MAX)) {
    for (std::size_t i = 0; i < count; ++i) texts.push_back(text + std::to_string(i));
    flat = flat_batch(texts);
    const auto shape = storage::verify_batch(flat);
    EXPECT_TRUE(shape.has_value());
    put = {.bytes = flat,
           .count = shape->count,
           .payload_bytes = static_cast<std::uint32_t>(shape->payload_bytes),
           .producer = producer,
           .epoch = epoch,
           .sequence = sequence};
    request.serial = serial;
    request.deadline = deadline;
    entry.request = &request;
    entry.carry(put, {});
  }
  BatchCall(const BatchCall&) = delete;
  BatchCall& operator=(const BatchCall&) = delete;
  PutRequest request;
  std::vector<std::string> texts;
  std::vector<std::byte> flat;
  BatchPut put;
  PutEntry entry;
};

class TextSink final : public storage::BatchSink {
 public:
  Taken on_batch(const storage::BatchView& batch, std::uint32_t from,
                 std::uint32_t until) override {
    Taken taken;
    for (std::uint32_t i = from; i < until; ++i) {
      const storage::RecordRef record = batch.record(i);
      texts.emplace_back(reinterpret_cast<const char*>(record.data), record.data_bytes);
      ++taken.records;
      taken.bytes += record.data_bytes;
    }
    return taken;
  }
  std::vector<std::string> texts;
};

class CellRig final : public Cell::Outlet {
 public:
  explicit CellRig(const drivers::SimStorageOptions& options = {}, std::uint32_t slots = 3)
      : storage(time, options, 1) {
    boot();
    drivers::SimEntropy entropy(7);
    const storage::FormatOptions format{.cells = 1, .slot_bytes = kMiB, .slots_ahead = slots};
    EXPECT_TRUE(storage::Store::format(*volume, entropy, format).has_value());
    start();
  }
  ~CellRig() override {
    storage.kill_process();
    cell.reset();
  }

  void boot() {
    volume = std::make_unique<drivers::SimVolume>(storage);
    write_disk = std::make_unique<drivers::SimDisk>(storage);
    read_disk = std::make_unique<drivers::SimDisk>(storage);
    writes = std::make_unique<runtime::DiskQueue>(*write_disk);
    reads = std::make_unique<runtime::DiskQueue>(*read_disk);
  }
  void start() {
    auto opened = storage::Store::open(*volume);
    ASSERT_TRUE(opened.has_value());
    store = std::move(*opened);
    auto cells = store->take_cells();
    storage::JournalOptions options;
    options.slot_bytes = kMiB;
    options.tail_bytes = 4 * kMiB;
    options.block_target = 128 * kKiB;
    cell = std::make_unique<Cell>(options, std::move(cells.at(0)), *writes, *reads, *this,
                                  producers_max);
  }
  // The power goes; what is durable comes back.
  void cut_and_restart() {
    if (storage.powered()) storage.cut_power();
    cell.reset();
    store.reset();
    writes.reset();
    reads.reset();
    write_disk.reset();
    read_disk.reset();
    volume.reset();
    storage.restart();
    settled_entries.clear();
    answered.clear();
    boot();
    start();
  }

  [[nodiscard]] WallMillis wall() const {
    return WallMillis(wall_millis + time.now().raw() / kNanosPerMilli);
  }
  // What has completed is settled, what was taken is given to the disk; no time passes.
  void turn() {
    static_cast<void>(writes->poll(time.now()));
    static_cast<void>(reads->poll(time.now()));
    cell->set_retention_now(RetentionMillis(time.now().raw() / kNanosPerMilli));
    static_cast<void>(cell->settle(time.now(), wall()));
    static_cast<void>(cell->place(time.now(), wall()));
  }
  void run() {
    turn();
    for (int i = 0; i < 10'000 && (!cell->quiet() || reading_); ++i) {
      const auto next = storage.next_completion();
      time.advance_to(next ? std::max(*next, time.now() + 1) : time.now() + kNanosPerMilli);
      turn();
    }
  }

  // All that take accepts; the others have their outcome at once.
  std::size_t take(Call& call, ShardKey shard) {
    std::size_t taken = 0;
    for (PutEntry& entry : call.entries) {
      taken += cell->take(entry, cell->find(shard), time.now()) ? 1 : 0;
    }
    return taken;
  }
  void open(ProducerRequest& request) { cell->open_producer(request, time.now(), wall()); }
  // Asked, and answered.
  ProducerRequest open(std::uint64_t producer, std::uint32_t epoch, ShardKey shard = key_of(1)) {
    ProducerRequest request;
    request.shard = shard;
    request.producer = producer;
    request.epoch = epoch;
    answered.clear();
    open(request);
    run();
    EXPECT_EQ(answered.size(), 1U);
    return request;
  }
  // The same for an epoch that was opened before.
  ProducerRequest resume(std::uint64_t producer, std::uint32_t epoch) {
    ProducerRequest request;
    request.shard = key_of(1);
    request.producer = producer;
    request.epoch = epoch;
    request.resume = true;
    answered.clear();
    open(request);
    run();
    EXPECT_EQ(answered.size(), 1U);
    return request;
  }
  bool take(BatchCall& call, ShardKey shard) {
    return cell->take_batch(call.entry, cell->find(shard), time.now());
  }
  Result<> command(CellCommand& command) {
    cell->command(command, time.now(), wall());
    run();
    return command.outcome;
  }
  Result<> command(CommandKind kind, ShardKey shard, std::uint64_t version = 1) {
    CellCommand order;
    order.kind = kind;
    order.shard = shard;
    order.control.catalogue_version = version;
    order.control.range_end[0] = order.control.range_end[1] = UINT64_MAX;
    return command(order);
  }
  ReadRequest read(ShardKey shard, ReadStart start, TextSink& sink) {
    ReadRequest request;
    request.shard = shard;
    request.start = start;
    request.sink = &sink;
    reading_ = true;
    cell->read(request, time.now(), wall());
    run();
    EXPECT_FALSE(reading_);
    return request;
  }
  std::vector<std::string> all(ShardKey shard) {
    TextSink sink;
    EXPECT_TRUE(read(shard, ReadStart::kTrimHorizon, sink).outcome.has_value());
    return sink.texts;
  }

  void settled(PutEntry* list, std::uint32_t count, Nanos) override {
    for (; list != nullptr; list = list->next, --count) settled_entries.push_back(list);
    EXPECT_EQ(count, 0U);
  }
  void finished(CellCommand&, Nanos) override { ++commands_finished; }
  void finished(ReadRequest& request, Nanos) override {
    reads_back.push_back(&request);
    reading_ = false;
  }
  void finished(ProducerRequest& request, Nanos) override { answered.push_back(&request); }

  drivers::SimTime time;
  drivers::SimStorage storage;
  std::unique_ptr<drivers::SimVolume> volume;
  std::unique_ptr<drivers::SimDisk> write_disk;
  std::unique_ptr<drivers::SimDisk> read_disk;
  std::unique_ptr<runtime::DiskQueue> writes;
  std::unique_ptr<runtime::DiskQueue> reads;
  std::unique_ptr<storage::Store> store;
  std::unique_ptr<Cell> cell;
  std::vector<PutEntry*> settled_entries;
  std::vector<ProducerRequest*> answered;
  std::vector<const ReadRequest*> reads_back;
  std::uint32_t producers_max = kProducersMax;  // from the next start on
  std::int64_t wall_millis = 1'000'000;         // what the wall clock is ahead of the time
  int commands_finished = 0;

 private:
  bool reading_ = false;
};

}  // namespace penstock::shard
