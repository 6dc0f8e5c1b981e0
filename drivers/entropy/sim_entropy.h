// Entropy that repeats: a seeded stream for simulation. Never for keys.
#pragma once

#include "drivers/sim/random.h"
#include "env/entropy.h"

#include <cstdint>

namespace penstock::drivers {

class SimEntropy final : public env::Entropy {
 public:
  explicit SimEntropy(std::uint64_t seed) : random_(seed, "entropy") {}
  void fill(std::span<std::byte> out) override {
    for (std::byte& byte : out) byte = static_cast<std::byte>(random_.next() >> 56);
  }

 private:
  SimRandom random_;
};

}  // namespace penstock::drivers
