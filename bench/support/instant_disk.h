// A disk that takes every write and forgets it: what is left is our own work.
#pragma once

#include "env/disk.h"

#include <algorithm>
#include <vector>

namespace penstock::bench {

class InstantDisk final : public env::Disk {
 public:
  [[nodiscard]] std::size_t depth() const override { return 64; }
  [[nodiscard]] std::size_t submit(std::span<const env::DiskOp> ops) override {
    for (const env::DiskOp& op : ops) {
      done_.push_back({op.tag, static_cast<std::int32_t>(op.length)});
    }
    return ops.size();
  }
  void hand_over() override {}
  [[nodiscard]] std::size_t reap(std::span<env::DiskDone> out) override {
    const std::size_t count = std::min(out.size(), done_.size());
    std::copy_n(done_.begin(), count, out.begin());
    done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

 private:
  std::vector<env::DiskDone> done_;
};

}  // namespace penstock::bench
