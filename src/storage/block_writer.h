// Composes one block in place: frames one after the other, then the header in front of them.
//
//   begin ─► (open_frame ─► close_frame)* ─► finish
//
// Units      bytes
// Shape      frames at multiples of 8 behind the 128-byte header; zeros up to whole sectors
// Owner      its journal. The memory belongs to the tail window
// Allocates  never
// Source     src/storage/FORMAT.md §5, §6. The bodies' bytes are not summed here: batches carry their
//            own checksums, and a frame sums their headers
#pragma once

#include "base/assert.h"
#include "storage/format.h"
#include "storage/journal.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace penstock::storage {

class BlockWriter {
 public:
  [[nodiscard]] bool open() const { return block_ != nullptr; }
  [[nodiscard]] bool frame_open() const { return frame_open_; }
  [[nodiscard]] std::uint32_t frames() const { return frames_; }
  // Header and frames so far.
  [[nodiscard]] std::uint64_t used() const { return used_; }

  void begin(std::byte* block);
  // Room for a body of up to `bytes` behind the next frame header. REQUIRES: the memory is there.
  [[nodiscard]] std::span<std::byte> open_frame(std::size_t bytes);
  void close_frame(const FrameFields& fields, std::size_t body_bytes);

  // Completes every frame and the header. `header` comes with all fields that this class cannot
  // know; `each(frame, offset in the block)` sees every frame as stored. Returns the header as stored.
  template <class Each>
  format::BlockHeader finish(format::BlockHeader header, std::uint64_t& frame_no,
                             const Each& each) {
    PENSTOCK_ASSERT(open());
    PENSTOCK_ASSERT(!frame_open_);
    std::uint32_t frames_crc = 0;
    std::uint64_t at = sizeof(format::BlockHeader);
    for (std::uint32_t i = 0; i < frames_; ++i) {
      const format::FrameHeader frame = seal_frame(at, header, frame_no++, frames_crc);
      each(frame, static_cast<std::uint32_t>(at));
      at += format::frame_bytes(frame.stored_len);
    }
    PENSTOCK_ASSERT(at == used_);
    return seal_block(header, frames_crc);
  }

 private:
  [[nodiscard]] format::FrameHeader seal_frame(std::uint64_t at, const format::BlockHeader& header,
                                               std::uint64_t frame_no, std::uint32_t& frames_crc);
  format::BlockHeader seal_block(format::BlockHeader header, std::uint32_t frames_crc);

  std::byte* block_ = nullptr;
  std::uint64_t used_ = 0;
  std::uint32_t frames_ = 0;
  std::size_t frame_room_ = 0;
  bool frame_open_ = false;
};

}  // namespace penstock::storage
