// Goal: whatever boots, crashes and damage follow each other, recovery keeps what was acknowledged, and
// accounts for every record that it cannot give back. Method: random histories over several segments
// and boots, each ending with blocks in flight of which a random subset arrives; then, in the last
// boot, random damage; a model knows which records were acknowledged.
#include "store_rig.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace penstock::storage {
namespace {

struct ModelBlock {
  std::uint64_t lsn = 0;
  std::uint32_t shard = 0;
  std::uint64_t first = 0;
  std::uint32_t records = 0;
  std::string file;
  Placed placed;
};

class History {
 public:
  explicit History(std::uint64_t seed)
      : random_(seed), rig({.cells = 1, .slot_bytes = kMiB, .slots_ahead = 11}) {
    // The shards are known from the start: one whose opening is lost, too, nobody can account for.
    EXPECT_TRUE(rig.open().has_value());
    Snapshot snapshot;
    snapshot.cells.push_back({CellId(0), Lsn(0), {}, {}});
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      snapshot.cells[0].shards.emplace_back().shard = key_of(shard);
    }
    EXPECT_TRUE(rig.store->write_snapshot(snapshot).has_value());
  }

  // One boot: blocks, each vouching for those before it but the last few; then a crash.
  void boot() {
    ASSERT_TRUE(rig.open().has_value());
    check_crash();
    Forge forge(rig);
    if (forge.offset() == 0) forge.open_segment(pick(rig.journal().free.size()));
    const std::uint64_t blocks = pick(30);
    for (std::uint64_t i = 0; i < blocks; ++i) {
      if (pick(8) == 0 && rig.journal().free.size() > 0 && forge.offset() > format::kSectorBytes) {
        forge.seal({}, false);
        forge.open_segment(pick(rig.journal().free.size()));
      }
      append(forge, forge.lsn() - 1, true);
    }
    acked_ = forge.lsn() - 1;
    // In flight: none of them knows of the others.
    const std::uint64_t in_flight = pick(5);
    for (std::uint64_t i = 0; i < in_flight; ++i) append(forge, acked_, pick(2) == 0);
  }

  // After damage to blocks that somebody vouches for.
  void damage_and_check() {
    std::set<std::uint64_t> hit;
    for (const ModelBlock& block : blocks_) {
      if (block.lsn > vouched_ || pick(10) != 0) continue;
      if (pick(3) == 0) {
        rig.zero(block.file, block.placed.offset, block.placed.length);
      } else {
        const auto header = format::load<format::BlockHeader>(
            rig.read(block.file, block.placed.offset, format::kSectorBytes));
        rig.flip(block.file, block.placed.offset + pick(sizeof(header) + header.payload_len));
      }
      hit.insert(block.lsn);
    }
    ASSERT_TRUE(rig.open().has_value());
    for (const ModelBlock& block : blocks_) {
      if (block.lsn > acked_) continue;
      EXPECT_TRUE(indexed(block) || accounted_lost(block))
          << "block " << block.lsn << " is neither there nor called lost";
      if (!hit.contains(block.lsn)) {
        EXPECT_FALSE(accounted_lost(block)) << "block " << block.lsn << " is well";
      }
    }
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      const ShardState* state = rig.shard(shard);
      EXPECT_GE(state == nullptr ? 0 : state->next_index, acked_end(shard));
    }
    EXPECT_EQ(rig.store->report().quarantined_blocks > 0, !hit.empty());
  }

 private:
  static constexpr std::uint32_t kShards = 3;

  std::uint64_t pick(std::uint64_t n) { return n == 0 ? 0 : random_() % n; }

  void append(Forge& forge, std::uint64_t durable, bool written) {
    ModelBlock block;
    block.lsn = forge.lsn();
    block.shard = static_cast<std::uint32_t>(pick(kShards));
    block.first = next_[block.shard];
    block.records = static_cast<std::uint32_t>(1 + pick(5));
    // Of few sizes, so that old blocks often lie where new ones would begin.
    block.placed = forge.block(
        {{ForgedFrame::data(block.shard, block.first, block.records, pick(4) == 0 ? 2000 : 60)},
         0,
         durable},
        written);
    if (written) vouched_ = std::max(vouched_, durable);
    block.file = forge.name();
    next_[block.shard] += block.records;
    blocks_.push_back(block);
  }

  // Everything acknowledged is there, in one piece; what was cut off is forgotten by the model too.
  void check_crash() {
    const std::uint64_t recovered = rig.journal().recovered.raw();
    EXPECT_GE(recovered, acked_);
    EXPECT_EQ(rig.store->report().quarantined_blocks, 0U);
    EXPECT_TRUE(rig.store->report().notes.empty());
    EXPECT_TRUE(rig.journal().lost.empty());
    std::erase_if(blocks_, [recovered](const ModelBlock& b) { return b.lsn > recovered; });
    next_.clear();
    std::size_t frames = 0;
    for (const RecoveredSegment& segment : rig.journal().segments) frames += segment.frames.size();
    EXPECT_EQ(frames, blocks_.size()) << "a frame too many came back, or one too few";
    for (const ModelBlock& block : blocks_) {
      EXPECT_TRUE(indexed(block)) << block.lsn;
      next_[block.shard] = block.first + block.records;
    }
    for (const auto& [shard, next] : next_) {
      ASSERT_NE(rig.shard(shard), nullptr);
      EXPECT_EQ(rig.shard(shard)->next_index, next);
    }
  }

  // The frame is indexed where it lies, with the header that is there.
  bool indexed(const ModelBlock& block) {
    for (const RecoveredSegment& segment : rig.journal().segments) {
      if (slot_name(0, segment.slot) != block.file) continue;
      for (const RecoveredFrame& frame : segment.frames) {
        if (frame.shard != key_of(block.shard) || frame.entry.first_index != block.first) continue;
        return frame.entry.offset == block.placed.offset + sizeof(format::BlockHeader) &&
               frame.entry.records == block.records;
      }
    }
    return false;
  }
  bool accounted_lost(const ModelBlock& block) {
    for (const LostRange& lost : rig.journal().lost) {
      if (lost.shard == key_of(block.shard) && lost.from.raw() <= block.first &&
          lost.until.raw() >= block.first + block.records) {
        return true;
      }
    }
    return false;
  }
  std::uint64_t acked_end(std::uint32_t shard) const {
    std::uint64_t end = 0;
    for (const ModelBlock& block : blocks_) {
      if (block.shard == shard && block.lsn <= acked_) end = block.first + block.records;
    }
    return end;
  }

  std::mt19937_64 random_;
  std::vector<ModelBlock> blocks_;
  std::map<std::uint32_t, std::uint64_t> next_;
  std::uint64_t acked_ = 0;
  std::uint64_t vouched_ = 0;  // behind it, bad blocks look like a torn tail

 public:
  StoreRig rig;
};

TEST(RecoveryRandom, NothingAcknowledgedIsLostOverCrashes) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    History history(seed);
    for (int boot = 0; boot < 6; ++boot) history.boot();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(RecoveryRandom, DamageIsAccountedFor) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    History history(seed);
    for (int boot = 0; boot < 3; ++boot) history.boot();
    history.damage_and_check();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace penstock::storage
