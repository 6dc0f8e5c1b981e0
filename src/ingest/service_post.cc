#include "ingest/service_post.h"

#include "base/assert.h"

namespace penstock::ingest {

ServicePost::ServicePost(runtime::PostOffice::Post& post, std::vector<DataCore*> cores,
                         std::vector<CoreId> cell_cores)
    : post_(post), cores_(std::move(cores)), cell_cores_(std::move(cell_cores)) {}

void ServicePost::start(shard::CellCommand& command, Nanos) {
  PENSTOCK_ASSERT(command.cell.raw() < cell_cores_.size());
  const CoreId owner = cell_cores_[command.cell.raw()];
  post_.send(owner, {&DataCore::on_command, cores_[owner.raw()], &command});
}

void ServicePost::publish(std::shared_ptr<const route::RouteMap> map, void (*done)(void*, Nanos),
                          void* context, Nanos) {
  auto publication = std::make_unique<Publication>();
  publication->owner = this;
  publication->map = std::move(map);
  publication->done = done;
  publication->context = context;
  publication->awaited = cores_.size();
  for (DataCore* core : cores_) publication->copies.push_back({publication.get(), core});
  for (Copy& copy : publication->copies) {
    post_.send(copy.core->self(), {&ServicePost::on_arrival, copy.core, &copy});
  }
  publications_.push_back(std::move(publication));
}

// On the data core. The post of a core is its own, so the way back starts there.
void ServicePost::on_arrival(void* target, void* item, Nanos now) {
  auto& core = *static_cast<DataCore*>(target);
  auto* copy = static_cast<Copy*>(item);
  core.adopt_map(copy->publication->map, now);
  core.send_to_service({&ServicePost::on_acknowledged, copy->publication->owner, copy});
}

void ServicePost::on_acknowledged(void* target, void* item, Nanos now) {
  auto& post = *static_cast<ServicePost*>(target);
  --static_cast<Copy*>(item)->publication->awaited;
  // A core acknowledges in order, so the oldest is complete first.
  while (!post.publications_.empty() && post.publications_.front()->awaited == 0) {
    const std::unique_ptr<Publication> publication = std::move(post.publications_.front());
    post.publications_.pop_front();
    publication->done(publication->context, now);
  }
}

void ServicePost::tell_retention(RetentionMillis retention) {
  retention_now_.store(retention, std::memory_order_relaxed);
  for (DataCore* core : cores_) {
    post_.send(core->self(), {&DataCore::on_retention_clock, core, &retention_now_});
  }
}

}  // namespace penstock::ingest
