// A data directory with one cell and its journal, boot after boot, and a model of what its writers were
// told: what every crash test checks a recovered journal against.
#pragma once

#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/sim/sim_storage.h"
#include "drivers/entropy/sim_entropy.h"
#include "drivers/sim/random.h"
#include "drivers/sim/time.h"
#include "runtime/disk_queue.h"
#include "storage/journal.h"
#include "storage/recovery.h"
#include "storage/store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace penstock::storage {

// An attempt to store record `index`: one boot tries a number once.
[[nodiscard]] inline std::string attempt_text(std::uint32_t shard, std::uint64_t index,
                                              std::uint32_t attempt) {
  drivers::SimRandom random(std::uint64_t{shard} << 48 ^ std::uint64_t{attempt} << 32 ^ index);
  std::string text(10 + random.below(120), '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

// What was sent and what was promised. Nothing here knows how a journal works.
struct CrashModel {
  struct Shard {
    std::vector<std::uint32_t> acked;  // by index: the attempt that was acknowledged or shown
    std::map<std::uint64_t, std::vector<std::uint32_t>> sent;  // above that
    std::uint64_t trim = 0;
  };
  std::map<std::uint32_t, Shard> shards;
  std::uint32_t attempts = 0;

  void send(std::uint32_t shard, std::uint64_t index, std::uint32_t attempt) {
    shards[shard].sent[index].push_back(attempt);
  }
  void acknowledge(std::uint32_t shard, std::uint64_t end, std::uint32_t attempt) {
    Shard& s = shards[shard];
    while (s.acked.size() < end) {
      s.sent.erase(s.acked.size());
      s.acked.push_back(attempt);
    }
  }
};

[[nodiscard]] inline ShardKey crash_key(std::uint32_t shard) {
  return {StreamUid(1), ShardNumber(shard)};
}

struct CrashOptions {
  JournalOptions journal{.slot_bytes = kMiB,
                         .tail_bytes = 1 * kMiB,
                         .block_target = 32 * kKiB,
                         .block_max = 128 * kKiB,
                         .index_cache_bytes = 1 * kMiB};
  std::uint32_t shards = 5;
};

// One boot. Made after `SimStorage::restart`, useless after the next cut.
class CrashBoot {
 public:
  CrashBoot(drivers::SimTime& time, drivers::SimStorage& storage, CrashModel& model,
            const CrashOptions& options)
      : time_(time),
        storage_(storage),
        model_(model),
        options_(options),
        attempt_(++model.attempts),
        volume_(storage),
        write_disk_(storage),
        read_disk_(storage),
        writes_(write_disk_),
        reads_(read_disk_) {}

  // Opens and recovers, and holds everything against the model. False where the power went first.
  [[nodiscard]] bool open() {
    auto opened = Store::open(volume_);
    if (!opened.has_value()) {
      EXPECT_FALSE(storage_.powered()) << "open: " << text(opened.error().code);
      return false;
    }
    store_ = std::move(*opened);
    std::vector<RecoveredCell> cells = store_->take_cells();
    EXPECT_EQ(store_->report().quarantined_blocks, 0U);
    for (const std::string& note : store_->report().notes) notes_ += note + "\n";
    EXPECT_TRUE(cells.at(0).journal->lost.empty()) << notes_;
    EXPECT_FALSE(cells.at(0).fenced);
    for (const ShardState& state : cells.at(0).shards) {
      next_[state.shard.shard.raw()] = state.next_index;
    }
    journal_ = std::make_unique<Journal>(options_.journal, std::move(*cells.at(0).journal), writes_,
                                         reads_);
    return verify();
  }

  // One step of a seeded workload.
  void work(std::mt19937_64& random) {
    const std::uint64_t choice = random() % 16;
    if (choice < 9) {
      append(random);
    } else if (choice == 9) {
      snapshot(random() % 2 == 0);
    } else if (choice == 10 && journal_->slots_free() < 3) {
      grow();
    }
    turn();
  }
  void turn() {
    const auto next = storage_.next_completion();
    time_.advance_to(next.has_value() ? std::max(*next, time_.now() + 1)
                                      : time_.now() + 30 * kNanosPerMilli);
    static_cast<void>(writes_.poll(time_.now()));
    static_cast<void>(reads_.poll(time_.now()));
    if (!storage_.powered()) return;
    static_cast<void>(journal_->poll(time_.now(), wall(), retention()));
    note_durable();
  }

  void append(std::mt19937_64& random) {
    if (journal_->append_state(false) != AppendState::kOpen) return;
    const std::uint64_t frames = 1 + random() % 4;
    for (std::uint64_t i = 0; i < frames; ++i) {
      const auto shard = static_cast<std::uint32_t>(random() % options_.shards);
      const std::uint64_t burst = random() % 8 == 0 ? 200 : 12;
      if (!add_frame(shard, 1 + static_cast<std::uint32_t>(random() % burst))) break;
    }
    if (!journal_->block_open() || !journal_->can_submit()) return;
    const Lsn lsn = journal_->submit_block(time_.now(), wall(), retention());
    blocks_[lsn.raw()] = next_;
    note_durable();
  }
  // Everything that is stored comes back; the rest of the boot's history is then part of the model.
  [[nodiscard]] bool verify() {
    for (auto& [shard, expected] : model_.shards) {
      if (!verify_shard(shard, expected)) return false;
    }
    return true;
  }
  [[nodiscard]] Journal& journal() { return *journal_; }

 private:
  class Sink;

  [[nodiscard]] WallMillis wall() const { return time_.wall(); }
  [[nodiscard]] RetentionMillis retention() const {
    return RetentionMillis(time_.now().raw() / kNanosPerMilli);
  }

  [[nodiscard]] bool add_frame(std::uint32_t shard, std::uint32_t records) {
    std::uint64_t& next = next_[shard];
    std::vector<std::string> texts;
    std::size_t payload = 0;
    for (std::uint32_t i = 0; i < records; ++i) {
      texts.push_back(attempt_text(shard, next + i, attempt_));
      payload += texts.back().size();
    }
    const std::size_t bytes = batch_bytes(records, payload);
    const std::span<std::byte> room = journal_->open_frame(bytes, bytes);
    if (room.empty()) return false;
    BatchWriter writer(room, {.first = RecordIndex(next), .arrival = wall()}, records, payload);
    for (std::uint32_t i = 0; i < records; ++i) {
      model_.send(shard, next + i, attempt_);
      writer.add({.data = reinterpret_cast<const std::byte*>(texts[i].data()),
                  .data_bytes = static_cast<std::uint32_t>(texts[i].size()),
                  .hash = {}});
    }
    journal_->close_frame({.shard = crash_key(shard),
                           .first = RecordIndex(next),
                           .records = records,
                           .arrival_min = wall(),
                           .arrival_max = wall()},
                          writer.finish());
    next += records;
    return true;
  }

  void note_durable() {
    while (!blocks_.empty() && Lsn(blocks_.begin()->first) <= journal_->durable()) {
      for (const auto& [shard, end] : blocks_.begin()->second) {
        model_.acknowledge(shard, end, attempt_);
      }
      blocks_.erase(blocks_.begin());
    }
  }

  // A snapshot of what is acknowledged; with `recycle` the oldest segments go, and with them the records
  // that they hold.
  void snapshot(bool recycle) {
    const std::vector<SegmentSummary> sealed = journal_->sealed();
    std::vector<SegmentNumber> gone;
    std::map<std::uint32_t, std::uint64_t> trims;
    Snapshot snapshot;
    CellSnapshot cell;
    cell.covered = journal_->durable();
    for (std::size_t i = 0; i < sealed.size(); ++i) {
      if (recycle && (i == 0 || journal_->slots_free() < 2)) {
        gone.push_back(sealed[i].number);
        for (const SegmentSummary::Run& run : sealed[i].runs) {
          trims[run.shard.shard.raw()] = run.last_index.raw() + 1;
        }
      } else {
        cell.segments.push_back(sealed[i].number);
      }
    }
    for (auto& [shard, expected] : model_.shards) {
      ShardState state;
      state.shard = crash_key(shard);
      state.next_index = expected.acked.size();
      if (const auto trim = trims.find(shard); trim != trims.end()) expected.trim = trim->second;
      state.trim_index = expected.trim;
      cell.shards.push_back(state);
    }
    snapshot.cells.push_back(std::move(cell));
    if (!store_->write_snapshot(snapshot).has_value()) {
      EXPECT_FALSE(storage_.powered());
      return;
    }
    journal_->recycle(gone);
  }
  void grow() {
    for (;;) {
      const auto grown = store_->grow(CellId(0), kMiB);
      if (!grown.has_value()) {
        EXPECT_FALSE(storage_.powered());
        return;
      }
      if (!grown->ready) continue;
      journal_->add_slot(grown->file, grown->slot);
      return;
    }
  }

  [[nodiscard]] bool verify_shard(std::uint32_t shard, CrashModel::Shard& expected);

  drivers::SimTime& time_;
  drivers::SimStorage& storage_;
  CrashModel& model_;
  CrashOptions options_;
  std::uint32_t attempt_;
  drivers::SimVolume volume_;
  drivers::SimDisk write_disk_;
  drivers::SimDisk read_disk_;
  runtime::DiskQueue writes_;
  runtime::DiskQueue reads_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Journal> journal_;
  std::string notes_;
  std::map<std::uint32_t, std::uint64_t> next_;
  std::map<std::uint64_t, std::map<std::uint32_t, std::uint64_t>>
      blocks_;  // submitted: ends by LSN
};

class CrashBoot::Sink final : public BatchSink {
 public:
  Sink(std::uint32_t shard, CrashModel::Shard& expected, std::uint64_t from)
      : next(from), shard_(shard), expected_(expected) {}
  Taken on_batch(const BatchView& batch, std::uint32_t from, std::uint32_t until) override {
    Taken taken;
    for (std::uint32_t i = from; i < until; ++i) {
      const std::uint64_t index = batch.first().raw() + i;
      EXPECT_EQ(index, next) << "shard " << shard_;
      check(index, batch.record(i));
      next = index + 1;
      ++taken.records;
    }
    return taken;
  }
  std::uint64_t next;

 private:
  void check(std::uint64_t index, const RecordRef& record) {
    const std::string_view data(reinterpret_cast<const char*>(record.data), record.data_bytes);
    if (index < expected_.acked.size()) {
      EXPECT_EQ(data, attempt_text(shard_, index, expected_.acked[index]))
          << "shard " << shard_ << " record " << index << " was acknowledged with other content";
      return;
    }
    EXPECT_EQ(index, expected_.acked.size());
    for (const std::uint32_t attempt : expected_.sent[index]) {
      if (data == attempt_text(shard_, index, attempt)) {
        expected_.acked.push_back(attempt);  // shown now, so it has to stay
        return;
      }
    }
    ADD_FAILURE() << "shard " << shard_ << " record " << index << " was never sent";
  }
  std::uint32_t shard_;
  CrashModel::Shard& expected_;
};

inline bool CrashBoot::verify_shard(std::uint32_t shard, CrashModel::Shard& expected) {
  const std::uint64_t end = next_[shard];
  EXPECT_GE(end, expected.acked.size()) << "shard " << shard << ": acknowledged records are gone";
  Sink sink(shard, expected, expected.trim);
  while (sink.next < end) {
    bool done = false;
    ReadOp op{.shard = crash_key(shard), .from = RecordIndex(sink.next), .until = RecordIndex(end)};
    op.sink = &sink;
    op.context = &done;
    op.done = [](ReadOp& o) { *static_cast<bool*>(o.context) = true; };
    journal_->start(op, time_.now());
    while (!done && storage_.powered()) {
      const auto due = storage_.next_completion();
      time_.advance_to(due.has_value() ? std::max(*due, time_.now() + 1) : time_.now() + 1);
      static_cast<void>(reads_.poll(time_.now()));
    }
    if (!done) return false;
    EXPECT_TRUE(op.outcome.has_value())
        << "shard " << shard << " at " << sink.next << " of " << end;
    if (!op.outcome.has_value() || op.next == op.from) break;
  }
  EXPECT_EQ(sink.next, std::max(end, expected.trim)) << "shard " << shard;
  // What did not come back now was cut off, and must never come back.
  expected.sent.clear();
  return true;
}

}  // namespace penstock::storage
