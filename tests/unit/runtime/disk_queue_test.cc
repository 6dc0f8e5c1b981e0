// Goal: every operation completes exactly once, only from `poll`, in the device's order, and what
// the device cannot take waits its turn. Method: a device of depth 2 that completes on demand.
#include "runtime/disk_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace penstock::runtime {
namespace {

class TwoDeepDisk final : public env::Disk {
 public:
  std::size_t depth() const override { return 2; }
  std::size_t submit(std::span<const env::DiskOp> ops) override {
    std::size_t taken = 0;
    for (const env::DiskOp& op : ops) {
      if (pending.size() == 2) break;
      pending.push_back(op);
      order.push_back(op.offset);
      ++taken;
    }
    return taken;
  }
  void hand_over() override {}
  std::size_t reap(std::span<env::DiskDone> out) override {
    std::size_t count = 0;
    while (finish > 0 && !pending.empty() && count < out.size()) {
      out[count++] = {pending.front().tag, static_cast<std::int32_t>(pending.front().length)};
      pending.pop_front();
      --finish;
    }
    return count;
  }

  std::deque<env::DiskOp> pending;
  std::vector<std::uint64_t> order;
  std::size_t finish = 0;
};

struct Counted {
  DiskCall call;
  int completions = 0;
  std::int32_t result = 0;
  Nanos at;
};

void count_completion(DiskCall& call, std::int32_t result, Nanos now) {
  Counted& counted = *reinterpret_cast<Counted*>(&call);
  ++counted.completions;
  counted.result = result;
  counted.at = now;
}

TEST(DiskQueue, GivesTheDeviceWhatItTakesAndKeepsTheRestInOrder) {
  TwoDeepDisk disk;
  DiskQueue queue(disk);
  std::vector<Counted> calls(5);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].call.complete = count_completion;
    calls[i].call.op.offset = i;
    calls[i].call.op.length = 100 + static_cast<std::uint32_t>(i);
    queue.start(calls[i].call);
  }
  EXPECT_EQ(queue.pending(), 5U);
  EXPECT_EQ(disk.order, (std::vector<std::uint64_t>{0, 1}));
  disk.finish = 1;
  EXPECT_EQ(queue.poll(Nanos(7)), 1U);
  EXPECT_EQ(calls[0].completions, 1);
  EXPECT_EQ(calls[0].result, 100);
  EXPECT_EQ(calls[0].at, Nanos(7));
  EXPECT_EQ(disk.order, (std::vector<std::uint64_t>{0, 1, 2}));
  for (int i = 0; i < 4; ++i) {
    disk.finish = 2;
    static_cast<void>(queue.poll(Nanos(8)));
  }
  EXPECT_EQ(queue.pending(), 0U);
  EXPECT_EQ(disk.order, (std::vector<std::uint64_t>{0, 1, 2, 3, 4}));
  for (const Counted& counted : calls) EXPECT_EQ(counted.completions, 1);
}

struct Chained {
  DiskCall call;
  DiskQueue* queue = nullptr;
  int left = 0;
};

TEST(DiskQueue, ACompletionMayStartTheNextOperation) {
  TwoDeepDisk disk;
  DiskQueue queue(disk);
  Chained chained;
  chained.queue = &queue;
  chained.left = 3;
  chained.call.op.length = 1;
  chained.call.complete = [](DiskCall& call, std::int32_t, Nanos) {
    Chained& self = *reinterpret_cast<Chained*>(&call);
    if (--self.left > 0) self.queue->start(call);
  };
  queue.start(chained.call);
  for (int i = 0; i < 3; ++i) {
    disk.finish = 1;
    EXPECT_EQ(queue.poll(Nanos(0)), 1U);
  }
  EXPECT_EQ(chained.left, 0);
  EXPECT_EQ(queue.pending(), 0U);
}

}  // namespace
}  // namespace penstock::runtime
