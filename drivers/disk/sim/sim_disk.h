// One boot's view of a `SimStorage`: a `SimDisk` for each queue of each core, one `SimVolume`.
//
// Owner      one simulation, one thread. Borrow the storage, which outlives them
// Lifetime   made after `SimStorage::restart`, useless after the next power cut. A write in flight
//            goes on when its SimDisk is destroyed; a read is forgotten
// Allocates  the copy that a write in flight is kept in
#pragma once

#include "drivers/disk/sim/sim_storage.h"

#include <deque>

namespace penstock::drivers {

class SimDisk final : public env::Disk {
 public:
  explicit SimDisk(SimStorage& storage, std::size_t depth = 64);
  ~SimDisk() override;
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  [[nodiscard]] std::size_t depth() const override { return depth_; }
  [[nodiscard]] std::size_t submit(std::span<const env::DiskOp> ops) override;
  void hand_over() override {}  // it has everything at once
  [[nodiscard]] std::size_t reap(std::span<env::DiskDone> out) override;
  [[nodiscard]] std::size_t pending() const { return pending_; }

 private:
  friend class SimStorage;

  SimStorage& storage_;
  std::size_t depth_;
  std::uint64_t boot_;
  std::size_t pending_ = 0;  // submitted and not reaped
  std::deque<env::DiskDone> done_;
};

class SimVolume final : public env::Volume {
 public:
  explicit SimVolume(SimStorage& storage) : storage_(storage), boot_(storage.boots()) {}

  [[nodiscard]] Result<env::VolumeInfo> info() override;
  [[nodiscard]] Result<std::vector<env::FileInfo>> list(std::string_view directory) override;
  [[nodiscard]] Result<> make_directory(std::string_view name) override;
  [[nodiscard]] Result<env::FileId> open(std::string_view name) override;
  [[nodiscard]] Result<env::FileId> create(std::string_view name) override;
  [[nodiscard]] Result<> rename(std::string_view from, std::string_view to) override;
  [[nodiscard]] Result<> remove(std::string_view name) override;
  [[nodiscard]] Result<> sync_directory(std::string_view directory) override;
  void close(env::FileId file) override;
  [[nodiscard]] Result<std::uint64_t> size(env::FileId file) override;
  [[nodiscard]] Result<> read(env::FileId file, std::uint64_t offset,
                              std::span<std::byte> out) override;
  [[nodiscard]] Result<> write(env::FileId file, std::uint64_t offset,
                               std::span<const std::byte> bytes) override;

 private:
  [[nodiscard]] bool dead() const { return !storage_.alive(boot_); }

  SimStorage& storage_;
  std::uint64_t boot_;
};

}  // namespace penstock::drivers
