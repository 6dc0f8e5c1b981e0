// Sector-aligned memory for tests of drivers.
#pragma once

#include "env/disk.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

namespace penstock::drivers {

class Buffer {
 public:
  explicit Buffer(std::size_t bytes, int fill = 0)
      : bytes_(bytes),
        data_(static_cast<std::byte*>(
            std::aligned_alloc(env::kSector, bytes == 0 ? env::kSector : bytes))) {
    std::memset(data_.get(), fill, bytes);
  }
  [[nodiscard]] std::byte* data() { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return bytes_; }
  [[nodiscard]] std::span<std::byte> bytes() { return {data_.get(), bytes_}; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_.get(), bytes_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace penstock::drivers
