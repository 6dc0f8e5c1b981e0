// Goal: the judge finds whatever is wrong with what was read back, and nothing where nothing is. Method: a load of two
// producers that is read back with one fault at a time.
#include "bench/verify.h"

#include "bench/records.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace penstock::tools::bench {
namespace {

constexpr std::uint32_t kRun = 77;
constexpr std::uint32_t kBytes = 48;
constexpr std::uint32_t kKeys = 10;
constexpr std::uint64_t kEach = 100;

struct Stored {
  std::string key;
  std::vector<std::byte> data;
};

class BenchVerify : public ::testing::Test {
 protected:
  BenchVerify() {
    for (std::uint16_t producer = 0; producer < 2; ++producer) {
      tracks_.push_back(std::make_unique<Track>(machine_clock(), true));
      RecordPool pool(kRun, producer, kBytes);
      const Keys keys(producer, kKeys);
      for (std::uint64_t number = 0; number < kEach; ++number) {
        tracks_.back()->sent(Nanos(0));
        const auto data = pool.record(number);
        stored_.push_back({std::string(keys.text(keys.of(number))), {data.begin(), data.end()}});
      }
    }
  }
  void resolve(Outcome outcome, std::uint64_t number) { tracks_[0]->result(number, outcome); }
  void resolve_rest() {
    for (auto& track : tracks_) {
      for (std::uint64_t number = 0; number < kEach; ++number) {
        if (track->outcome(number) == Outcome::kNone) track->result(number, Outcome::kStored);
      }
    }
  }
  Findings judge(bool exactly_once = true, bool alone = true, bool ordered = true) {
    resolve_rest();
    Verifier verifier({.run = kRun,
                       .record_bytes = kBytes,
                       .keys = kKeys,
                       .exactly_once = exactly_once,
                       .ordered = ordered,
                       .alone = alone},
                      tracks_);
    std::vector<Incoming> records;
    for (const Stored& record : stored_) records.push_back({record.key, record.data});
    verifier.read(records);
    return verifier.judge();
  }

  std::vector<std::unique_ptr<Track>> tracks_;
  std::vector<Stored> stored_;
};

TEST_F(BenchVerify, AllIsWell) {
  const Findings findings = judge();
  EXPECT_TRUE(findings.clean());
  EXPECT_EQ(findings.acknowledged, 2 * kEach);
  EXPECT_EQ(findings.read, 2 * kEach);
  EXPECT_NE(findings.text().find("200 acknowledged records, 200 read back: each once"),
            std::string::npos)
      << findings.text();
}

TEST_F(BenchVerify, MissingRecords) {
  stored_.erase(stored_.begin() + 3, stored_.begin() + 5);
  const Findings findings = judge();
  EXPECT_FALSE(findings.clean());
  EXPECT_EQ(findings.missing, 2U);
  EXPECT_NE(findings.text().find("2 missing"), std::string::npos) << findings.text();
}

TEST_F(BenchVerify, AnEmptyStreamIsAllMissing) {
  stored_.clear();
  EXPECT_EQ(judge().missing, 2 * kEach);
}

TEST_F(BenchVerify, TwiceIsWrongOnlyWhereOnceIsPromised) {
  stored_.push_back(stored_[3]);
  stored_.push_back(stored_[3]);
  Findings findings = judge();
  EXPECT_FALSE(findings.clean());
  EXPECT_EQ(findings.twice, 2U);
  EXPECT_EQ(findings.disordered, 0U);
}

TEST_F(BenchVerify, TwiceIsToldWhereOnceIsNotPromised) {
  stored_.push_back(stored_[3]);
  const Findings findings = judge(false);
  EXPECT_TRUE(findings.clean());
  EXPECT_EQ(findings.twice, 1U);
  EXPECT_NE(findings.text().find("1 there again"), std::string::npos) << findings.text();
}

TEST_F(BenchVerify, OrderHoldsWithinAKey) {
  std::swap(stored_[3], stored_[13]);
  const Findings findings = judge();
  EXPECT_FALSE(findings.clean());
  EXPECT_EQ(findings.disordered, 1U);
}

TEST_F(BenchVerify, OrderIsToldWhereItIsNotPromised) {
  std::swap(stored_[3], stored_[13]);
  const Findings findings = judge(false, true, false);
  EXPECT_TRUE(findings.clean());
  EXPECT_NE(findings.text().find("each at least once, unchanged; 1 out of order"),
            std::string::npos)
      << findings.text();
}

TEST_F(BenchVerify, OrderBetweenKeysIsFree) {
  std::swap(stored_[3], stored_[4]);
  std::rotate(stored_.begin(), stored_.begin() + kEach, stored_.end());
  EXPECT_TRUE(judge().clean());
}

TEST_F(BenchVerify, DamagedData) {
  stored_[3].data[5] ^= std::byte{4};
  const Findings findings = judge();
  EXPECT_FALSE(findings.clean());
  EXPECT_EQ(findings.damaged, 1U);
  EXPECT_EQ(findings.missing, 1U);
}

TEST_F(BenchVerify, AnothersKey) {
  std::swap(stored_[3].key, stored_[4].key);
  EXPECT_EQ(judge().damaged, 2U);
}

TEST_F(BenchVerify, AnotherLength) {
  RecordPool pool(kRun, 0, kBytes + 8);
  const auto data = pool.record(3);
  stored_[3].data.assign(data.begin(), data.end());
  EXPECT_EQ(judge().damaged, 1U);
}

TEST_F(BenchVerify, WhatNobodyPut) {
  RecordPool pool(kRun, 0, kBytes);
  const auto data = pool.record(kEach);  // one that has not left
  stored_.push_back({"p0000-k000000000", {data.begin(), data.end()}});
  const Findings findings = judge();
  EXPECT_EQ(findings.foreign, 1U);
  EXPECT_FALSE(findings.clean());
}

TEST_F(BenchVerify, OthersMayWriteToASharedStream) {
  RecordPool pool(kRun + 1, 0, kBytes);
  const auto data = pool.record(0);
  stored_.insert(stored_.begin(), {"p0000-k000000000", {data.begin(), data.end()}});
  stored_.push_back({"hello", std::vector<std::byte>(3)});
  const Findings findings = judge(true, false);
  EXPECT_EQ(findings.foreign, 2U);
  EXPECT_TRUE(findings.clean());
}

TEST_F(BenchVerify, WhatWasRefusedMustNotBeThere) {
  resolve(Outcome::kRefused, 3);
  const Findings findings = judge();
  EXPECT_EQ(findings.denied, 1U);
  EXPECT_FALSE(findings.clean());
}

TEST_F(BenchVerify, WhatIsRefusedOrUnknownMayBeAbsent) {
  resolve(Outcome::kRefused, 3);
  resolve(Outcome::kUnknown, 4);
  resolve(Outcome::kUnknown, 5);
  stored_.erase(stored_.begin() + 3, stored_.begin() + 5);
  const Findings findings = judge();
  EXPECT_TRUE(findings.clean());
  EXPECT_EQ(findings.unknown_stored, 1U);
  EXPECT_EQ(findings.acknowledged, 2 * kEach - 3);
}

}  // namespace
}  // namespace penstock::tools::bench
