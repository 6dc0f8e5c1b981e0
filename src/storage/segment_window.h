// Reads a slot front to back in large pieces, and gives blocks and sectors out of them.
//
// Shape      a piece of 4 MiB, or one block where that is larger; a view lasts until the next call
// Errors     the Volume's, after it was tried again; a bad sector fails what holds it and nothing else
#pragma once

#include "base/pages.h"
#include "env/disk.h"
#include "storage/format.h"
#include "storage/slot_survey.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace penstock::storage {

class SegmentWindow {
 public:
  explicit SegmentWindow(env::Volume& volume) : volume_(volume) {}

  void open(env::FileId file, std::uint64_t slot_bytes) {
    file_ = file;
    slot_bytes_ = slot_bytes;
    length_ = 0;
  }

  // REQUIRES: whole sectors within the slot; at most 16 MiB.
  [[nodiscard]] Result<std::span<const std::byte>> at(std::uint64_t offset, std::uint64_t length) {
    if (offset < begin_ || offset + length > begin_ + length_) {
      fill(offset, length);
    }
    const std::uint64_t first = (offset - begin_) / format::kSectorBytes;
    const std::uint64_t last = (offset - begin_ + length - 1) / format::kSectorBytes;
    for (std::uint64_t sector = first; sector <= last && any_bad_; ++sector) {
      if (bad_[sector]) return std::unexpected(failure_);
    }
    return pages_.bytes().subspan(offset - begin_, length);
  }

  // Whether anything behind `offset` can be read: one bad sector, then, and not a dead device.
  // REQUIRES: at(offset, …) has just failed.
  [[nodiscard]] bool readable_behind(std::uint64_t offset) const {
    const std::uint64_t first = (offset - begin_) / format::kSectorBytes;
    return std::find(bad_.begin() + static_cast<std::ptrdiff_t>(first), bad_.end(), false) !=
           bad_.end();
  }

  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  static constexpr std::uint64_t kPieceBytes = 4 * kMiB;

  void fill(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t wanted = std::min(std::max(length, kPieceBytes), slot_bytes_ - offset);
    if (pages_.size() < wanted) pages_ = base::Pages(wanted);
    begin_ = offset;
    length_ = wanted;
    bad_.assign(wanted / format::kSectorBytes, false);
    any_bad_ = false;
    read(0, wanted);
    bytes_read_ += wanted;
  }

  // One bad sector must not take its good neighbours along, nor be asked for again with each of them:
  // halves of what fails, down to the sector.
  void read(std::uint64_t at, std::uint64_t length) {
    const auto out = pages_.bytes().subspan(at, length);
    if (length > format::kSectorBytes) {
      if (volume_.read(file_, begin_ + at, out)) return;
      const std::uint64_t half = round_up(length / 2, std::uint64_t{format::kSectorBytes});
      read(at, half);
      return read(at + half, length - half);
    }
    const Result<> patient = read_patiently(volume_, file_, begin_ + at, out);
    if (patient) return;
    failure_ = patient.error();
    bad_[at / format::kSectorBytes] = true;
    any_bad_ = true;
  }

  env::Volume& volume_;
  base::Pages pages_;
  env::FileId file_ = env::FileId::kNone;
  std::uint64_t slot_bytes_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t length_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::vector<bool> bad_;  // sectors of the window that cannot be read
  bool any_bad_ = false;
  Error failure_ = {};
};

}  // namespace penstock::storage
