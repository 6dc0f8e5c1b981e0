// A catalogue over cells with a memory, in virtual time, with a writer that puts a record into every
// shard that the published map shows open, whenever anything happens.
#pragma once

#include "catalog/catalog.h"
#include "catalog/codec.h"
#include "tests/support/fake_cells.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace penstock::catalog {

class World {
 public:
  explicit World(std::uint16_t cell_count = 3) : cells(cell_count) {
    options.state_ms = 50;
    options.shards_max = 64;
    reading.now = RetentionMillis(wall.raw());
    boot();
  }

  void boot() {
    notes.clear();
    Result<State> state = recover_state(snapshot, frames_after_snapshot(), &notes);
    ASSERT_TRUE(state.has_value());
    std::vector<CellShards> recovered;
    for (std::uint16_t i = 0; i < cells.cells(); ++i) {
      CellShards one{.cell = CellId(i), .fenced = cells.cell(CellId(i)).fenced, .shards = {}};
      for (const auto& [key, shard] : cells.cell(CellId(i)).shards) {
        one.shards.push_back(shard.state);
      }
      recovered.push_back(std::move(one));
    }
    ++options.boot_epoch;
    catalog =
        std::make_unique<Catalog>(options, cells, reading, std::move(*state), std::move(recovered));
  }

  // All volatile state goes; the first `written` commands in flight had reached the disk.
  void crash(std::size_t written) {
    cells.crash(written);
    catalog.reset();
    answers.clear();
    boot();
  }

  // One turn of the service core and at most one completion. False: nothing is left to do.
  bool turn() {
    const runtime::WorkCount work = catalog->poll(now, wall);
    write_everywhere();
    if (cells.step(now)) return true;
    if (work > 0) return true;
    const Nanos next = catalog->next_deadline();
    if (next == runtime::kNever) return false;
    pass((next - now) / kNanosPerMilli + 1);
    return true;
  }
  void run() {
    for (int i = 0; i < 100'000; ++i) {
      if (!turn()) return;
    }
    FAIL() << "the catalogue never comes to rest";
  }
  void pass(std::int64_t millis) {
    now = now + millis * kNanosPerMilli;
    wall = wall + millis;
    reading.now = reading.now + millis;
  }

  struct Answer {
    proto::ControlRequest request;
    bool done = false;
  };
  template <class Call>
  Answer& ask(Call call) {
    Answer& answer = answers.emplace_back();
    answer.request.call = std::move(call);
    answer.request.context = &answer;
    answer.request.done = [](proto::ControlRequest& request, Nanos) {
      auto& self = *static_cast<Answer*>(request.context);
      EXPECT_FALSE(self.done);
      self.done = true;
    };
    catalog->start_local(answer.request, now);
    return answer;
  }
  // Asks and runs until all is quiet. Empty: carried out; else the refusal's type and message.
  template <class Call>
  std::string call(Call one) {
    Answer& answer = ask(std::move(one));
    run();
    EXPECT_TRUE(answer.done);
    if (!answer.request.error) return {};
    return answer.request.error->type + ": " + answer.request.error->message;
  }
  std::string create(const std::string& name, std::uint32_t shards) {
    return call(proto::CreateStream{.name = name, .shards = shards});
  }
  std::string split(const std::string& name, const std::string& shard, base::HashKey key) {
    return call(proto::SplitShard{.name = name,
                                  .shard = shard,
                                  .new_starting_hash_key = key,
                                  .new_starting_hash_key_text = {}});
  }
  std::string merge(const std::string& name, const std::string& shard,
                    const std::string& adjacent) {
    return call(proto::MergeShards{.name = name, .shard = shard, .adjacent_shard = adjacent});
  }

  [[nodiscard]] const StreamEntry& stream(std::string_view name) const {
    const StreamEntry* found = catalog->state().find(name);
    EXPECT_NE(found, nullptr);
    return *found;
  }
  [[nodiscard]] const route::StreamRoute* route(std::string_view name) const {
    return cells.map() == nullptr ? nullptr : cells.map()->find(name);
  }

  // --- What must hold at every moment --------------------------------------------------------------

  // No record beyond what the catalogue calls a shard's end, no child that sorts below a record of its
  // parent, and maps whose open shards tile the key space.
  void check_always() const {
    if (cells.map() != nullptr) {
      for (const auto& [name, route] : cells.map()->streams) check_route(*route);
    }
    for (const auto& [uid, stream] : catalog->state().streams) {
      EXPECT_TRUE(tiles(stream));
      for (const ShardEntry& shard : stream.shards) check_lineage(stream, shard);
    }
  }

