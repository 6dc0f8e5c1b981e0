// Goal: the credit that is granted never promises more memory than there is, everybody gets some in turn, and who
// keeps what others wait for is closed. Method: accounts by hand, with the sums checked after each step.
#include "transport/staging.h"

#include "transport/session.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace penstock::transport {
namespace {

constexpr Nanos kStart{1000};

Nanos seconds(std::int64_t s) { return kStart + s * kNanosPerSecond; }

// Sessions are only names to Staging; these are never spoken to.
struct Rig {
  explicit Rig(std::uint64_t budget, std::uint64_t share = kMiB, std::size_t sessions = 4)
      : staging(budget, share), accounts(sessions) {
    for (std::size_t i = 0; i < sessions; ++i) {
      names.push_back(std::make_unique<Session>(SessionOptions{}, unused, kStart));
    }
  }
  ~Rig() {
    for (auto& account : accounts) {
      if (account.held() > 0) staging.release(account, account.held(), kStart);
      staging.close(account, kStart);
    }
  }
  bool open(std::size_t i) { return staging.open(accounts[i], *names[i], 64 * kKiB); }
  // Numbers of those woken, in order.
  std::vector<std::size_t> woken() {
    std::vector<std::size_t> out;
    while (const Session* session = staging.next_woken()) {
      for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i].get() == session) out.push_back(i);
      }
    }
    return out;
  }
  Staging unused{kMiB, kMiB};
  Staging staging;
  std::vector<Staging::Account> accounts;
  std::vector<std::unique_ptr<Session>> names;
};

using Numbers = std::vector<std::size_t>;

TEST(Staging, OpensNoMoreSessionsThanHaveRoom) {
  Rig rig(130 * kKiB, 64 * kKiB);
  EXPECT_TRUE(rig.open(0));
  EXPECT_TRUE(rig.open(1));
  EXPECT_FALSE(rig.open(2));
  rig.staging.close(rig.accounts[0], kStart);
  EXPECT_TRUE(rig.open(2));
  EXPECT_EQ(rig.staging.outstanding(), 128 * kKiB);
}

TEST(Staging, GrantsAgainWhatIsReleased) {
  Rig rig(kMiB);
  ASSERT_TRUE(rig.open(0));
  Staging::Account& account = rig.accounts[0];
  EXPECT_TRUE(rig.staging.begin(account, 40 * kKiB, kStart));
  EXPECT_FALSE(rig.staging.begin(account, 24 * kKiB + 8, kStart));
  EXPECT_EQ(account.granted, 64 * kKiB);
  rig.staging.release(account, 40 * kKiB, kStart);
  EXPECT_EQ(account.granted, 104 * kKiB);
  EXPECT_EQ(account.outstanding(), 64 * kKiB);
}

TEST(Staging, KeepsTheWindowThatWasAskedFor) {
  Rig rig(4 * kMiB);
  ASSERT_TRUE(rig.open(0));
  Staging::Account& account = rig.accounts[0];
  rig.staging.want(account, kMiB, kStart);
  EXPECT_EQ(account.granted, kMiB);
  EXPECT_EQ(rig.woken(), Numbers{0});
  EXPECT_TRUE(rig.staging.begin(account, kMiB, kStart));
  rig.staging.release(account, kMiB, kStart);
  EXPECT_EQ(account.outstanding(), kMiB);
}

TEST(Staging, GivesNobodyMoreThanItsShare) {
  Rig rig(16 * kMiB, kMiB);  // an eighth is 2 MiB
  ASSERT_TRUE(rig.open(0));
  Staging::Account& account = rig.accounts[0];
  rig.staging.want(account, 10 * kMiB, kStart);
  EXPECT_EQ(account.outstanding(), 2 * kMiB);
  // The wish stays: it is granted on as memory comes back.
  ASSERT_TRUE(rig.staging.begin(account, 2 * kMiB, kStart));
  rig.staging.release(account, 2 * kMiB, kStart);
  EXPECT_EQ(account.granted, 4 * kMiB);
  EXPECT_EQ(account.outstanding(), 2 * kMiB);
}

TEST(Staging, GrantsTheBlockedInTurnAndLetsNobodyPass) {
  Rig rig(4 * kMiB, 3 * kMiB);
  for (std::size_t i = 0; i < 4; ++i) ASSERT_TRUE(rig.open(i));
  rig.staging.want(rig.accounts[0], 3 * kMiB, kStart);
  ASSERT_TRUE(rig.staging.begin(rig.accounts[0], 3 * kMiB, kStart));
  EXPECT_EQ(rig.woken(), Numbers{0});
  rig.staging.want(rig.accounts[1], 2 * kMiB, kStart);    // no room
  rig.staging.want(rig.accounts[2], 128 * kKiB, kStart);  // room, but behind the other
  EXPECT_EQ(rig.woken(), Numbers{});
  EXPECT_EQ(rig.accounts[2].granted, 64 * kKiB);
  rig.staging.release(rig.accounts[0], 3 * kMiB, kStart);
  // The first has shrunk to its first credit, for others waited.
  EXPECT_EQ(rig.accounts[0].outstanding(), 64 * kKiB);
  EXPECT_EQ(rig.woken(), (Numbers{1, 2}));
  EXPECT_EQ(rig.accounts[1].granted, 2 * kMiB);
  EXPECT_EQ(rig.accounts[2].granted, 128 * kKiB);
}

