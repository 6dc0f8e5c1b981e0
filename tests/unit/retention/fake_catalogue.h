// A catalogue that is what the test says, and checks that it is held when it must be.
#pragma once

#include "shard/service.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

namespace penstock::retention {

class FakeCatalogue final : public shard::CatalogueSource {
 public:
  [[nodiscard]] std::vector<StreamRetention> streams() const override { return stream_list; }
  [[nodiscard]] std::vector<ClosedShard> closed_shards() const override { return closed; }
  [[nodiscard]] bool holds(ShardKey shard) const override { return shards.contains(shard); }
  void expire_shards(std::vector<ShardKey> keys) override {
    for (const ShardKey& key : keys) {
      expired.push_back(key);
      std::erase_if(closed, [&](const ClosedShard& one) { return one.shard == key; });
    }
  }
  void cell_fenced(CellId cell) override { fenced.insert(cell); }
  void hold(void (*now_held)(void* context), void* context) override {
    EXPECT_EQ(waiting, nullptr);
    waiting = now_held;
    waiting_context = context;
    set_busy(busy);
  }
  void release() override {
    EXPECT_TRUE(held);
    held = false;
  }
  [[nodiscard]] std::vector<std::byte> encode() const override {
    EXPECT_TRUE(held);
    return {std::byte{1}, std::byte{2}};
  }
  [[nodiscard]] std::uint64_t version() const override { return current_version; }

  std::vector<StreamRetention> stream_list;
  std::vector<ClosedShard> closed;
  std::set<ShardKey> shards;
  std::vector<ShardKey> expired;
  std::set<CellId> fenced;
  std::uint64_t current_version = 1;
  void set_busy(bool now_busy) {
    busy = now_busy;
    if (busy || held || waiting == nullptr) return;
    held = true;
    std::exchange(waiting, nullptr)(waiting_context);
  }

  bool busy = false;
  bool held = false;
  void (*waiting)(void* context) = nullptr;
  void* waiting_context = nullptr;
};

}  // namespace penstock::retention
