// Memory for request bodies, answers and messages, in size classes, counted against one budget.
//
// Shape      classes of 16 KiB · {1, 1.5} · 2^n up to 64 MiB, aligned to 64; larger ones by the piece
// Owner      one core
// Allocates  when no free buffer of a class is there; given-back buffers are kept while the budget
//            has room for them
// Errors     `take` gives nothing when the budget is used up: that is back-pressure
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace penstock::base {

struct PoolBuffer {
  char* data = nullptr;
  std::size_t bytes = 0;  // its class's size, at least what was asked for
  explicit operator bool() const { return data != nullptr; }
};

class BufferPool {
 public:
  explicit BufferPool(std::uint64_t budget) : budget_(budget) {}
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  [[nodiscard]] PoolBuffer take(std::size_t bytes);
  // Whether a buffer of `bytes` may be taken, if `held` bytes of what is used do not count and
  // `spared` bytes of the budget are left to others.
  [[nodiscard]] bool has_room(std::size_t bytes, std::size_t held = 0,
                              std::uint64_t spared = 0) const {
    return used_ - held + class_bytes(bytes) + spared <= budget_;
  }
  // For what cannot be refused any more: counts, and so holds back what comes later.
  [[nodiscard]] PoolBuffer take_regardless(std::size_t bytes);
  void give(PoolBuffer& buffer);  // leaves it empty

  [[nodiscard]] std::uint64_t used() const { return used_; }
  [[nodiscard]] std::uint64_t budget() const { return budget_; }
  // Rises whenever memory was given back: no use to ask again before.
  [[nodiscard]] std::uint64_t gives() const { return gives_; }
  // What `take` counts for a request of so many bytes.
  [[nodiscard]] static std::size_t class_bytes(std::size_t bytes);

 private:
  static constexpr std::size_t kClasses = 25;
  static constexpr std::size_t kClassNone = kClasses;
  struct Free {
    Free* next;
  };

  [[nodiscard]] static std::size_t class_of(std::size_t bytes);
  [[nodiscard]] static std::size_t size_of_class(std::size_t index);
  void release_kept(std::uint64_t bytes);

  std::array<Free*, kClasses> free_{};
  std::uint64_t budget_;
  std::uint64_t used_ = 0;
  std::uint64_t gives_ = 0;
  std::uint64_t kept_ = 0;  // free, not given back to the allocator
};

}  // namespace penstock::base
