// Goal: deadlines pass in order, once, and stand still while held where that is fair. Method: a clock
// moved by hand.
#include "http/deadlines.h"

#include "runtime/work.h"

#include <gtest/gtest.h>

namespace penstock::http {
namespace {

constexpr Nanos at(std::int64_t seconds) { return Nanos(seconds * kNanosPerSecond); }

TEST(Deadlines, PassInOrderAndOnce) {
  Deadlines deadlines{FrontDoorOptions{}};
  EXPECT_EQ(deadlines.next(), runtime::kNever);
  Deadline head, idle, gone;
  deadlines.arm(idle, DeadlineKind::kIdle, at(0));  // 75 s
  deadlines.arm(head, DeadlineKind::kHead, at(1));  // 10 s
  deadlines.arm(gone, DeadlineKind::kHead, at(1));
  deadlines.disarm(gone);
  EXPECT_EQ(deadlines.next(), at(11));
  EXPECT_EQ(deadlines.expired(at(10)), nullptr);
  EXPECT_EQ(deadlines.expired(at(11)), &head);
  EXPECT_EQ(deadlines.expired(at(11)), nullptr);
  EXPECT_EQ(deadlines.next(), at(75));
  deadlines.arm(idle, DeadlineKind::kIdle, at(20));  // again: from now
  EXPECT_EQ(deadlines.expired(at(94)), nullptr);
  EXPECT_EQ(deadlines.expired(at(95)), &idle);
}

TEST(Deadlines, ForSendingStandStillWhileHeld) {
  Deadlines deadlines{FrontDoorOptions{}};
  Deadline head, write;
  deadlines.arm(head, DeadlineKind::kHead, at(0));  // 10 s
  deadlines.arm(write, DeadlineKind::kWrite,
                at(0));  // 30 s: the peer's duty is to take, held or not
  deadlines.hold(at(4));
  EXPECT_EQ(deadlines.next(), at(30));
  EXPECT_EQ(deadlines.expired(at(29)), nullptr);
  EXPECT_EQ(deadlines.expired(at(30)), &write);
  deadlines.release(at(100));
  EXPECT_EQ(deadlines.next(), at(106));
  EXPECT_EQ(deadlines.expired(at(105)), nullptr);
  EXPECT_EQ(deadlines.expired(at(106)), &head);
}

TEST(Deadlines, ForAnswersAreShortWhileOthersWait) {
  Deadlines deadlines{FrontDoorOptions{}};
  Deadline small, held, recent;
  deadlines.arm(small, DeadlineKind::kWrite, at(0));     // 30 s
  deadlines.arm(held, DeadlineKind::kWriteHeld, at(1));  // 30 s, or 2 s
  deadlines.arm(recent, DeadlineKind::kWriteHeld, at(9));
  EXPECT_EQ(deadlines.expired(at(10)), nullptr);
  deadlines.contend(true);
  EXPECT_EQ(deadlines.next(), at(3));
  EXPECT_EQ(deadlines.expired(at(10)), &held);
  EXPECT_EQ(deadlines.expired(at(10)), nullptr);
  EXPECT_EQ(deadlines.next(), at(11));
  deadlines.contend(false);
  EXPECT_EQ(deadlines.next(), at(30));
  EXPECT_EQ(deadlines.expired(at(38)), &small);
  EXPECT_EQ(deadlines.expired(at(38)), nullptr);
  EXPECT_EQ(deadlines.expired(at(39)), &recent);
}

TEST(Deadlines, ArmedWhileHeldHaveTheirFullTimeAfterwards) {
  Deadlines deadlines{FrontDoorOptions{}};
  Deadline head;
  deadlines.hold(at(0));
  deadlines.arm(head, DeadlineKind::kHead, at(50));
  deadlines.release(at(60));
  EXPECT_EQ(deadlines.next(), at(70));
  deadlines.disarm(head);
}

}  // namespace
}  // namespace penstock::http
