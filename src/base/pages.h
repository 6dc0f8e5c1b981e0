// A large block of memory straight from the kernel: zero-filled, aligned to a page, and resident
// only where it was touched. What the tail window and the index live in.
//
// Units      bytes; the length is rounded up to whole pages
// Owner      whoever holds it; moves, never copies
// Errors     none: memory that the budget has promised and the kernel refuses ends the process
// Source     mmap(2), madvise(2)
#pragma once

#include <cstddef>
#include <span>
#include <utility>

namespace penstock::base {

class Pages {
 public:
  Pages() = default;
  // `huge`: asks for huge pages, which saves translations where the whole of it is in use; pages
  // are then touched by the 2 MiB.
  explicit Pages(std::size_t bytes, bool huge = false);
  ~Pages();
  Pages(Pages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return bytes_; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, bytes_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace penstock::base
