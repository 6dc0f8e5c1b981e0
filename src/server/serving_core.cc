#include "server/serving_core.h"

#include <utility>

namespace penstock::server {

ServingCore::ServingCore(std::unique_ptr<ingest::DataCore> core,
                         std::unique_ptr<ControlPost> control,
                         std::unique_ptr<http::KinesisService> service,
                         std::unique_ptr<http::FrontDoor> front)
    : core_(std::move(core)),
      control_(std::move(control)),
      service_(std::move(service)),
      front_(std::move(front)) {
  core_->set_front(front_.get());
}

runtime::WorkCount ServingCore::poll(Nanos now, WallMillis wall) {
  if (!draining_ && drain_asked_.load(std::memory_order_acquire)) {
    draining_ = true;
    front_->begin_drain();
    core_->end_waits(now);
  }
  // Before the first map nobody could be told what streams there are.
  front_->pause(core_->congested() || core_->routes()->epoch == 0);
  const runtime::WorkCount work = core_->poll(now, wall);
  if (draining_) {
    const bool quiet = core_->quiet();
    answered_.store(quiet && front_->answers_owed() == 0, std::memory_order_release);
    if (quiet && front_->drained()) drained_.store(true, std::memory_order_release);
  }
  return work;
}

}  // namespace penstock::server
