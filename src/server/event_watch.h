// Tells the log what has changed since it last looked, once a second: a cell fenced, a journal or the
// file system full, sessions turned away, the server ready or not. What /readyz says, the log says when it begins and ends.
//
// Units      nanoseconds
// Shape      an event when a condition begins, and one when it was gone for kClearLooks looks in a row:
//            a condition that comes and goes each second is told once
// Owner      the service core. Borrows the gatherer, which outlives it
// Allocates  freely: control work
// Source     docs/log-events.md
#pragma once

#include "runtime/work.h"
#include "server/admin_service.h"
#include "server/log.h"
#include "server/metrics.h"

#include <functional>
#include <vector>

namespace penstock::server {

class EventWatch {
 public:
  static constexpr int kClearLooks = 5;

  EventWatch(MetricsGatherer& gatherer, std::function<ServiceReport()> report, LogSink tell);

  [[nodiscard]] runtime::WorkCount poll(Nanos now);
  [[nodiscard]] Nanos next_deadline() const { return looking_ ? runtime::kNever : next_look_; }
  // One look: tells what differs from the last one.
  void observe(const ServiceReport& service, const std::vector<CoreReport>& cores);

 private:
  enum class Change { kNone, kBegan, kEnded };
  class Condition {
   public:
    [[nodiscard]] Change look(bool holds);

   private:
    bool told_ = false;
    int clear_ = 0;  // looks since it last held
  };
  struct CellConditions {
    Condition fenced;
    Condition full;
  };

  struct CoreConditions {
    Condition full;
    std::uint64_t refused = 0;  // sessions, at the last look
  };

  void observe_core(const CoreReport& core);
  void observe_cell(const ServiceReport& service, const CellReport& cell);
  void observe_disk(const ServiceReport& service);
  void observe_clock(const ServiceReport& service);
  void observe_readiness(const ServiceReport& service, const std::vector<CoreReport>& cores);

  MetricsGatherer& gatherer_;
  std::function<ServiceReport()> report_;
  LogSink tell_;
  Nanos next_look_;
  bool looking_ = false;
  std::vector<CoreConditions> cores_;
  std::vector<CellConditions> cells_;
  Condition disk_full_;
  Condition snapshots_fail_;
  Condition clock_unsure_;
  Condition not_ready_;
  bool was_ready_ = false;
};

}  // namespace penstock::server
