#include "server/service_core.h"

#include <algorithm>

namespace penstock::server {

namespace {
constexpr std::int64_t kClockStep = 250 * kNanosPerMilli;
}

runtime::WorkCount ServiceCore::poll(Nanos now, WallMillis wall) {
  runtime::WorkCount work = parts_.post.deliver(now);
  if (now >= next_clock_) {
    next_clock_ = now + kClockStep;
    parts_.clock.observe(now, wall, parts_.system_clock.wall_synchronised());
    parts_.cells.tell_retention(parts_.clock.now(now));
  }
  work += parts_.catalog.poll(now, wall);
  work += parts_.keeper.poll(now, wall);
  if (parts_.admin != nullptr) {
    work += parts_.admin->poll(now, wall);
    parts_.admin->flush();
  }
  if (parts_.events != nullptr) work += parts_.events->poll(now);
  if (!ready_.load(std::memory_order_relaxed) && parts_.catalog.ready()) {
    ready_.store(true, std::memory_order_release);
  }
  parts_.post.wake_receivers();
  return work;
}

Nanos ServiceCore::next_deadline() const {
  Nanos deadline =
      std::min({next_clock_, parts_.catalog.next_deadline(), parts_.keeper.next_deadline()});
  if (parts_.admin != nullptr) deadline = std::min(deadline, parts_.admin->next_deadline());
  if (parts_.events != nullptr) deadline = std::min(deadline, parts_.events->next_deadline());
  return deadline;
}

}  // namespace penstock::server