TEST(Staging, ClosesWhoKeepsWhatOthersWaitFor) {
  Rig rig(4 * kMiB, 3 * kMiB);
  for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(rig.open(i));
  rig.staging.want(rig.accounts[0], 3 * kMiB, kStart);
  EXPECT_EQ(rig.woken(), Numbers{0});
  // Nobody waits: it may keep it.
  rig.staging.tick(seconds(100));
  EXPECT_TRUE(rig.accounts[0].open);
  EXPECT_EQ(rig.staging.next_deadline(), Nanos(INT64_MAX));
  rig.staging.want(rig.accounts[1], 3 * kMiB, seconds(100));
  EXPECT_EQ(rig.staging.next_deadline(), seconds(110));
  rig.staging.tick(seconds(110) - 1);
  EXPECT_TRUE(rig.accounts[0].open);
  rig.staging.tick(seconds(110));
  EXPECT_FALSE(rig.accounts[0].open);
  EXPECT_TRUE(rig.accounts[0].overdue);
  EXPECT_EQ(rig.accounts[1].granted, 3 * kMiB);
  EXPECT_EQ(rig.woken(), (Numbers{1, 0}));
}

TEST(Staging, LetsWhoUsesItsCreditKeepIt) {
  Rig rig(4 * kMiB, 3 * kMiB);
  for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(rig.open(i));
  rig.staging.want(rig.accounts[0], 3 * kMiB, kStart);
  rig.staging.want(rig.accounts[1], 3 * kMiB, kStart);
  ASSERT_TRUE(rig.staging.begin(rig.accounts[0], 3 * kMiB - 64 * kKiB, seconds(9)));
  rig.staging.tick(seconds(60));
  EXPECT_TRUE(rig.accounts[0].open);
  EXPECT_FALSE(rig.accounts[0].overdue);
}

TEST(Staging, DoesNotLetALoneWaiterHideWhoKeepsCredit) {
  Rig rig(4 * kMiB, 3 * kMiB);
  for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(rig.open(i));
  rig.staging.want(rig.accounts[0], kMiB, kStart);  // both have more than they use
  rig.staging.want(rig.accounts[1], 2 * kMiB, kStart);
  rig.staging.want(rig.accounts[0], 3 * kMiB, kStart);  // and the older waits
  rig.staging.tick(seconds(10));
  EXPECT_TRUE(rig.accounts[0].open);
  EXPECT_TRUE(rig.accounts[1].overdue);
  EXPECT_EQ(rig.accounts[0].granted, 3 * kMiB);
}

// The rule of the budget is an assertion of Staging; here it meets everything at once, and the sum is taken by hand.
TEST(Staging, StaysWithinItsBudgetWhateverIsDone) {
  for (const unsigned seed : {1U, 2U, 3U, 4U}) {
    std::mt19937_64 random(seed);
    Rig rig(3 * kMiB, kMiB, 12);
    std::uint64_t now = 0;
    for (int i = 0; i < 20'000; ++i) {
      const std::size_t who = random() % rig.accounts.size();
      Staging::Account& account = rig.accounts[who];
      const Nanos at = kStart + static_cast<std::int64_t>(now += random() % 100 * 1'000'000);
      const std::uint64_t bytes =
          round_up(random() % (kMiB >> random() % 12) + 8, std::uint64_t{8});
      switch (random() % 5) {
        case 0:
          if (!account.open && account.held() == 0) {
            account = {};
            static_cast<void>(rig.open(who));
          }
          break;
        case 1:
          if (random() % 20 == 0) rig.staging.close(account, at);
          break;
        case 2:
          if (account.open) static_cast<void>(rig.staging.begin(account, bytes, at));
          break;
        case 3:
          if (account.held() > 0) {
            rig.staging.release(account, std::min(bytes, account.held()), at);
          }
          break;
        default:
          if (account.open) rig.staging.want(account, account.begun + bytes, at);
      }
      rig.staging.tick(at);
      std::uint64_t sum = 0;
      for (const Staging::Account& each : rig.accounts) sum += each.outstanding();
      ASSERT_EQ(sum, rig.staging.outstanding());
      ASSERT_LE(sum, rig.staging.budget());
    }
  }
}

TEST(MessageMemory, TakesWhatAMessageIsLarge) {
  MessageMemory memory(64 * kMiB);
  std::vector<base::PoolBuffer> taken;
  // A hundred short messages share slabs.
  for (int i = 0; i < 100; ++i) taken.push_back(memory.take(32));
  EXPECT_EQ(memory.used(), 64 * kKiB);
  for (const std::size_t bytes : {8UL, 100UL, 8120UL, 8121UL, 16'384UL, 1UL << 20, 16UL << 20}) {
    taken.push_back(memory.take(bytes));
    ASSERT_GE(taken.back().bytes, bytes + MessageMemory::kSlackBytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(taken.back().data) % 8, 0U);
  }
  for (std::size_t i = 0; i < taken.size(); ++i) {
    std::memset(taken[i].data, static_cast<int>(i), taken[i].bytes);
  }
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const char mark = static_cast<char>(i);
    ASSERT_EQ(taken[i].data[0], mark);
    ASSERT_EQ(taken[i].data[taken[i].bytes - 1], mark);
    memory.give(taken[i]);
  }
  EXPECT_EQ(memory.messages(), 0U);
  EXPECT_LE(memory.used(), 7 * 64 * kKiB);
}

}  // namespace
}  // namespace penstock::transport
