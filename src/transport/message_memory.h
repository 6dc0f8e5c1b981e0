// Memory for messages that come in: what the credit says is what it takes, about.
//
// Units      bytes
// Shape      small messages are blocks of 128 B … 8 KiB, carved from slabs of 64 KiB, so that a short message
//            does not take the 16 KiB of the pool's smallest buffer; others are buffers of the pool, at most half
//            as large again. 8-aligned, with kSlackBytes that may be read behind the message
// Owner      one core
// Allocates  when the pool does; a slab goes back to it with its last block, but for one of each size
#pragma once

#include "base/buffer_pool.h"
#include "base/intrusive_list.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace penstock::transport {

class MessageMemory {
 public:
  static constexpr std::size_t kSlackBytes = 64;

  explicit MessageMemory(std::uint64_t budget) : pool_(budget) {}
  ~MessageMemory();
  MessageMemory(const MessageMemory&) = delete;
  MessageMemory& operator=(const MessageMemory&) = delete;

  // Never refused: who asks has granted the credit. REQUIRES: at most 64 MiB.
  [[nodiscard]] base::PoolBuffer take(std::size_t bytes);
  void give(base::PoolBuffer& buffer);  // leaves it empty
  [[nodiscard]] std::uint64_t messages() const { return taken_; }
  // Of the pool, slabs included.
  [[nodiscard]] std::uint64_t used() const { return pool_.used(); }

 private:
  static constexpr std::size_t kClasses = 7;
  static constexpr std::size_t kBlockSmallest = 128;
  static constexpr std::size_t kBlockLargest = kBlockSmallest << (kClasses - 1);
  static constexpr std::size_t kSlabBytes = 64 * 1024;
  struct Block;
  // At the front of its own memory. In its class's list while it has a free block.
  struct Slab {
    base::PoolBuffer memory;
    base::ListLink<Slab> link;
    Block* free = nullptr;
    std::uint32_t index = 0;  // of its class
    std::uint32_t used = 0;   // blocks
  };
  // In front of each block's bytes.
  struct Block {
    Slab* slab;
    Block* next;  // while free; else the message's first bytes
  };
  static constexpr std::size_t kBlockHeader = sizeof(Slab*);
  static constexpr std::size_t kSlabHeader = 64;
  static_assert(sizeof(Slab) <= kSlabHeader);

  [[nodiscard]] Slab& slab_with_room(std::size_t index);
  void give_back(Slab& slab);

  base::BufferPool pool_;
  std::uint64_t taken_ = 0;
  std::array<base::IntrusiveList<Slab, &Slab::link>, kClasses> slabs_;
};

}  // namespace penstock::transport