  // Once all is quiet: cells hold what the catalogue says, and nothing else.
  void check_quiet() {
    check_always();
    for (std::uint16_t i = 0; i < cells.cells(); ++i) {
      for (const auto& [key, found] : cells.cell(CellId(i)).shards) {
        const StreamEntry* stream = catalog->state().find(key.stream);
        const ShardEntry* shard = stream == nullptr ? nullptr : stream->find(key.shard);
        ASSERT_NE(shard, nullptr) << "an orphan in cell " << i;
        EXPECT_EQ(shard->cell, CellId(i));
        EXPECT_EQ(found.state.closed == 0, shard->open) << "shard " << key.shard.raw();
      }
    }
    for (const auto& [uid, stream] : catalog->state().streams) {
      EXPECT_EQ(catalog->status(uid), route::StreamStatus::kActive) << stream.name;
      EXPECT_FALSE(stream.intent.has_value());
      EXPECT_FALSE(stream.deleting);
      for (const ShardEntry& shard : stream.shards) {
        EXPECT_TRUE(shard.opened);
        EXPECT_NE(cells.find(shard.cell, {uid, shard.number}), nullptr);
      }
      ASSERT_NE(route(stream.name), nullptr);
      EXPECT_EQ(route(stream.name)->shards.size(), stream.shards.size());
    }
  }

  // From the next moment between two decisions on, frames up to there come from the snapshot.
  void take_snapshot() {
    catalog->hold(
        [](void* context) {
          auto& self = *static_cast<World*>(context);
          self.snapshot = self.catalog->encode();
          self.snapshot_frames = self.cells.catalogue().size();
          self.catalog->release();
        },
        this);
  }
  [[nodiscard]] std::vector<storage::RecoveredControl> frames_after_snapshot() const {
    const auto& all = cells.catalogue();
    std::vector<storage::RecoveredControl> left;
    for (std::size_t i = snapshot_frames; i < all.size(); ++i) {
      if (!lost_frames.contains(i)) left.push_back(all[i]);
    }
    return left;
  }

  test::FakeCells cells;
  CatalogOptions options;
  shard::RetentionReading reading{.now = {}, .sure = true};
  Nanos now{1'000 * kNanosPerSecond};
  WallMillis wall{1'700'000'000'000};
  std::vector<std::byte> snapshot;
  std::size_t snapshot_frames = 0;
  std::set<std::size_t> lost_frames;  // of all that cell 0 ever held
  std::vector<std::string> notes;     // of the last start
  std::deque<Answer> answers;
  std::unique_ptr<Catalog> catalog;
  std::map<ShardKey, std::int64_t> last_record;  // wall time of the last record acknowledged

 private:
  void write_everywhere() {
    if (cells.map() == nullptr) return;
    for (const auto& [name, route] : cells.map()->streams) {
      for (const std::uint32_t position : route->open) {
        const route::ShardRoute& shard = route->shards[position];
        const ShardKey key{route->uid, shard.number};
        if (cells.put(shard.cell, key, wall)) last_record[key] = wall.raw();
      }
    }
  }
  static void check_route(const route::StreamRoute& route) {
    if (route.status == route::StreamStatus::kCreating) return;
    if (route.status == route::StreamStatus::kDeleting && route.open.empty()) return;
    ASSERT_FALSE(route.open.empty());
    base::HashKey wanted;
    for (std::size_t i = 0; i < route.open.size(); ++i) {
      const route::ShardRoute& shard = route.shards[route.open[i]];
      EXPECT_EQ(shard.begin, wanted);
      EXPECT_TRUE(shard.open);
      if (i + 1 == route.open.size()) {
        EXPECT_EQ(shard.end, base::kHashKeyMax);
      } else {
        wanted = base::next(shard.end);
      }
    }
  }
  void check_lineage(const StreamEntry& stream, const ShardEntry& shard) const {
    const ShardKey key{stream.uid, shard.number};
    const test::FakeCells::Shard* found = cells.find(shard.cell, key);
    if (!shard.open && found != nullptr) {
      EXPECT_NE(found->state.closed, 0) << "closed by COMMIT, not by CLOSE";
      EXPECT_EQ(found->state.next_index, shard.final_index);
    }
    for (const ShardNumber parent : {shard.parent, shard.adjacent_parent}) {
      const ShardEntry* above = stream.find(parent);
      if (above == nullptr) continue;
      EXPECT_FALSE(above->open);
      EXPECT_GT(shard.created_second, above->created_second);
      const auto last = last_record.find({stream.uid, parent});
      if (last != last_record.end()) {
        EXPECT_GT(shard.created_second, last->second / 1000);
      }
      if (found != nullptr) {
        const test::FakeCells::Shard* parent_found = cells.find(above->cell, {stream.uid, parent});
        EXPECT_TRUE(parent_found == nullptr || parent_found->state.closed != 0)
            << "a child is open before its parent is closed";
      }
    }
  }
};

}  // namespace penstock::catalog
