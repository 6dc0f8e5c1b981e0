// A data core's way to the catalogue: administrative calls go to the service core by mail and come back
// answered.
//
// Owner      one per data core
// Allocates  for each call
#pragma once

#include "catalog/catalog.h"
#include "penstock/ids.h"
#include "proto/kinesis.h"
#include "runtime/mail.h"
#include "server/log.h"

#include <memory>
#include <utility>
#include <vector>

namespace penstock::server {

class ControlPost final : public proto::ControlPlane {
 public:
  // `post` is the asking core's, `service_post` the service core's.
  ControlPost(runtime::PostOffice::Post& post, runtime::PostOffice::Post& service_post,
              catalog::Catalog& catalog, LogSink tell)
      : post_(post), service_post_(service_post), catalog_(catalog), tell_(std::move(tell)) {}
  void start(proto::ControlRequest& request, Nanos now) override;

 private:
  // What the request said before it travelled.
  struct Errand {
    ControlPost* owner;
    proto::ControlRequest* request;
    void (*done)(proto::ControlRequest& request, Nanos now);
    void* context;
  };
  static void on_service(void* target, void* item, Nanos now);
  static void on_answer(proto::ControlRequest& request, Nanos now);
  static void on_home(void* target, void* item, Nanos now);

  runtime::PostOffice::Post& post_;
  runtime::PostOffice::Post& service_post_;
  catalog::Catalog& catalog_;
  LogSink tell_;                                  // used on the service core
  std::vector<std::unique_ptr<Errand>> errands_;  // under way; few
};

}  // namespace penstock::server
