#include "tests/support/allocation_count.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::size_t> count{0};
}

namespace penstock::test {

std::size_t allocation_count() { return count.load(std::memory_order_relaxed); }

}  // namespace penstock::test

// The other forms of `new` and `delete` come down to these. The sanitizers replace them too; under them
// nothing is counted.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PENSTOCK_FOREIGN_ALLOCATOR
#endif
#endif
#ifndef PENSTOCK_FOREIGN_ALLOCATOR
void* operator new(std::size_t size) {
  count.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif
