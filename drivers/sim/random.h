// Seeded chance for the simulated drivers: one stream per kind of decision, so that switching one
// kind of fault off leaves the others where they were.
//
// Owner      one simulation, one thread
// Source     xoshiro256** 1.0 (Blackman, Vigna), seeded through splitmix64
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace penstock::drivers {

class SimRandom {
 public:
  // The same seed and stream name give the same numbers on every machine.
  explicit constexpr SimRandom(std::uint64_t seed, std::string_view stream = {}) {
    std::uint64_t mix = seed;
    for (const char c : stream) {
      mix = splitmix(mix) ^ static_cast<std::uint64_t>(static_cast<unsigned char>(c));
    }
    for (std::uint64_t& word : state_) word = splitmix(mix);
  }

  constexpr std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, n). REQUIRES: n > 0. The bias of the modulo is below n / 2^64.
  constexpr std::uint64_t below(std::uint64_t n) { return next() % n; }
  // Uniform in [low, high].
  constexpr std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  // Draws even when `probability` is 0, so that the stream's position does not depend on rates.
  constexpr bool chance(double probability) {
    return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
  }

 private:
  static constexpr std::uint64_t splitmix(std::uint64_t& state) {
    state += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  std::array<std::uint64_t, 4> state_{};
};

// An order-dependent digest of what happened: the same seed must give the same one twice.
class SimTrace {
 public:
  constexpr void add(std::uint64_t value) {
    hash_ = (std::rotl(hash_, 5) ^ value) * 0x9E3779B97F4A7C15ULL;
    hash_ ^= hash_ >> 29;
  }
  [[nodiscard]] constexpr std::uint64_t hash() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

}  // namespace penstock::drivers
