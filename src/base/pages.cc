#include "base/pages.h"

#include "base/assert.h"

#include <sys/mman.h>

namespace penstock::base {
namespace {

constexpr std::size_t kPage = 4096;

}  // namespace

Pages::Pages(std::size_t bytes, bool huge) : bytes_((bytes + kPage - 1) / kPage * kPage) {
  PENSTOCK_ASSERT(bytes > 0);
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  PENSTOCK_ASSERT(memory != MAP_FAILED);
  data_ = static_cast<std::byte*>(memory);
  // A hint: where the kernel does not take it, small pages serve as well.
  if (huge) static_cast<void>(madvise(data_, bytes_, MADV_HUGEPAGE));
}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace penstock::base
