// The tail window: the memory in which a journal's blocks are built and written, and from which its
// newest data is read.
//
//   ring    ├── evictable, readable ──┤── in flight, readable once durable ──┤─ open ─┤── oldest …
//                                      ▲ released                               ▲ head
//
// A block is contiguous: one that does not fit before the ring's end begins at its start. Space is
// taken from the oldest blocks, never from one that is in flight.
//
// Units      bytes; blocks are whole sectors, aligned to a sector
// Shape      in flight and open together at most half the ring, so the other half stays readable
// Owner      its journal
// Allocates  in the constructor only; pages become resident when first used
#pragma once

#include "base/pages.h"
#include "penstock/units.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace penstock::storage {

class TailWindow {
 public:
  explicit TailWindow(std::uint64_t bytes);

  // The largest block that it takes.
  [[nodiscard]] std::uint64_t block_max() const { return capacity_ / 2; }
  // Whether `reserve(bytes)` would succeed now.
  [[nodiscard]] bool has_room(std::uint64_t bytes) const;
  // Space for one block, its content undefined; what lay there is no longer readable.
  // REQUIRES: has_room(bytes), no block open.
  [[nodiscard]] std::byte* reserve(std::uint64_t bytes);
  // The open block has its final length and its place in the journal: from now on in flight. What
  // was reserved beyond it is free again.
  void commit(SegmentNumber segment, std::uint32_t offset, std::uint32_t length);
  // The oldest block in flight needs its memory no longer than readers do.
  void release();

  // The bytes at `offset` of a segment's slot, if the block that holds them is still here.
  [[nodiscard]] const std::byte* find(SegmentNumber segment, std::uint32_t offset) const;

  [[nodiscard]] std::size_t memory_bytes() const;
  [[nodiscard]] std::size_t blocks() const { return static_cast<std::size_t>(next_ - first_); }

 private:
  struct Block {
    SegmentNumber segment;
    std::uint64_t at = 0;  // position: bytes since the ring was made
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
  };
  [[nodiscard]] Block& block(std::uint64_t number) { return blocks_[number & mask_]; }
  [[nodiscard]] const Block& block(std::uint64_t number) const { return blocks_[number & mask_]; }
  [[nodiscard]] std::uint64_t place(std::uint64_t bytes) const;

  base::Pages ring_;
  std::uint64_t capacity_;
  base::Pages table_;  // of Block; as many as there are sectors in the ring
  Block* blocks_;
  std::uint64_t mask_;
  std::uint64_t first_ = 0;     // oldest block readable
  std::uint64_t released_ = 0;  // oldest block in flight
  std::uint64_t next_ = 0;      // number of the block that is open or will be next
  std::uint64_t head_ = 0;      // position where the next block may begin
  std::uint64_t open_at_ = 0;
  std::uint64_t open_bytes_ = 0;  // 0: none open
};

}  // namespace penstock::storage
