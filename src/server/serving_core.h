// A data core with its front doors: what one pinned thread turns.
//
// Owner      one thread; `drain` may be asked for, and `drained` looked at, from any
#pragma once

#include "http/front_door.h"
#include "http/kinesis_service.h"
#include "ingest/data_core.h"
#include "net/native_door.h"
#include "runtime/work.h"
#include "server/control_post.h"

#include <atomic>
#include <memory>

namespace penstock::server {

class ServingCore final : public runtime::Agent {
 public:
  struct Parts {
    std::unique_ptr<ingest::DataCore> core;
    std::unique_ptr<ControlPost> control;
    std::unique_ptr<http::KinesisService> service;
    std::unique_ptr<http::FrontDoor> front;
    std::unique_ptr<net::NativeDoor> native;  // null: not served
  };
  // The sockets of the front doors.
  ServingCore(Parts parts, env::Socket& front, env::Socket* native);

  runtime::WorkCount poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] Nanos next_deadline() const override { return core_->next_deadline(); }

  [[nodiscard]] ingest::DataCore& core() { return *core_; }
  [[nodiscard]] http::FrontDoor& front() { return *front_; }
  [[nodiscard]] http::KinesisService& kinesis() { return *service_; }
  [[nodiscard]] const net::NativeDoor* native() const { return native_.get(); }
  // Requests that are not answered, of all front doors.
  [[nodiscard]] std::size_t answers_owed() const;
  void drain() { drain_asked_.store(true, std::memory_order_release); }
  // Every request answered, every connection closed, nothing in flight.
  [[nodiscard]] bool drained() const { return drained_.load(std::memory_order_acquire); }
  // While draining: every request that has come whole is answered. Others may still be coming.
  [[nodiscard]] bool answered() const { return answered_.load(std::memory_order_acquire); }

 private:
  std::unique_ptr<ingest::DataCore> core_;
  std::unique_ptr<ControlPost> control_;
  std::unique_ptr<http::KinesisService> service_;
  std::unique_ptr<http::FrontDoor> front_;
  std::unique_ptr<net::NativeDoor> native_;
  bool draining_ = false;
  std::atomic<bool> drain_asked_{false};
  std::atomic<bool> drained_{false};
  std::atomic<bool> answered_{false};
};

}  // namespace penstock::server
