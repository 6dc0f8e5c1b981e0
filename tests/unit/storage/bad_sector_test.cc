// Goal: a sector that cannot be read costs what it holds, and neither the start nor the time of the start.
// Method: a volume in front of the simulated one that fails every read of one sector.
#include "storage/segment_window.h"
#include "store_rig.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <string>

namespace penstock::storage {
namespace {

class OneBadSector final : public env::Volume {
 public:
  OneBadSector(env::Volume& real, std::string file, std::uint64_t offset)
      : real_(real), file_(std::move(file)), offset_(offset) {}
  Result<env::VolumeInfo> info() override { return real_.info(); }
  Result<std::vector<env::FileInfo>> list(std::string_view directory) override {
    return real_.list(directory);
  }
  Result<> make_directory(std::string_view name) override { return real_.make_directory(name); }
  Result<env::FileId> open(std::string_view name) override {
    auto file = real_.open(name);
    if (file) names_[*file] = name;
    return file;
  }
  Result<env::FileId> create(std::string_view name) override { return real_.create(name); }
  Result<> rename(std::string_view from, std::string_view to) override {
    return real_.rename(from, to);
  }
  Result<> remove(std::string_view name) override { return real_.remove(name); }
  Result<> sync_directory(std::string_view directory) override {
    return real_.sync_directory(directory);
  }
  void close(env::FileId file) override { real_.close(file); }
  Result<std::uint64_t> size(env::FileId file) override { return real_.size(file); }
  Result<> read(env::FileId file, std::uint64_t offset, std::span<std::byte> out) override {
    if (names_[file] == file_ && offset <= offset_ && offset_ < offset + out.size()) {
      ++failed_reads;
      return fail(ErrorCode::kSystem, EIO);
    }
    return real_.read(file, offset, out);
  }
  Result<> write(env::FileId file, std::uint64_t offset,
                 std::span<const std::byte> bytes) override {
    return real_.write(file, offset, bytes);
  }
  std::uint64_t failed_reads = 0;

 private:
  env::Volume& real_;
  std::string file_;
  std::uint64_t offset_;
  std::map<env::FileId, std::string> names_;
};

// Two blocks that somebody called durable, and the idle block that says so; where the next one would go.
std::uint64_t fill(StoreRig& rig) {
  EXPECT_TRUE(rig.open().has_value());
  Forge forge(rig);
  forge.open_segment();
  forge.data(1, 0, 1);
  forge.data(1, 1, 1, 1);
  forge.idle();
  const std::uint64_t end = forge.offset();
  rig.reboot();
  return end;
}

TEST(BadSector, CostsNothingWhereNothingIsStored) {
  for (const bool tail : {false, true}) {
    for (const auto& [slot, at] : {std::pair{"cell-00/slot-0003", kMiB - 4096},
                                   std::pair{"cell-00/slot-0003", std::uint64_t{0}},
                                   std::pair{"cell-00/slot-0000", std::uint64_t{0}}}) {
      StoreRig rig;
      const std::uint64_t end = fill(rig);
      OneBadSector volume(*rig.volume, tail ? "cell-00/slot-0000" : slot, tail ? end : at);
      auto store = Store::open(volume);
      ASSERT_TRUE(store.has_value()) << slot << " " << at;
      const auto cells = (*store)->take_cells();
      EXPECT_EQ(cells.at(0).journal->recovered, Lsn(3)) << slot << " " << at;
      EXPECT_EQ((*store)->report().quarantined_blocks, 0U);
    }
  }
}

TEST(BadSector, OfAnAcknowledgedBlockIsNamed) {
  StoreRig rig;
  fill(rig);
  OneBadSector volume(*rig.volume, "cell-00/slot-0000", 4096);
  auto store = Store::open(volume);
  ASSERT_TRUE(store.has_value());
  EXPECT_EQ((*store)->take_cells().at(0).journal->recovered, Lsn(3));
  EXPECT_EQ((*store)->report().quarantined_blocks, 1U);
}

// A scan asks for it a few times, not once with each of its neighbours.
TEST(BadSector, IsNotAskedForAgainAndAgain) {
  drivers::SimTime time;
  drivers::SimStorage storage(time, {}, 1);
  drivers::SimVolume volume(storage);
  const env::FileId file = *volume.create("slot");
  const base::Pages zeros(4 * kMiB);
  for (std::uint64_t at = 0; at < 16 * kMiB; at += 4 * kMiB) {
    ASSERT_TRUE(volume.write(file, at, zeros.bytes()).has_value());
  }
  volume.close(file);
  OneBadSector bad(volume, "slot", 8 * kMiB - 4096);
  SegmentWindow window(bad);
  window.open(*bad.open("slot"), 16 * kMiB);
  std::uint64_t unreadable = 0;
  for (std::uint64_t at = 4096; at < 16 * kMiB; at += 4096) {
    unreadable += window.at(at, 4096) ? 0 : 1;
  }
  EXPECT_EQ(unreadable, 1U);
  EXPECT_LT(bad.failed_reads, 40U);
}

}  // namespace
}  // namespace penstock::storage
