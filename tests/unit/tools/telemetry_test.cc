// Goal: messages are JSON of the promised sizes, the same for the same seed, and their checksum notices
// any changed byte. Method: some ten thousand messages through a JSON parser; every byte of one changed.
#include "fleet/telemetry.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <array>
#include <set>
#include <string>

namespace penstock::tools {
namespace {

TEST(Telemetry, IsJsonOfTheSizesPromised) {
  const Routes routes(7);
  std::array<char, kMessageMax> buffer{};
  simdjson::dom::parser parser;
  std::set<std::string> kinds;
  std::size_t smallest = kMessageMax;
  std::size_t largest = 0;
  for (std::uint32_t v = 0; v < 100; ++v) {
    Vehicle vehicle(v * 9'999, 7);
    for (std::uint32_t i = 0; i < 150; ++i) {
      const std::string_view message = vehicle.next(routes, 5, 1'795'000'000'000, buffer.data());
      smallest = std::min(smallest, message.size());
      largest = std::max(largest, message.size());
      simdjson::dom::element parsed;
      ASSERT_FALSE(parser.parse(message.data(), message.size()).get(parsed)) << message;
      std::string_view text;
      kinds.insert(parsed["type"].get(text) ? "position" : std::string(text));
      ASSERT_FALSE(parsed["device"].get(text));
      ASSERT_EQ(text, vehicle.name());
      double latitude = 0;
      if (!parsed["lat"].get(latitude)) {
        ASSERT_GT(latitude, 46);
        ASSERT_LT(latitude, 49);
      }
      const auto read = read_telemetry(message);
      ASSERT_TRUE(read);
      EXPECT_TRUE(read->intact);
      EXPECT_EQ(read->vehicle, v * 9'999);
      EXPECT_EQ(read->device, vehicle.name());
      EXPECT_EQ(read->sequence, i);
      EXPECT_EQ(read->run, 5U);
    }
  }
  EXPECT_GE(smallest, 80U);
  EXPECT_LE(largest, 1'500U);
  EXPECT_GE(largest, 1'000U);
  EXPECT_EQ(kinds,
            (std::set<std::string>{"alive", "position", "engine", "tyre", "diagnostics", "trip"}));
}

TEST(Telemetry, IsTheSameForTheSameSeedAndNotForAnother) {
  const Routes routes(3);
  std::array<char, kMessageMax> one{};
  std::array<char, kMessageMax> two{};
  Vehicle a(11, 3);
  Vehicle b(11, 3);
  Vehicle c(11, 4);
  bool differs = false;
  for (int i = 0; i < 50; ++i) {
    const std::string_view message = a.next(routes, 1, 0, one.data());
    ASSERT_EQ(message, b.next(routes, 1, 0, two.data()));
    differs = differs || message != c.next(routes, 1, 0, two.data());
  }
  EXPECT_TRUE(differs);
}

TEST(Telemetry, VehiclesMove) {
  const Routes routes(3);
  std::array<char, kMessageMax> buffer{};
  Vehicle vehicle(1, 3);
  simdjson::dom::parser parser;
  std::set<double> latitudes;
  for (int i = 0; i < 200; ++i) {
    simdjson::dom::element parsed;
    const std::string_view message = vehicle.next(routes, 1, 0, buffer.data());
    ASSERT_FALSE(parser.parse(message.data(), message.size()).get(parsed));
    double latitude = 0;
    if (!parsed["lat"].get(latitude)) latitudes.insert(latitude);
  }
  EXPECT_GT(latitudes.size(), 50U);
}

TEST(Telemetry, NoticesAnyChangedByte) {
  const Routes routes(1);
  std::array<char, kMessageMax> buffer{};
  Vehicle vehicle(42, 1);
  const std::string message(vehicle.next(routes, 0x9f1c03aa, 1'795'000'000'000, buffer.data()));
  for (std::size_t i = 0; i < message.size(); ++i) {
    std::string changed = message;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto read = read_telemetry(changed);
    EXPECT_FALSE(read && read->intact) << i;
  }
  for (std::size_t size = 0; size < message.size(); ++size) {
    const auto read = read_telemetry(std::string_view(message).substr(0, size));
    EXPECT_FALSE(read && read->intact) << size;
  }
}

}  // namespace
}  // namespace penstock::tools
