// What TLS has sealed and the kernel may still read after it was sent: kept as it is until that is over.
//
// Units      bytes
// Shape      at most kBuffers at once, of all connections of a door; who finds none has its bytes copied
// Owner      one door, one core
// Allocates  buffers, until each has grown to what is sent at once (Peer::kSendBytes, twice that at most)
#pragma once

#include "base/assert.h"
#include "penstock/units.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace penstock::net {

class HeldOutput {
 public:
  static constexpr std::size_t kBuffers = 16;
  static constexpr std::uint64_t kBytesMax = kBuffers * kMiB;  // a term of the memory plan

  HeldOutput() { spare_.reserve(kBuffers); }
  [[nodiscard]] bool has_room() const { return taken_ < kBuffers; }
  // An empty one, to be given back. REQUIRES: has_room().
  [[nodiscard]] std::vector<std::byte> take() {
    PENSTOCK_ASSERT(has_room());
    ++taken_;
    std::vector<std::byte> buffer;
    if (!spare_.empty()) {
      buffer = std::move(spare_.back());
      spare_.pop_back();
    }
    return buffer;
  }
  void give(std::vector<std::byte>&& buffer) {
    PENSTOCK_ASSERT(taken_ > 0);
    --taken_;
    buffer.clear();
    spare_.push_back(std::move(buffer));
  }
  [[nodiscard]] std::size_t taken() const { return taken_; }

 private:
  std::vector<std::vector<std::byte>> spare_;
  std::size_t taken_ = 0;
};

}  // namespace penstock::net
