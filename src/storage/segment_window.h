// Reads a slot front to back in large pieces, and gives blocks and sectors out of them.
//
// Shape      a piece of 4 MiB, or one block where that is larger; a view lasts until the next call
// Errors     the Volume's, after it was tried again
#pragma once

#include "base/pages.h"
#include "env/disk.h"
#include "storage/format.h"
#include "storage/slot_survey.h"

#include <algorithm>
#include <cstdint>
#include <span>

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
      if (auto filled = fill(offset, length); !filled) return std::unexpected(filled.error());
    }
    return pages_.bytes().subspan(offset - begin_, length);
  }

  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  static constexpr std::uint64_t kPieceBytes = 4 * kMiB;

  Result<> fill(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t wanted = std::min(std::max(length, kPieceBytes), slot_bytes_ - offset);
    if (pages_.size() < wanted) pages_ = base::Pages(wanted);
    length_ = 0;
    auto read = read_patiently(volume_, file_, offset, pages_.bytes().first(wanted));
    // One bad sector must not take its good neighbours along.
    if (!read && wanted > length) {
      read = read_patiently(volume_, file_, offset, pages_.bytes().first(length));
      if (read) length_ = length;
    } else if (read) {
      length_ = wanted;
    }
    begin_ = offset;
    bytes_read_ += length_;
    return read;
  }

  env::Volume& volume_;
  base::Pages pages_;
  env::FileId file_ = env::FileId::kNone;
  std::uint64_t slot_bytes_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t length_ = 0;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace penstock::storage
