// The administration port: read-only, loopback, plain HTTP. /metrics for Prometheus, /livez while the
// process turns, /readyz with the reasons why not.
//
// Owner      the service core
#pragma once

#include "http/exchange.h"
#include "retention/fullness.h"
#include "server/metrics.h"
#include "server/process_use.h"

#include <functional>
#include <string>
#include <vector>

namespace penstock::server {

// What the service core itself knows; filled at each scrape.
struct ServiceReport {
  std::string durability_class;  // "media" or "none"
  std::string version;
  std::string directory;  // for the commands that mend
  ProcessUse process;
  bool draining = false;
  bool clock_sure = true;
  std::string clock_reason;
  std::uint64_t streams = 0;
  std::uint64_t shards_open = 0;
  std::uint64_t storage_used_bytes = 0;
  std::uint64_t storage_limit_bytes = 0;
  std::uint64_t file_system_free_bytes = 0;
  double journal_hours = 0;  // that the whole journal holds at the present rate
  std::string last_failure;  // of growing, snapshots or recycling, in words
  double recovery_seconds = 0;
  std::uint64_t recovery_quarantined_blocks = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t segments_recycled = 0;
  std::int64_t certificate_expiry = 0;            // seconds since 1970; 0: no HTTPS
  bool snapshots_fail = false;                    // the last one did
  bool disk_full = false;                         // the journal could not grow
  std::vector<std::string> not_ready;             // reasons beyond fenced and full cells
  std::vector<retention::CellFullness> journals;  // by cell
  std::uint64_t slot_bytes = 0;
};

class AdminService final : public http::Service {
 public:
  AdminService(MetricsGatherer& gatherer, std::function<ServiceReport()> report);
  void handle(http::Exchange& exchange, Nanos now, WallMillis wall) override;

 private:
  MetricsGatherer& gatherer_;
  std::function<ServiceReport()> report_;
};

// Prometheus' text of the reports.
[[nodiscard]] std::string metrics_text(const ServiceReport& service,
                                       const std::vector<CoreReport>& cores);
// What a full journal lacks, and what mends it.
struct Shortage {
  std::string found;
  std::string mend;
};
[[nodiscard]] Shortage journal_shortage(const ServiceReport& service, CellId cell);
// What to do where a cell is fenced.
[[nodiscard]] std::string fence_mend(const ServiceReport& service, CellId cell);
// Why the server is not ready; empty when it is.
[[nodiscard]] std::vector<std::string> unready_reasons(const ServiceReport& service,
                                                       const std::vector<CoreReport>& cores);

}  // namespace penstock::server
