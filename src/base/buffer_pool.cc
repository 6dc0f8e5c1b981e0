#include "base/buffer_pool.h"

#include "base/assert.h"

#include <new>

namespace penstock::base {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr std::size_t kSmallest = std::size_t{16} * 1024;

}  // namespace

std::size_t BufferPool::size_of_class(std::size_t index) {
  const std::size_t base = kSmallest << (index / 2);
  return index % 2 == 0 ? base : base + base / 2;
}

std::size_t BufferPool::class_of(std::size_t bytes) {
  for (std::size_t index = 0; index < kClasses; ++index) {
    if (size_of_class(index) >= bytes) return index;
  }
  return kClassNone;
}

std::size_t BufferPool::class_bytes(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  return index == kClassNone ? bytes : size_of_class(index);
}

BufferPool::~BufferPool() {
  PENSTOCK_ASSERT(used_ == 0);
  release_kept(kept_);
}

// Gives kept buffers back, the largest first, until `bytes` of them are gone.
void BufferPool::release_kept(std::uint64_t bytes) {
  std::uint64_t released = 0;
  for (std::size_t index = kClasses; index-- > 0;) {
    while (free_[index] != nullptr && released < bytes) {
      Free* const first = free_[index];
      free_[index] = first->next;
      ::operator delete(first, kAlignment);
      released += size_of_class(index);
    }
  }
  kept_ -= released;
}

PoolBuffer BufferPool::take(std::size_t bytes) {
  if (!has_room(bytes)) return {};
  return take_regardless(bytes);
}

PoolBuffer BufferPool::take_regardless(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  const std::size_t size = class_bytes(bytes);
  used_ += size;
  if (index != kClassNone && free_[index] != nullptr) {
    Free* const first = free_[index];
    free_[index] = first->next;
    kept_ -= size;
    return {reinterpret_cast<char*>(first), size};
  }
  if (used_ + kept_ > budget_) release_kept(used_ + kept_ - budget_);
  return {static_cast<char*>(::operator new(size, kAlignment)), size};
}

void BufferPool::give(PoolBuffer& buffer) {
  if (!buffer) return;
  PENSTOCK_ASSERT(used_ >= buffer.bytes);
  used_ -= buffer.bytes;
  ++gives_;
  const std::size_t index = class_of(buffer.bytes);
  if (index == kClassNone || used_ + kept_ + buffer.bytes > budget_) {
    ::operator delete(buffer.data, kAlignment);
  } else {
    free_[index] = new (buffer.data) Free{free_[index]};
    kept_ += buffer.bytes;
  }
  buffer = {};
}

}  // namespace penstock::base
