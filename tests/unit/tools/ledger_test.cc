// Goal: the proof that a fleet came through whole fails for each way in which it may not have. Method:
// messages are made by real vehicles, and lost, doubled, swapped, damaged by hand on their way back.
#include "fleet/ledger.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace penstock::tools {
namespace {

constexpr std::uint32_t kRun = 0xabc;

class LedgerTest : public ::testing::Test {
 protected:
  // The next `count` messages of vehicle 0, put into the ledger.
  void send(std::size_t count) {
    std::array<char, kMessageMax> buffer{};
    for (std::size_t i = 0; i < count; ++i) {
      ledger_.sent(0, vehicle_.messages());
      messages_.emplace_back(vehicle_.next(routes_, kRun, 0, buffer.data()));
    }
  }
  void read(std::size_t i) { ledger_.read(vehicle_.name(), messages_[i]); }
  void read_all() {
    for (std::size_t i = 0; i < messages_.size(); ++i) read(i);
  }

  Routes routes_{1};
  Vehicle vehicle_{0, 1};
  Ledger ledger_{4, kRun};
  std::vector<std::string> messages_;
};

TEST_F(LedgerTest, EverythingOnceInOrderIsClean) {
  send(20);
  read_all();
  const Verdict verdict = ledger_.judge();
  EXPECT_TRUE(verdict.clean());
  EXPECT_EQ(verdict.acknowledged, 20U);
  EXPECT_EQ(verdict.found, 20U);
}

TEST_F(LedgerTest, FindsOneMissingInTheMiddleAndAtTheEnd) {
  send(5);
  read(0);
  read(1);
  read(3);
  const Verdict verdict = ledger_.judge();
  EXPECT_EQ(verdict.missing, 2U);
  EXPECT_FALSE(verdict.clean());
  ASSERT_EQ(verdict.examples.size(), 2U);
  EXPECT_EQ(verdict.examples[0], "bus-000000 message 2: was acknowledged and is not there");
}

TEST_F(LedgerTest, FindsASecondCopy) {
  send(3);
  read_all();
  read(1);
  const Verdict verdict = ledger_.judge();
  EXPECT_EQ(verdict.twice, 1U);
  EXPECT_EQ(verdict.found, 3U);
}

TEST_F(LedgerTest, FindsASwap) {
  send(4);
  read(0);
  read(2);
  read(1);
  read(3);
  const Verdict verdict = ledger_.judge();
  EXPECT_EQ(verdict.disordered, 1U);
  EXPECT_EQ(verdict.missing, 0U);
}

TEST_F(LedgerTest, FindsDamageAndAWrongKey) {
  send(3);
  messages_[1][60] = messages_[1][60] == '1' ? '2' : '1';
  read(0);
  read(1);
  ledger_.read("bus-000001", messages_[2]);
  const Verdict verdict = ledger_.judge();
  EXPECT_EQ(verdict.damaged, 2U);
  EXPECT_EQ(verdict.missing, 1U);  // what is damaged does not count as found
}

TEST_F(LedgerTest, FindsWhatWasNeverSent) {
  send(2);
  std::array<char, kMessageMax> buffer{};
  const std::string extra(vehicle_.next(routes_, kRun, 0, buffer.data()));
  read_all();
  ledger_.read(vehicle_.name(), extra);
  EXPECT_EQ(ledger_.judge().never_sent, 1U);
}

TEST_F(LedgerTest, AnAttemptInDoubtMayHaveLeftACopy) {
  send(3);
  ledger_.in_doubt(0, 0);
  ledger_.in_doubt(0, 1);
  read_all();
  read(0);
  read(1);
  Verdict verdict = ledger_.judge();
  EXPECT_TRUE(verdict.clean());
  EXPECT_EQ(verdict.repeated, 2U);
  read(1);
  verdict = ledger_.judge();
  EXPECT_EQ(verdict.twice, 1U);
}

TEST_F(LedgerTest, WhatWasGivenUpOnNeedNotBeThereAndMayComeLate) {
  send(4);
  ledger_.in_doubt(0, 1);
  ledger_.unacknowledged(0, 1);
  ledger_.unacknowledged(0, 2);
  read(0);
  read(3);
  Verdict verdict = ledger_.judge();
  EXPECT_TRUE(verdict.clean());
  EXPECT_EQ(verdict.acknowledged, 2U);
  EXPECT_EQ(verdict.unacknowledged, 2U);
  read(1);
  EXPECT_TRUE(ledger_.judge().clean());
  // The service said of message 2 that it was not stored.
  read(2);
  EXPECT_EQ(ledger_.judge().twice, 1U);
}

TEST_F(LedgerTest, OtherRunsAndOtherProducersAreLeftAlone) {
  send(1);
  read_all();
  std::array<char, kMessageMax> buffer{};
  Vehicle other(2, 9);
  const std::string earlier(other.next(routes_, kRun + 1, 0, buffer.data()));
  ledger_.read(other.name(), earlier);
  ledger_.read("k", "hello");
  const Verdict verdict = ledger_.judge();
  EXPECT_TRUE(verdict.clean());
  EXPECT_EQ(verdict.foreign, 2U);
}

}  // namespace
}  // namespace penstock::tools
