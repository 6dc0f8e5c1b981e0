// The service core's turn: mail, catalogue, retention, administration. It never spins.
//
// Owner      one thread
#pragma once

#include "catalog/catalog.h"
#include "env/clock.h"
#include "env/socket.h"
#include "http/front_door.h"
#include "ingest/service_post.h"
#include "retention/clock.h"
#include "retention/keeper.h"
#include "runtime/mail.h"
#include "runtime/work.h"
#include "server/event_watch.h"

#include <atomic>
#include <memory>

namespace penstock::server {

class ServiceCore final : public runtime::Agent {
 public:
  struct Parts {
    runtime::PostOffice::Post& post;
    ingest::ServicePost& cells;
    catalog::Catalog& catalog;
    retention::Clock& clock;
    retention::Keeper& keeper;
    env::Clock& system_clock;
    http::FrontDoor* admin = nullptr;
    EventWatch* events = nullptr;
  };
  explicit ServiceCore(const Parts& parts) : parts_(parts) {}

  runtime::WorkCount poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] Nanos next_deadline() const override;

  // Every data core has the first map: the server may be used.
  [[nodiscard]] bool ready() const { return ready_.load(std::memory_order_acquire); }

 private:
  Parts parts_;
  Nanos next_clock_;
  std::atomic<bool> ready_{false};
};

}  // namespace penstock::server
