#include "server/control_post.h"

#include "server/audit.h"

#include <memory>

namespace penstock::server {

void ControlPost::start(proto::ControlRequest& request, Nanos) {
  request.home = post_.self();
  errands_.push_back(
      std::make_unique<Errand>(Errand{this, &request, request.done, request.context}));
  request.done = &ControlPost::on_answer;
  request.context = errands_.back().get();
  post_.send(service_post_.self(), {&ControlPost::on_service, this, &request});
}

void ControlPost::on_service(void* target, void* item, Nanos now) {
  static_cast<ControlPost*>(target)->catalog_.start_local(
      *static_cast<proto::ControlRequest*>(item), now);
}

// Still on the service core.
void ControlPost::on_answer(proto::ControlRequest& request, Nanos) {
  auto* errand = static_cast<Errand*>(request.context);
  tell_change(request, errand->owner->tell_);
  errand->owner->service_post_.send(request.home, {&ControlPost::on_home, errand->owner, errand});
}

void ControlPost::on_home(void*, void* item, Nanos now) {
  const Errand errand = *static_cast<Errand*>(item);
  std::erase_if(errand.owner->errands_, [&](const auto& kept) { return kept.get() == item; });
  errand.request->done = errand.done;
  errand.request->context = errand.context;
  errand.done(*errand.request, now);
}

}  // namespace penstock::server
