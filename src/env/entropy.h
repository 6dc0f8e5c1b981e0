// Unpredictable bytes (getrandom(2)); a seeded stream in simulation.
#pragma once

#include <cstddef>
#include <span>

namespace penstock::env {

class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void fill(std::span<std::byte> out) = 0;
};

}  // namespace penstock::env
