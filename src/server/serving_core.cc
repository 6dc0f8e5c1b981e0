#include "server/serving_core.h"

#include <utility>

namespace penstock::server {

ServingCore::ServingCore(Parts parts, env::Socket& front, env::Socket* native)
    : core_(std::move(parts.core)),
      control_(std::move(parts.control)),
      service_(std::move(parts.service)),
      front_(std::move(parts.front)),
      native_(std::move(parts.native)) {
  core_->add_front(*front_, front);
  if (native_ != nullptr) core_->add_front(*native_, *native);
}

std::size_t ServingCore::answers_owed() const {
  return front_->answers_owed() + (native_ == nullptr ? 0 : native_->answers_owed());
}

runtime::WorkCount ServingCore::poll(Nanos now, WallMillis wall) {
  if (!draining_ && drain_asked_.load(std::memory_order_acquire)) {
    draining_ = true;
    front_->begin_drain();
    if (native_ != nullptr) native_->begin_drain();
    core_->end_waits(now);
  }
  // Before the first map nobody could be told what streams there are.
  const bool paused = core_->congested() || core_->routes()->epoch == 0;
  front_->pause(paused);
  if (native_ != nullptr) native_->pause(paused);
  const runtime::WorkCount work = core_->poll(now, wall);
  if (draining_) {
    const bool quiet = core_->quiet();
    answered_.store(quiet && answers_owed() == 0, std::memory_order_release);
    const bool closed = front_->drained() && (native_ == nullptr || native_->drained());
    if (quiet && closed) drained_.store(true, std::memory_order_release);
  }
  return work;
}

}  // namespace penstock::server
