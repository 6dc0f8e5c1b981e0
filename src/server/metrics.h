// The figures of every core, gathered by mail and written in Prometheus' text format.
//
// Owner      the service core; data cores fill their own report on their own thread
// Allocates  freely; a gathering costs each data core one mail
#pragma once

#include "http/counters.h"
#include "http/front_door.h"
#include "http/kinesis_service.h"
#include "ingest/data_core.h"
#include "net/native_door.h"
#include "runtime/mail.h"
#include "shard/cell.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock::server {

struct CellReport {
  CellId id;
  bool fenced = false;
  bool full = false;  // refuses puts
  std::size_t shards = 0;
  shard::CellCounters counters;
  storage::JournalMetrics journal;
};

struct CoreReport {
  CoreId id;
  ingest::CoreCounters counters;
  http::FrontDoorCounters front;
  http::KinesisCounters kinesis;
  net::NativeCounters native;
  net::PeerCounters native_bytes;
  std::vector<CellReport> cells;
};

// Asks every data core for its report; one gathering at a time, later askers share the next.
class MetricsGatherer {
 public:
  struct Source {
    ingest::DataCore* core;
    const http::FrontDoor* front;
    const http::KinesisService* kinesis;
    const net::NativeDoor* native;
  };
  using Done = std::function<void(const std::vector<CoreReport>&, Nanos now)>;

  MetricsGatherer(runtime::PostOffice::Post& post, std::vector<Source> sources);
  void gather(Done done);

 private:
  struct Errand {
    MetricsGatherer* owner;
    Source source;
    CoreReport report;
  };
  void start();
  static void on_core(void* target, void* item, Nanos now);
  static void on_report(void* target, void* item, Nanos now);

  runtime::PostOffice::Post& post_;
  std::vector<Source> sources_;
  std::vector<Done> asking_;   // for the gathering under way
  std::vector<Done> waiting_;  // for the next one
  std::vector<CoreReport> reports_;
  std::size_t awaited_ = 0;
};

}  // namespace penstock::server
