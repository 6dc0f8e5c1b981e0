// A journal on the simulated disk, without the data directory around it, and a model of what was
// appended: the content of a record follows from its shard and number.
#pragma once

#include "base/pages.h"
#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/sim/sim_storage.h"
#include "drivers/sim/random.h"
#include "drivers/sim/time.h"
#include "runtime/disk_queue.h"
#include "storage/format.h"
#include "storage/journal.h"
#include "storage/recovery.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace penstock::storage {

[[nodiscard]] inline ShardKey shard_key(std::uint32_t number) {
  return ShardKey{StreamUid(1 + number / 1000), ShardNumber(number)};
}

// Key and data of record `index` of a shard: checked byte for byte when it is read back.
[[nodiscard]] inline std::string record_text(ShardKey shard, std::uint64_t index) {
  drivers::SimRandom random(std::uint64_t{shard.shard.raw()} << 40 ^ index);
  std::string text(20 + random.below(200), '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

// Collects what a read delivers, and checks each record's content.
class CheckingSink final : public BatchSink {
 public:
  CheckingSink(ShardKey shard, std::uint64_t from) : next(from), shard_(shard) {}
  Taken on_batch(const BatchView& batch, std::uint32_t from, std::uint32_t until) override {
    Taken taken;
    for (std::uint32_t i = from; i < until && taken_total < records_max; ++i) {
      const std::uint64_t index = batch.first().raw() + i;
      EXPECT_GE(index, next) << "delivered twice or out of order";
      skipped += index - next;
      next = index + 1;
      const RecordRef record = batch.record(i);
      const std::string expected =
          bytes_per_record == 0 ? record_text(shard_, index) : std::string(bytes_per_record, 'x');
      const std::string_view data(reinterpret_cast<const char*>(record.data), record.data_bytes);
      EXPECT_EQ(data, expected) << "record " << index;
      arrivals.push_back(batch.arrival().raw());
      ++taken.records;
      ++taken_total;
      taken.bytes += record.data_bytes;
    }
    taken.more = taken_total < records_max;
    return taken;
  }

  std::uint64_t next;
  std::uint64_t skipped = 0;
  std::uint64_t taken_total = 0;
  std::uint64_t records_max = UINT64_MAX;
  std::size_t bytes_per_record = 0;  // 0: record_text
  std::vector<std::int64_t> arrivals;

 private:
  ShardKey shard_;
};

struct RigOptions {
  JournalOptions journal{.slot_bytes = 2 * kMiB,
                         .tail_bytes = 4 * kMiB,
                         .block_target = 64 * kKiB,
                         .block_max = 1 * kMiB,
                         .index_cache_bytes = 1 * kMiB};
  std::uint32_t slots = 8;
  drivers::SimStorageOptions storage;
  std::uint64_t seed = 1;
};

class JournalRig {
 public:
  explicit JournalRig(const RigOptions& options = {})
      : options_(options),
        storage(time, options.storage, options.seed),
        volume(storage),
        write_disk(storage),
        read_disk(storage),
        writes(write_disk),
        reads(read_disk) {
    RecoveredJournal fresh;
    fresh.cell = CellId(0);
    fresh.tag = 77;
    fresh.slot_bytes = options.journal.slot_bytes;
    fresh.epoch = 1;
    fresh.next_lsn = Lsn(1);
    fresh.chain = format::first_chain(fresh.tag, 0);
    fresh.next_segment = SegmentNumber(1);
    for (std::uint32_t i = 0; i < options.slots; ++i) fresh.free.push_back(make_slot());
    journal = std::make_unique<Journal>(options.journal, std::move(fresh), writes, reads);
  }

  [[nodiscard]] FreeSlot make_slot() {
    const std::string name = "slot-" + std::to_string(slots_made_);
    const env::FileId file = *volume.create(name);
    const base::Pages zeros(kMiB);
    for (std::uint64_t at = 0; at < options_.journal.slot_bytes; at += zeros.size()) {
      EXPECT_TRUE(volume.write(file, at, zeros.bytes()).has_value());
    }
    return {file, slots_made_++};
  }

  [[nodiscard]] WallMillis wall() const {
    return WallMillis(1'000'000 + time.now().raw() / 1'000'000);
  }
  [[nodiscard]] RetentionMillis retention() const {
    return RetentionMillis(time.now().raw() / 1'000'000);
  }

  // Time goes on to the next completion, or by `idle` where nothing is under way; then one turn.
  void turn(std::int64_t idle = kNanosPerMilli) {
    const auto next = storage.next_completion();
    time.advance_to(next.has_value() ? std::max(*next, time.now() + 1) : time.now() + idle);
    static_cast<void>(writes.poll(time.now()));
    static_cast<void>(reads.poll(time.now()));
    static_cast<void>(journal->poll(time.now(), wall(), retention()));
  }

  // Adds one frame with one batch of `records` of the shard to the open block; false: no room.
  [[nodiscard]] bool add(ShardKey shard, std::uint32_t records, std::size_t bytes_each = 0) {
    std::uint64_t& next = next_[shard];
    std::vector<std::string> texts;
    std::size_t payload = 0;
    for (std::uint32_t i = 0; i < records; ++i) {
      texts.push_back(bytes_each == 0 ? record_text(shard, next + i)
                                      : std::string(bytes_each, 'x'));
      payload += texts.back().size();
    }
    const std::size_t bytes = batch_bytes(records, payload);
    const std::span<std::byte> room = journal->open_frame(bytes, bytes);
    if (room.empty()) return false;
    BatchWriter writer(room, {.first = RecordIndex(next), .arrival = wall()}, records, payload);
    for (const std::string& text : texts) {
      writer.add({.data = reinterpret_cast<const std::byte*>(text.data()),
                  .data_bytes = static_cast<std::uint32_t>(text.size()),
                  .hash = {}});
    }
    journal->close_frame({.shard = shard,
                          .first = RecordIndex(next),
                          .records = records,
                          .arrival_min = wall(),
                          .arrival_max = wall()},
                         writer.finish());
    next += records;
    pending_.push_back({shard, next});
    return true;
  }
  // As soon as the journal takes it.
  Lsn submit() {
    while (!journal->can_submit() && !journal->fenced()) turn();
    const Lsn lsn = journal->submit_block(time.now(), wall(), retention());
    for (const auto& [shard, end] : pending_) in_block_[lsn.raw()][shard] = end;
    pending_.clear();
    return lsn;
  }
  // Adds, submitting and waiting as needed. False where the journal is full.
  [[nodiscard]] bool put(ShardKey shard, std::uint32_t records, std::size_t bytes_each = 0) {
    for (int turns = 0; turns < 10'000; ++turns) {
      const AppendState state = journal->append_state(false);
      if (state == AppendState::kFull || state == AppendState::kFenced) return false;
      if (state == AppendState::kOpen) {
        if (add(shard, records, bytes_each)) return true;
        if (journal->block_open()) {
          submit();
          continue;
        }
      }
      turn();
    }
    ADD_FAILURE() << "the journal takes nothing";
    return false;
  }
  void drain() {
    if (journal->block_open()) submit();
    for (int i = 0; i < 100'000 && !journal->quiet(); ++i) turn();
    EXPECT_TRUE(journal->quiet());
  }

  // What is durable of a shard.
  [[nodiscard]] std::uint64_t durable_end(ShardKey shard) const {
    std::uint64_t end = 0;
    for (const auto& [lsn, shards] : in_block_) {
      if (Lsn(lsn) > journal->durable()) break;
      if (const auto at = shards.find(shard); at != shards.end()) end = at->second;
    }
    return end;
  }
  [[nodiscard]] std::uint64_t appended_end(ShardKey shard) const {
    const auto at = next_.find(shard);
    return at == next_.end() ? 0 : at->second;
  }

  // Runs a read to its end.
  void run(ReadOp& op, BatchSink& sink) {
    bool done = false;
    op.sink = &sink;
    op.context = &done;
    op.done = [](ReadOp& finished) {
      bool& flag = *static_cast<bool*>(finished.context);
      EXPECT_FALSE(flag) << "done twice";
      flag = true;
    };
    journal->start(op, time.now());
    for (int i = 0; i < 100'000 && !done; ++i) turn();
    EXPECT_TRUE(done);
  }
  // Reads everything in [from, until) back, in as many reads as it takes, and checks it.
  void check_shard(ShardKey shard, std::uint64_t from, std::uint64_t until) {
    CheckingSink sink(shard, from);
    while (sink.next < until) {
      const std::uint64_t before = sink.next;
      ReadOp op{.shard = shard, .from = RecordIndex(sink.next), .until = RecordIndex(until)};
      run(op, sink);
      ASSERT_TRUE(op.outcome.has_value()) << "at " << before;
      ASSERT_EQ(op.next.raw(), sink.next);
      ASSERT_GT(sink.next, before) << "no progress";
    }
    EXPECT_EQ(sink.skipped, 0U);
  }

 private:
  RigOptions options_;
  std::uint32_t slots_made_ = 0;
  std::map<ShardKey, std::uint64_t> next_;
  std::vector<std::pair<ShardKey, std::uint64_t>> pending_;
  std::map<std::uint64_t, std::map<ShardKey, std::uint64_t>> in_block_;

 public:
  drivers::SimTime time;
  drivers::SimStorage storage;
  drivers::SimVolume volume;
  drivers::SimDisk write_disk;
  drivers::SimDisk read_disk;
  runtime::DiskQueue writes;
  runtime::DiskQueue reads;
  std::unique_ptr<Journal> journal;
};

}  // namespace penstock::storage
