// Goal: mails arrive once, in order, on the receiver's turn; a full ring is seen as back-pressure
// and loses nothing; receivers are woken. Method: cores turned by hand, then two threads.
#include "runtime/mail.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace penstock::runtime {
namespace {

const CoreId kA(0);
const CoreId kB(1);

struct Inbox {
  std::vector<std::uintptr_t> seen;
};

void note(void* target, void* item, Nanos) {
  static_cast<Inbox*>(target)->seen.push_back(reinterpret_cast<std::uintptr_t>(item));
}

[[nodiscard]] Mail mail_to(Inbox& inbox, std::uintptr_t value) {
  return Mail{note, &inbox, reinterpret_cast<void*>(value)};
}

class CountingWaiter final : public env::Waiter {
 public:
  void wait(Nanos) override {}
  void wake() override { ++wakes; }
  int wakes = 0;
};

TEST(Mail, ArrivesInOrderOnTheReceiversTurn) {
  PostOffice office(2);
  Inbox inbox;
  for (std::uintptr_t i = 1; i <= 10; ++i) office.post(kA).send(kB, mail_to(inbox, i));
  EXPECT_TRUE(inbox.seen.empty());
  EXPECT_EQ(office.post(kA).deliver(Nanos(0)), 0U);
  EXPECT_EQ(office.post(kB).deliver(Nanos(0)), 10U);
  ASSERT_EQ(inbox.seen.size(), 10U);
  for (std::uintptr_t i = 0; i < 10; ++i) EXPECT_EQ(inbox.seen[i], i + 1);
}

TEST(Mail, AFullRingFillsTheOutboxAndKeepsTheOrder) {
  PostOffice office(2);
  Inbox inbox;
  const std::uintptr_t total = kMailboxSlots + 500;
  for (std::uintptr_t i = 0; i < total; ++i) office.post(kA).send(kB, mail_to(inbox, i));
  EXPECT_FALSE(office.post(kA).outbox_empty());
  for (int turn = 0; turn < 10; ++turn) {
    EXPECT_LE(office.post(kB).deliver(Nanos(0)), kMailPerTurn);
    static_cast<void>(office.post(kA).deliver(Nanos(0)));
  }
  EXPECT_TRUE(office.post(kA).outbox_empty());
  ASSERT_EQ(inbox.seen.size(), total);
  for (std::uintptr_t i = 0; i < total; ++i) ASSERT_EQ(inbox.seen[i], i);
}

TEST(Mail, WakesEachReceiverOncePerTurn) {
  PostOffice office(3);
  CountingWaiter waiters[3];
  for (std::uint16_t i = 0; i < 3; ++i) office.set_waiter(CoreId(i), &waiters[i]);
  Inbox inbox;
  office.post(kA).send(kB, mail_to(inbox, 1));
  office.post(kA).send(kB, mail_to(inbox, 2));
  office.post(kA).wake_receivers();
  office.post(kA).wake_receivers();
  EXPECT_EQ(waiters[0].wakes, 0);
  EXPECT_EQ(waiters[1].wakes, 1);
  EXPECT_EQ(waiters[2].wakes, 0);
}

struct Echo {
  PostOffice* office;
  int deliveries = 0;
};

TEST(Mail, OwnMailWaitsForTheNextTurn) {
  PostOffice office(1);
  Echo echo{&office};
  const Mail mail{[](void* target, void*, Nanos) {
                    Echo& self = *static_cast<Echo*>(target);
                    ++self.deliveries;
                    self.office->post(kA).send(kA, Mail{[](void* again, void*, Nanos) {
                                                          ++static_cast<Echo*>(again)->deliveries;
                                                        },
                                                        target, nullptr});
                  },
                  &echo, nullptr};
  office.post(kA).send(kA, mail);
  EXPECT_EQ(office.post(kA).deliver(Nanos(0)), 1U);
  EXPECT_EQ(echo.deliveries, 1);
  EXPECT_EQ(office.post(kA).deliver(Nanos(0)), 1U);
  EXPECT_EQ(echo.deliveries, 2);
}

TEST(Mail, CrossesThreadsWithoutLossOrReordering) {
  PostOffice office(2);
  Inbox inbox;
  constexpr std::uintptr_t kTotal = 50'000;
  std::thread sender([&] {
    PostOffice::Post& post = office.post(kA);
    for (std::uintptr_t i = 0; i < kTotal; ++i) post.send(kB, mail_to(inbox, i));
    while (!post.outbox_empty()) {
      static_cast<void>(post.deliver(Nanos(0)));
      std::this_thread::yield();
    }
  });
  while (inbox.seen.size() < kTotal) {
    if (office.post(kB).deliver(Nanos(0)) == 0) std::this_thread::yield();
  }
  sender.join();
  for (std::uintptr_t i = 0; i < kTotal; ++i) ASSERT_EQ(inbox.seen[i], i);
}

}  // namespace
}  // namespace penstock::runtime
