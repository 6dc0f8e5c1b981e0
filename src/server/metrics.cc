#include "server/metrics.h"

#include <algorithm>
#include <utility>

namespace penstock::server {

MetricsGatherer::MetricsGatherer(runtime::PostOffice::Post& post, std::vector<Source> sources)
    : post_(post), sources_(std::move(sources)) {}

void MetricsGatherer::gather(Done done) {
  waiting_.push_back(std::move(done));
  if (awaited_ == 0) start();
}

void MetricsGatherer::start() {
  asking_ = std::exchange(waiting_, {});
  reports_.clear();
  awaited_ = sources_.size();
  for (const Source& source : sources_) {
    post_.send(source.core->self(),
               {&MetricsGatherer::on_core, source.core, new Errand{this, source, {}}});
  }
}

void MetricsGatherer::on_core(void* target, void* item, Nanos) {
  auto& core = *static_cast<ingest::DataCore*>(target);
  auto& errand = *static_cast<Errand*>(item);
  errand.report.id = core.self();
  errand.report.counters = core.counters();
  if (errand.source.front != nullptr) errand.report.front = errand.source.front->counters();
  if (errand.source.kinesis != nullptr) errand.report.kinesis = errand.source.kinesis->counters();
  if (const net::NativeDoor* native = errand.source.native; native != nullptr) {
    errand.report.native = native->counters();
    errand.report.native_bytes = native->bytes();
  }
  for (const auto& cell : core.cells()) {
    errand.report.cells.push_back({cell->id(), cell->fenced(), cell->full(), cell->shard_count(),
                                   cell->counters(), cell->journal_metrics()});
  }
  core.send_to_service({&MetricsGatherer::on_report, errand.owner, &errand});
}

void MetricsGatherer::on_report(void* target, void* item, Nanos now) {
  auto& gatherer = *static_cast<MetricsGatherer*>(target);
  const std::unique_ptr<Errand> errand(static_cast<Errand*>(item));
  gatherer.reports_.push_back(std::move(errand->report));
  if (--gatherer.awaited_ > 0) return;
  std::ranges::sort(gatherer.reports_, {}, &CoreReport::id);
  const std::vector<Done> askers = std::exchange(gatherer.asking_, {});
  for (const Done& done : askers) done(gatherer.reports_, now);
  if (!gatherer.waiting_.empty()) gatherer.start();
}

}  // namespace penstock::server
