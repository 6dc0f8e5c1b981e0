// A disk in front of another that notes how long each write was: what a calibrator must repeat.
#pragma once

#include "env/disk.h"

#include <cstdint>
#include <vector>

namespace penstock::bench {

class SizeLog final : public env::Disk {
 public:
  explicit SizeLog(env::Disk& disk) : disk_(disk) {}

  [[nodiscard]] std::size_t depth() const override { return disk_.depth(); }
  [[nodiscard]] std::size_t submit(std::span<const env::DiskOp> ops) override {
    const std::size_t taken = disk_.submit(ops);
    for (const env::DiskOp& op : ops.first(taken)) sizes.push_back(op.length);
    return taken;
  }
  void hand_over() override { disk_.hand_over(); }
  [[nodiscard]] std::size_t reap(std::span<env::DiskDone> out) override { return disk_.reap(out); }

  std::vector<std::uint32_t> sizes;

 private:
  env::Disk& disk_;
};

}  // namespace penstock::bench
