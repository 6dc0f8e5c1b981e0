#include "drivers/ring/waiter.h"

#include "base/assert.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <sys/eventfd.h>
#include <utility>

namespace penstock::drivers {
namespace {

// Longer sleeps are cut into these, so that a time-out always fits the kernel's type.
constexpr std::int64_t kLongestSleep = 3600 * kNanosPerSecond;

std::int64_t boottime() {
  timespec time{};
  PENSTOCK_ASSERT(clock_gettime(CLOCK_BOOTTIME, &time) == 0);
  return time.tv_sec * kNanosPerSecond + time.tv_nsec;
}

}  // namespace

Result<std::unique_ptr<RingWaiter>> RingWaiter::create(Ring& main) {
  // Blocking: the ring's read must wait for a count, not fail for want of one.
  const int fd = eventfd(0, EFD_CLOEXEC);
  if (fd < 0) return fail(ErrorCode::kSystem, errno);
  return std::unique_ptr<RingWaiter>(new RingWaiter(main, fd));
}

RingWaiter::RingWaiter(Ring& main, int eventfd)
    : main_(main), eventfd_(eventfd), client_(main.attach(*this)) {}

RingWaiter::~RingWaiter() {
  main_.detach(client_);
  // A read that is still on the ring keeps the eventfd, and writes to memory of the ring's.
  ::close(eventfd_);
}

Result<> RingWaiter::watch(Ring& further) {
  if (const Result<> signalled = further.signal(eventfd_); !signalled) return signalled;
  further_.push_back(&further);
  return {};
}

bool RingWaiter::arm() {
  if (armed_) return true;
  io_uring_sqe* entry = main_.entry();
  if (entry == nullptr) return false;
  io_uring_prep_read(entry, eventfd_, &main_.wake_count(), sizeof(std::uint64_t), 0);
  Ring::tag(entry, client_, 0);
  armed_ = true;
  return true;
}

void RingWaiter::on_completion(std::uint64_t, std::int32_t, std::uint32_t) { armed_ = false; }

void RingWaiter::wait(Nanos deadline) {
  if (main_.held() && std::exchange(delivered_, main_.delivered()) != main_.delivered()) return;
  for (Ring* ring : further_) ring->flush();
  sleeping_.store(true);
  // The signal of a further ring's completion is gone once the main ring's turn has read it, be it before
  // or after that ring had its own turn; and the kernel gives no second one while the first completion waits.
  const bool missed =
      std::ranges::any_of(further_, [](const Ring* ring) { return ring->has_completions(); });
  if (!missed && !woken_.load() && arm()) {
    const std::int64_t left = deadline.raw() - boottime();
    if (left > 0) main_.sleep(std::min(left, kLongestSleep));
  }
  sleeping_.store(false);
  woken_.exchange(false);
}

void RingWaiter::wake() {
  if (woken_.exchange(true)) return;
  if (!sleeping_.load()) return;
  const std::uint64_t one = 1;
  ssize_t written = 0;
  do {
    written = ::write(eventfd_, &one, sizeof(one));
  } while (written < 0 && errno == EINTR);
}

}  // namespace penstock::drivers
