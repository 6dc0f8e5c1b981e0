// What the simulated vehicles say: JSON of 80 to 1,500 bytes about position, engine, tyres, faults and
// trips, each message with its vehicle, its run, its number and a checksum over all that stands before it.
// So any message can be judged by itself, and a vehicle's messages by their numbers.
//
//   {"device":"bus-000042","run":"9f1c03aa","seq":17,…,"crc":"8d3e21b0"}
//
// Units      positions in 1e-6 degrees; simulated time in milliseconds, one second a message
// Shape      seeded: the same seed and run give the same messages
// Owner      a vehicle belongs to one thread
// Allocates  never per message
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace penstock::tools {

inline constexpr std::size_t kMessageMax = 1'600;
inline constexpr std::uint32_t kVehiclesMax = 1'000'000;

// xorshift64*: a few cycles a number; quality enough for telemetry.
class FleetRandom {
 public:
  explicit FleetRandom(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL | 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1DULL;
  }
  // 0 … bound − 1.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
  }

 private:
  std::uint64_t state_;
};

// Closed tours through a region, which the vehicles drive along.
class Routes {
 public:
  struct Point {
    std::int32_t latitude;
    std::int32_t longitude;
  };
  static constexpr std::size_t kRoutes = 64;
  static constexpr std::size_t kPoints = 32;
  explicit Routes(std::uint64_t seed);
  [[nodiscard]] std::span<const Point, kPoints> route(std::size_t i) const { return routes_[i]; }

 private:
  std::array<std::array<Point, kPoints>, kRoutes> routes_;
};

class Vehicle {
 public:
  Vehicle(std::uint32_t number, std::uint64_t seed);

  // The next message, in `out` of at least kMessageMax bytes.
  [[nodiscard]] std::string_view next(const Routes& routes, std::uint32_t run,
                                      std::int64_t start_ms, char* out);
  [[nodiscard]] std::uint32_t number() const { return number_; }
  // How many messages it has made: the number of its next one.
  [[nodiscard]] std::uint32_t messages() const { return messages_; }
  // "bus-000042": the partition key.
  [[nodiscard]] std::string_view name() const { return {name_.data(), name_.size()}; }

 private:
  class Writer;
  void drive(const Routes& routes);
  void position(Writer& out) const;
  void engine(Writer& out);
  void tyres(Writer& out);
  void faults(Writer& out);
  void trip(Writer& out, const Routes& routes);

  FleetRandom random_;
  std::uint32_t number_;
  std::uint32_t messages_ = 0;
  std::array<char, 10> name_;
  Routes::Point at_{};
  std::uint32_t route_;
  std::uint32_t leg_;
  std::uint32_t progress_ = 0;  // of the leg, in 65,536ths
  std::int32_t speed_;          // km/h times 10
  std::int32_t heading_ = 0;    // degrees
  std::int32_t fuel_;           // per mille
  std::uint32_t odometer_;      // metres
};

// A message taken apart again.
struct Telemetry {
  std::string_view device;  // the key it must have come with
  std::uint32_t vehicle = 0;
  std::uint32_t run = 0;
  std::uint32_t sequence = 0;
  bool intact = false;  // the checksum is that of the content
};
// Nothing for what is no message of a simulated fleet.
[[nodiscard]] std::optional<Telemetry> read_telemetry(std::string_view message);

}  // namespace penstock::tools
