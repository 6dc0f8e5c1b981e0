// Takes one block apart: which frames it has, and which of them are whole.
//
// Total against any bytes; allocates for the list of frames only.
// Source     src/storage/FORMAT.md §5 and §6
#pragma once

#include "storage/format.h"

#include <cstdint>
#include <span>
#include <vector>

namespace penstock::storage {

struct BlockFrame {
  format::FrameHeader header;
  std::uint32_t offset = 0;  // of the header in the block
  std::span<const std::byte> body;
  bool body_good = false;
};

enum class BlockState : std::uint8_t {
  kBroken,   // the frame headers do not tile the payload or do not match frames_crc
  kPartial,  // frame headers are right, some bodies are not
  kWhole,
};

// REQUIRES: valid(header); `block` is total_len long.
[[nodiscard]] BlockState take_apart(const format::BlockHeader& header,
                                    std::span<const std::byte> block,
                                    std::vector<BlockFrame>& frames);

// Condition 3 of a frame.
[[nodiscard]] bool body_good(const format::FrameHeader& header, std::span<const std::byte> body);

}  // namespace penstock::storage
