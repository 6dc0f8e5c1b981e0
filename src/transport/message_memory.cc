#include "transport/message_memory.h"

#include "base/assert.h"

#include <new>

namespace penstock::transport {

MessageMemory::~MessageMemory() {
  for (auto& slabs : slabs_) {
    while (Slab* slab = slabs.pop_front()) give_back(*slab);
  }
}

void MessageMemory::give_back(Slab& slab) {
  PENSTOCK_ASSERT(slab.used == 0);
  base::PoolBuffer memory = slab.memory;
  pool_.give(memory);
}

MessageMemory::Slab& MessageMemory::slab_with_room(std::size_t index) {
  if (Slab* slab = slabs_[index].front()) return *slab;
  const base::PoolBuffer memory = pool_.take_regardless(kSlabBytes);
  Slab* slab = new (memory.data) Slab;
  slab->memory = memory;
  slab->index = static_cast<std::uint32_t>(index);
  const std::size_t size = kBlockSmallest << index;
  // From the back, so that blocks are taken in order.
  for (std::size_t i = (kSlabBytes - kSlabHeader) / size; i-- > 0;) {
    slab->free = new (memory.data + kSlabHeader + i * size) Block{slab, slab->free};
  }
  slabs_[index].push_back(*slab);
  return *slab;
}

base::PoolBuffer MessageMemory::take(std::size_t bytes) {
  const std::size_t needed = bytes + kSlackBytes;
  ++taken_;
  if (needed + kBlockHeader > kBlockLargest) return pool_.take_regardless(needed);
  std::size_t index = 0;
  while ((kBlockSmallest << index) < needed + kBlockHeader) ++index;
  Slab& slab = slab_with_room(index);
  Block* const block = slab.free;
  slab.free = block->next;
  ++slab.used;
  if (slab.free == nullptr) slabs_[index].remove(slab);
  return {reinterpret_cast<char*>(block) + kBlockHeader, (kBlockSmallest << index) - kBlockHeader};
}

void MessageMemory::give(base::PoolBuffer& buffer) {
  if (!buffer) return;
  --taken_;
  if (buffer.bytes > kBlockLargest) {  // the pool's smallest is larger than that
    pool_.give(buffer);
    return;
  }
  auto* const block = reinterpret_cast<Block*>(buffer.data - kBlockHeader);
  Slab& slab = *block->slab;
  const std::size_t index = slab.index;
  PENSTOCK_ASSERT(slab.used > 0);
  if (slab.free == nullptr) slabs_[index].push_back(slab);
  block->next = slab.free;
  slab.free = block;
  buffer = {};
  if (--slab.used > 0) return;
  // The class's last one stays, or a lone message would make one each time.
  if (slab.link.previous == nullptr && slab.link.next == nullptr) return;
  slabs_[index].remove(slab);
  give_back(slab);
}

}  // namespace penstock::transport
