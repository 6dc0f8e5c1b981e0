// Goal: filling, submitting and completing blocks allocates nothing. Method: `operator new` counts
// between two points of a run that stays within one segment.
#include "base/pages.h"
#include "runtime/disk_queue.h"
#include "storage/format.h"
#include "storage/journal.h"
#include "storage/recovery.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <new>

namespace {

std::uint64_t g_allocations = 0;

}  // namespace

void* operator new(std::size_t bytes) {
  ++g_allocations;
  void* memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace penstock::storage {
namespace {

// Completes every write at the next `reap`; a fixed queue, nothing stored.
class NullDisk final : public env::Disk {
 public:
  std::size_t depth() const override { return tags_.size(); }
  std::size_t submit(std::span<const env::DiskOp> ops) override {
    std::size_t taken = 0;
    for (; taken < ops.size() && count_ < tags_.size(); ++taken) {
      tags_[count_++] = {ops[taken].tag, static_cast<std::int32_t>(ops[taken].length)};
    }
    return taken;
  }
  void hand_over() override {}
  std::size_t reap(std::span<env::DiskDone> out) override {
    const std::size_t count = std::min(out.size(), count_);
    std::copy_n(tags_.begin(), count, out.begin());
    count_ -= count;
    return count;
  }

 private:
  std::array<env::DiskDone, 16> tags_{};
  std::size_t count_ = 0;
};

TEST(Append, AllocatesNothingPerFrameOrBlock) {
  NullDisk disk;
  runtime::DiskQueue writes(disk);
  runtime::DiskQueue reads(disk);
  RecoveredJournal fresh;
  fresh.tag = 1;
  fresh.slot_bytes = 256 * kMiB;
  fresh.epoch = 1;
  fresh.next_lsn = Lsn(1);
  fresh.chain = format::first_chain(1, 0);
  fresh.next_segment = SegmentNumber(1);
  for (std::uint32_t i = 0; i < 3; ++i) fresh.free.push_back({env::FileId(0), i});
  Journal journal({.tail_bytes = 16 * kMiB}, std::move(fresh), writes, reads);
  const std::string data(100, 'd');
  std::uint64_t next[64] = {};
  const auto block = [&](std::uint64_t turn) {
    const Nanos now(static_cast<std::int64_t>(turn));
    for (std::uint32_t s = 0; s < 64; ++s) {
      if (journal.append_state(false) != AppendState::kOpen) break;
      const std::size_t bytes = batch_bytes(4, 4 * data.size());
      const std::span<std::byte> room = journal.open_frame(bytes, bytes);
      if (room.empty()) break;
      BatchWriter writer(room, {.first = RecordIndex(next[s]), .arrival = WallMillis(5)}, 4,
                         4 * data.size());
      for (int i = 0; i < 4; ++i) {
        writer.add({.data = reinterpret_cast<const std::byte*>(data.data()),
                    .data_bytes = static_cast<std::uint32_t>(data.size()),
                    .hash = {}});
      }
      journal.close_frame({.shard = {StreamUid(1), ShardNumber(s)},
                           .first = RecordIndex(next[s]),
                           .records = 4,
                           .arrival_min = WallMillis(5),
                           .arrival_max = WallMillis(5)},
                          writer.finish());
      next[s] += 4;
    }
    if (journal.block_open()) {
      static_cast<void>(journal.submit_block(now, WallMillis(5), RetentionMillis(5)));
    }
    static_cast<void>(writes.poll(now));
    static_cast<void>(journal.poll(now, WallMillis(5), RetentionMillis(5)));
  };
  block(0);  // opens the segment
  const std::uint64_t before = g_allocations;
  for (std::uint64_t turn = 1; turn < 1000; ++turn) block(turn);
  EXPECT_EQ(g_allocations, before);
  EXPECT_EQ(journal.metrics().blocks, 1000U);
  EXPECT_EQ(journal.metrics().frames, 64'000U);
  EXPECT_EQ(journal.seal_count(), 0U);
}

}  // namespace
}  // namespace penstock::storage
