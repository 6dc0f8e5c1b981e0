// Goal: a core that sleeps on its ring wakes for a completion, a wake and a deadline, and never
// misses one. Method: real rings and threads; sleeps are long, so that a lost wake-up shows as a
// wait that ends late.
#include "drivers/ring/waiter.h"

#include "drivers/clock/system/system_clock.h"
#include "drivers/disk/uring/uring_disk.h"
#include "drivers/ring/probe.h"
#include "drivers/socket/uring/uring_socket.h"
#include "tests/unit/drivers/buffers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <random>
#include <thread>

namespace penstock::drivers {
namespace {

constexpr std::int64_t kLong = 20 * kNanosPerSecond;

class WaiterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const RingProbe probe = probe_ring(); !probe.usable()) GTEST_SKIP() << probe.reason;
    main_ = std::move(*Ring::create());
    further_ = std::move(*Ring::create());
    waiter_ = std::move(*RingWaiter::create(*main_));
    ASSERT_TRUE(waiter_->watch(*further_).has_value());
  }

  // How long a wait of at most `nanos` takes.
  std::int64_t wait(std::int64_t nanos) {
    const Nanos begin = clock_.now();
    waiter_->wait(begin + nanos);
    main_->turn();
    return clock_.now() - begin;
  }

  SystemClock clock_;
  std::unique_ptr<Ring> main_;
  std::unique_ptr<Ring> further_;
  std::unique_ptr<RingWaiter> waiter_;
};

TEST_F(WaiterTest, EndsAtItsDeadline) {
  const std::int64_t took = wait(30 * kNanosPerMilli);
  EXPECT_GE(took, 29 * kNanosPerMilli);
  EXPECT_LT(took, kLong);
  EXPECT_LT(wait(-1), kLong);
}

TEST_F(WaiterTest, WakeBeforeTheWaitIsNotLost) {
  waiter_->wake();
  EXPECT_LT(wait(kLong), kLong / 2);
  EXPECT_GE(wait(20 * kNanosPerMilli), 19 * kNanosPerMilli);  // and counts once
}

TEST_F(WaiterTest, WakeEndsASleep) {
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    waiter_->wake();
  });
  EXPECT_LT(wait(kLong), kLong / 2);
  other.join();
}

TEST_F(WaiterTest, NoWakeIsLostInARace) {
  constexpr std::uint64_t kRounds = 20'000;
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> seen{0};
  std::thread other([&] {
    for (std::uint64_t round = 1; round <= kRounds; ++round) {
      sent.store(round, std::memory_order_release);
      waiter_->wake();
      while (seen.load(std::memory_order_acquire) < round) {
      }
    }
  });
  std::int64_t longest = 0;
  while (seen.load(std::memory_order_relaxed) < kRounds) {
    const std::uint64_t now = sent.load(std::memory_order_acquire);
    if (now > seen.load(std::memory_order_relaxed)) {
      seen.store(now, std::memory_order_release);
      continue;
    }
    longest = std::max(longest, wait(kLong));
  }
  other.join();
  EXPECT_LT(longest, kLong / 2);
}

TEST_F(WaiterTest, CompletionOnEitherRingEndsTheSleep) {
  const std::string name = "waiter-" + std::to_string(std::random_device{}());
  const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  if (fd < 0) GTEST_SKIP() << "no O_DIRECT in the build directory";
  ::unlink(name.c_str());
  Buffer data(env::kSector, 0x21);
  for (Ring* ring : {main_.get(), further_.get()}) {
    UringDisk disk(*ring, 2);
    for (int round = 0; round < 50; ++round) {
      const env::DiskOp op{.kind = env::DiskKind::kWrite,
                           .durable = true,
                           .file = static_cast<env::FileId>(fd),
                           .offset = 0,
                           .data = data.data(),
                           .length = env::kSector,
                           .tag = 9};
      ASSERT_EQ(disk.submit({&op, 1}), 1U);
      env::DiskDone done;
      while (disk.reap({&done, 1}) == 0) ASSERT_LT(wait(kLong), kLong / 2);
      EXPECT_EQ(done.result, static_cast<std::int32_t>(env::kSector));
    }
  }
  ::close(fd);
}

// As a core does: its sockets' turn, which comes after its disk's, brings the disk's completion.
TEST_F(WaiterTest, CompletionThatAnotherClientsTurnBroughtEndsTheSleepOnce) {
  const std::string name = "waiter-" + std::to_string(std::random_device{}());
  const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  if (fd < 0) GTEST_SKIP() << "no O_DIRECT in the build directory";
  ::unlink(name.c_str());
  Buffer data(env::kSector, 0x21);
  UringDisk disk(*main_, 2);
  UringSocket socket(*main_);
  const env::DiskOp op{.kind = env::DiskKind::kWrite,
                       .durable = true,
                       .file = static_cast<env::FileId>(fd),
                       .offset = 0,
                       .data = data.data(),
                       .length = env::kSector,
                       .tag = 9};
  ASSERT_EQ(disk.submit({&op, 1}), 1U);
  std::array<env::SocketEvent, 4> events;
  while (!main_->held()) ASSERT_EQ(socket.reap(events), 0U);
  const auto wait = [&](std::int64_t nanos) {
    const Nanos begin = clock_.now();
    waiter_->wait(begin + nanos);
    return clock_.now() - begin;
  };
  EXPECT_LT(wait(kLong), kLong / 2);
  // Who does not fetch it is not sent round for ever.
  EXPECT_GE(wait(20 * kNanosPerMilli), 19 * kNanosPerMilli);
  env::DiskDone done;
  ASSERT_EQ(disk.reap({&done, 1}), 1U);
  EXPECT_EQ(done.tag, 9U);
  EXPECT_FALSE(main_->held());
  ::close(fd);
}

// A core that never sleeps (idle = "poll") sees completions by turns alone.
TEST_F(WaiterTest, CompletionIsSeenWithoutSleeping) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  struct Seen final : RingClient {
    void on_completion(std::uint64_t data, std::int32_t result, std::uint32_t) override {
      tag = data;
      bytes = result;
    }
    std::uint64_t tag = 0;
    std::int32_t bytes = 0;
  } seen;
  const std::uint8_t client = main_->attach(seen);
  std::array<char, 8> into{};
  io_uring_sqe* entry = main_->entry();
  io_uring_prep_read(entry, pipe[0], into.data(), into.size(), 0);
  Ring::tag(entry, client, 42);
  main_->turn();
  EXPECT_EQ(seen.tag, 0U);
  ASSERT_EQ(::write(pipe[1], "abc", 3), 3);
  const Nanos begin = clock_.now();
  while (seen.tag == 0 && clock_.now() - begin < kLong) main_->turn();
  EXPECT_EQ(seen.tag, 42U);
  EXPECT_EQ(seen.bytes, 3);
  main_->detach(client);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(RingProbe, NamesWhatItFound) {
  const RingProbe probe = probe_ring();
  if (!probe.usable()) {
    EXPECT_NE(probe.error, 0);
    EXPECT_FALSE(probe.reason.empty());
    EXPECT_FALSE(probe.remedy.empty());
    return;
  }
  EXPECT_FALSE(probe.mode.empty());
  EXPECT_GT(probe.features.size(), 8U);
  for (const RingFeature& feature : probe.features) {
    EXPECT_TRUE(feature.found || !feature.needed) << feature.name;
  }
}

}  // namespace
}  // namespace penstock::drivers
