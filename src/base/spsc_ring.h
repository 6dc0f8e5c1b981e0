// A bounded queue between one producer thread and one consumer thread.
//
// Shape      N slots, a power of two; push fails when full, pop when empty
// Owner      `push` by the producer, `pop` by the consumer; each keeps a cached copy of the other's
//            position on its own cache line
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <type_traits>

namespace penstock::base {

template <class T, std::size_t N>
class SpscRing {
  static_assert((N & (N - 1)) == 0, "N is a power of two");
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  [[nodiscard]] bool push(const T& item) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - cached_head_ == N) {
      cached_head_ = head_.load(std::memory_order_acquire);
      if (tail - cached_head_ == N) return false;
    }
    slots_[tail & (N - 1)] = item;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  [[nodiscard]] bool pop(T& out) {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == cached_tail_) {
      cached_tail_ = tail_.load(std::memory_order_acquire);
      if (head == cached_tail_) return false;
    }
    out = slots_[head & (N - 1)];
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

 private:
  alignas(64) std::atomic<std::size_t> tail_{0};  // written by the producer
  std::size_t cached_head_ = 0;                   // producer's
  alignas(64) std::atomic<std::size_t> head_{0};  // written by the consumer
  std::size_t cached_tail_ = 0;                   // consumer's
  alignas(64) std::array<T, N> slots_{};
};

}  // namespace penstock::base
