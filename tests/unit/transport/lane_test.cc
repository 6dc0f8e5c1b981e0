// Goal: a lane is found by its number as long as it is open, whatever came and went around it. Method: random lanes beside
// a map from the standard library.
#include "transport/lane.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace penstock::transport {
namespace {

TEST(LaneTable, FindsWhatIsOpenAndNothingElse) {
  std::mt19937 random(5);
  LaneTable table;
  std::map<std::uint32_t, Lane*> expected;
  for (int i = 0; i < 20'000; ++i) {
    const auto small = static_cast<std::uint32_t>(random() % 300);
    const std::uint32_t number = random() % 4 == 0 ? small : small << 20;
    if (const auto found = expected.find(number); found != expected.end()) {
      table.remove(*found->second);
      table.recycle(*found->second);
      expected.erase(found);
    } else {
      expected[number] = &table.open(number);
    }
    if (i % 16 != 0) continue;
    ASSERT_EQ(table.size(), expected.size());
    for (const auto& [each, lane] : expected) ASSERT_EQ(table.find(each), lane) << each;
    ASSERT_EQ(table.find(301), nullptr);
  }
  // Lanes are used again: no more than were open at once.
  EXPECT_LE(table.all().size(), 600U);
}

}  // namespace
}  // namespace penstock::transport
