#include "server/admin_service.h"

#include <fmt/format.h>

#include <iterator>
#include <span>
#include <utility>

namespace penstock::server {
namespace {

constexpr std::string_view kPlain = "text/plain; version=0.0.4; charset=utf-8";

class Text {
 public:
  void metric(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out_), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
    name_ = name;
  }
  template <class Value>
  void sample(std::string_view labels, Value value) {
    if (labels.empty()) {
      fmt::format_to(std::back_inserter(out_), "{} {}\n", name_, value);
    } else {
      fmt::format_to(std::back_inserter(out_), "{}{{{}}} {}\n", name_, labels, value);
    }
  }
  template <class Value>
  void single(std::string_view name, std::string_view type, std::string_view help, Value value) {
    metric(name, type, help);
    sample("", value);
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string out_;
  std::string_view name_;
};

struct CoreRow {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::uint64_t (*value)(const CoreReport&);
};

void write_rows(Text& text, const std::vector<CoreReport>& cores, std::span<const CoreRow> rows) {
  for (const CoreRow& row : rows) {
    text.metric(row.name, row.type, row.help);
    for (const CoreReport& core : cores) {
      text.sample(fmt::format("core=\"{}\"", core.id.raw()), row.value(core));
    }
  }
}

void core_metrics(Text& text, const std::vector<CoreReport>& cores) {
  static constexpr CoreRow kRows[] = {
      {"penstock_core_turns_total", "counter", "Turns of the core's loop.",
       [](const CoreReport& r) { return r.counters.turns; }},
      {"penstock_core_busy_turns_total", "counter", "Turns that found something to do.",
       [](const CoreReport& r) { return r.counters.busy_turns; }},
      {"penstock_put_requests_total", "counter", "Puts that came in on the core.",
       [](const CoreReport& r) { return r.counters.puts; }},
      {"penstock_get_requests_total", "counter", "Reads that came in on the core.",
       [](const CoreReport& r) { return r.counters.reads; }},
      {"penstock_core_parcels_total", "counter",
       "Parts of puts sent to the core that owns the shard.",
       [](const CoreReport& r) { return r.counters.parcels_sent; }},
      {"penstock_rerouted_records_total", "counter",
       "Records that met a closing shard and went again.",
       [](const CoreReport& r) { return r.counters.entries_rerouted; }},
  };
  write_rows(text, cores, kRows);
  http::write_metrics(
      cores.size(), [&](std::size_t i) -> const http::FrontDoorCounters& { return cores[i].front; },
      [&](std::string_view name, std::string_view type, std::string_view help) {
        text.metric(name, type, help);
      },
      [&](std::size_t i, std::string_view label, std::uint64_t value) {
        std::string labels = fmt::format("core=\"{}\"", cores[i].id.raw());
        if (!label.empty()) labels += fmt::format(",reason=\"{}\"", label);
        text.sample(labels, value);
      });
}

// An operation is there with its successes from the start, so that rates begin at 0.
void native_metrics(Text& text, const std::vector<CoreReport>& cores) {
  static constexpr CoreRow kRows[] = {
      {"penstock_native_sessions_total", "counter", "Native sessions accepted.",
       [](const CoreReport& r) { return r.native.sessions; }},
      {"penstock_native_sessions_open", "gauge", "Native sessions open now.",
       [](const CoreReport& r) { return r.native.sessions_open; }},
      {"penstock_native_sessions_refused_total", "counter",
       "Native sessions turned away: sessions_max, or a stop.",
       [](const CoreReport& r) { return r.native.sessions_refused; }},
      {"penstock_native_denied_total", "counter", "Hellos whose proof was not accepted.",
       [](const CoreReport& r) { return r.native.denied; }},
      {"penstock_native_violations_total", "counter",
       "Native sessions closed because the client broke the protocol.",
       [](const CoreReport& r) { return r.native.violations; }},
      {"penstock_native_bytes_in_total", "counter", "Bytes received on native connections.",
       [](const CoreReport& r) { return r.native_bytes.bytes_in; }},
      {"penstock_native_bytes_out_total", "counter", "Bytes sent on native connections.",
       [](const CoreReport& r) { return r.native_bytes.bytes_out; }},
      {"penstock_native_tls_failures_total", "counter",
       "Native TLS handshakes or records that failed.",
       [](const CoreReport& r) { return r.native_bytes.tls_failures; }},
      {"penstock_native_zero_copy_sends_total", "counter",
       "Sends that were to go without a copy (zero_copy_send).",
       [](const CoreReport& r) { return r.native_bytes.uncopied; }},
      {"penstock_native_zero_copy_copied_total", "counter",
       "Of these, sends that the kernel copied all the same.",
       [](const CoreReport& r) { return r.native_bytes.copied; }},
      {"penstock_native_batches_total", "counter", "Batches that came in.",
       [](const CoreReport& r) { return r.native.batches_in; }},
      {"penstock_native_batches_stored_total", "counter", "Batches stored as they came.",
       [](const CoreReport& r) { return r.native.batches_stored; }},
      {"penstock_native_batches_split_total", "counter",
       "Batches of several shards, split by copying.",
       [](const CoreReport& r) { return r.native.batches_split; }},
      {"penstock_native_batches_repeated_total", "counter",
       "Batches that an idempotent producer sent again and that were stored before.",
       [](const CoreReport& r) { return r.native.batches_repeated; }},
      {"penstock_native_batches_refused_total", "counter", "Batches refused, for whatever reason.",
       [](const CoreReport& r) { return r.native.batches_refused; }},
      {"penstock_native_records_in_total", "counter", "Records stored for native clients.",
       [](const CoreReport& r) { return r.native.records_in; }},
      {"penstock_native_records_out_total", "counter", "Records delivered to native clients.",
       [](const CoreReport& r) { return r.native.records_out; }},
      {"penstock_native_deliveries_total", "counter", "Deliveries to subscriptions.",
       [](const CoreReport& r) { return r.native.deliveries; }},
      {"penstock_native_readers_slow_total", "counter",
       "Readers ended because the client did not take what it asked for.",
       [](const CoreReport& r) { return r.native.readers_slow; }},
  };
  write_rows(text, cores, kRows);
}

void kinesis_metrics(Text& text, const std::vector<CoreReport>& cores) {
  text.metric("penstock_kinesis_requests_total", "counter",
              "Requests answered, by operation and HTTP status.");
  for (const CoreReport& core : cores) {
    for (std::size_t i = 0; i < http::kOperations; ++i) {
      const auto operation = static_cast<http::Operation>(i);
      const bool served =
          operation != http::Operation::kAbsent && operation != http::Operation::kUnknown;
      for (const int status : http::kAnswerStatuses) {
        const std::uint64_t count = core.kinesis.answered_with(operation, status);
        if (count == 0 && !(served && status == 200)) continue;
        text.sample(fmt::format("core=\"{}\",operation=\"{}\",status=\"{}\"", core.id.raw(),
                                http::operation_name(operation), status),
                    count);
      }
    }
  }
  using C = http::KinesisCounters;
  struct Row {
    std::string_view name;
    std::string_view help;
    std::uint64_t C::* value;
  };
  static constexpr Row kRows[] = {
      {"penstock_kinesis_unauthenticated_total", "Requests refused for their signature.",
       &C::unauthenticated},
      {"penstock_kinesis_acknowledged_records_total", "Records acknowledged.", &C::records_stored},
      {"penstock_kinesis_acknowledged_bytes_total", "Data and keys of records acknowledged.",
       &C::record_bytes_stored},
      {"penstock_kinesis_throttled_records_total",
       "Records answered with ProvisionedThroughputExceededException.", &C::records_throttled},
      {"penstock_kinesis_failed_records_total", "Records refused otherwise, or of unknown outcome.",
       &C::records_failed},
      {"penstock_kinesis_delivered_records_total", "Records that GetRecords answered with.",
       &C::records_delivered},
      {"penstock_kinesis_delivered_bytes_total", "Data and keys of these.",
       &C::record_bytes_delivered},
      {"penstock_kinesis_throttled_reads_total", "GetRecords calls over a shard's read limit.",
       &C::get_throttled},
      {"penstock_kinesis_lost_reads_total", "GetRecords calls that met lost records.",
       &C::reads_lost},
      {"penstock_kinesis_general_puts_total", "Puts that the fast codec did not understand.",
       &C::put_general},
      {"penstock_kinesis_delayed_puts_total", "PutRecords calls that waited for others to end.",
       &C::put_waited},
      {"penstock_kinesis_late_puts_total",
       "Puts not begun within their deadline: refused, nothing of them stored.", &C::put_late},
  };
  for (const Row& row : kRows) {
    text.metric(row.name, "counter", row.help);
    for (const CoreReport& core : cores) {
      text.sample(fmt::format("core=\"{}\"", core.id.raw()), core.kinesis.*row.value);
    }
  }
}

void cell_metrics(Text& text, const std::vector<CoreReport>& cores) {
  struct Row {
    std::string_view name;
    std::string_view type;
    std::string_view help;
    std::uint64_t (*value)(const CellReport&);
  };
  static constexpr Row kRows[] = {
      {"penstock_put_records_total", "counter", "Records placed in the journal.",
       [](const CellReport& r) { return r.counters.records_in; }},
      {"penstock_put_bytes_total", "counter", "Data and keys of records placed in the journal.",
       [](const CellReport& r) { return r.counters.bytes_in; }},
      {"penstock_throttled_records_total", "counter", "Records refused by a shard's write limit.",
       [](const CellReport& r) { return r.counters.records_throttled; }},
      {"penstock_refused_records_total", "counter", "Records refused for another reason.",
       [](const CellReport& r) { return r.counters.records_refused; }},
      {"penstock_unknown_records_total", "counter", "Records whose outcome is unknown.",
       [](const CellReport& r) { return r.counters.records_unknown; }},
      {"penstock_read_bytes_total", "counter", "Data and keys of records given to consumers.",
       [](const CellReport& r) { return r.counters.bytes_out; }},
      {"penstock_throttled_reads_total", "counter", "Reads refused by a shard's read limit.",
       [](const CellReport& r) { return r.counters.reads_throttled; }},
      {"penstock_journal_blocks_total", "counter", "Durable group commits.",
       [](const CellReport& r) { return r.journal.blocks; }},
      {"penstock_journal_idle_blocks_total", "counter", "Blocks written to cover the last commit.",
       [](const CellReport& r) { return r.journal.idle_blocks; }},
      {"penstock_journal_written_bytes_total", "counter", "Bytes given to the device.",
       [](const CellReport& r) { return r.journal.bytes_written; }},
      {"penstock_journal_frames_total", "counter", "Frames written.",
       [](const CellReport& r) { return r.journal.frames; }},
      {"penstock_tail_reads_total", "counter", "Frames served from memory.",
       [](const CellReport& r) { return r.journal.tail_reads; }},
      {"penstock_disk_reads_total", "counter", "Reads of the device for consumers.",
       [](const CellReport& r) { return r.journal.disk_reads; }},
      {"penstock_journal_segments", "gauge", "Segments that hold data.",
       [](const CellReport& r) { return r.journal.segments; }},
      {"penstock_journal_slots_free", "gauge", "Slots ready to be written.",
       [](const CellReport& r) { return r.journal.slots_free; }},
      {"penstock_cell_shards", "gauge", "Shards, closed ones included.",
       [](const CellReport& r) { return std::uint64_t{r.shards}; }},
      {"penstock_cell_fenced", "gauge", "1: read-only after a failed write.",
       [](const CellReport& r) { return r.fenced ? std::uint64_t{1} : std::uint64_t{0}; }},
  };
  for (const Row& row : kRows) {
    text.metric(row.name, row.type, row.help);
    for (const CoreReport& core : cores) {
      for (const CellReport& cell : core.cells) {
        text.sample(fmt::format("cell=\"{}\"", cell.id.raw()), row.value(cell));
      }
    }
  }
}

}  // namespace

std::string metrics_text(const ServiceReport& service, const std::vector<CoreReport>& cores) {
  Text text;
  text.metric("penstock_build_info", "gauge", "Always 1; the version as a label.");
  text.sample(fmt::format("version=\"{}\"", service.version), 1);
  text.metric("penstock_durability_class", "gauge",
              "Always 1; media: an acknowledgement means stable media; none: it means nothing.");
  text.sample(fmt::format("class=\"{}\"", service.durability_class), 1);
  text.single("process_cpu_seconds_total", "counter",
              "CPU time of the process, user and system, in seconds.", service.process.cpu_seconds);
  text.single("process_resident_memory_bytes", "gauge", "Memory that the process has resident.",
              service.process.resident_bytes);
  text.single("penstock_ready", "gauge", "1: takes traffic.",
              unready_reasons(service, cores).empty() ? 1 : 0);
  text.single("penstock_streams", "gauge", "Streams in every state.", service.streams);
  text.single("penstock_shards_open", "gauge", "Open shards.", service.shards_open);
  text.single("penstock_storage_used_bytes", "gauge", "Bytes of segments that hold data.",
              service.storage_used_bytes);
  text.single("penstock_storage_limit_bytes", "gauge", "The most the journal may hold.",
              service.storage_limit_bytes);
  text.single("penstock_storage_free_bytes", "gauge", "Free bytes of the file system.",
              service.file_system_free_bytes);
  text.single("penstock_journal_hours", "gauge",
              "Hours that the journal holds at the present rate.", service.journal_hours);
  text.single("penstock_retention_clock_sure", "gauge", "0: nothing expires until it is sure.",
              service.clock_sure ? 1 : 0);
  text.single("penstock_recovery_seconds", "gauge", "How long the start took to recover.",
              service.recovery_seconds);
  text.single("penstock_recovery_quarantined_blocks", "gauge",
              "Blocks of acknowledged data found unreadable at start.",
              service.recovery_quarantined_blocks);
  text.single("penstock_snapshots_total", "counter", "Snapshots made durable.", service.snapshots);
  text.single("penstock_segments_recycled_total", "counter", "Segments whose slots were reused.",
              service.segments_recycled);
  text.single("penstock_tls_certificate_expiry_seconds", "gauge",
              "When the server's certificate ends, in seconds since 1970; 0: no HTTPS.",
              service.certificate_expiry);
  core_metrics(text, cores);
  kinesis_metrics(text, cores);
  native_metrics(text, cores);
  cell_metrics(text, cores);
  return text.take();
}

// Which limit it is that puts are refused for.
Shortage journal_shortage(const ServiceReport& service, CellId cell) {
  if (cell.raw() >= service.journals.size()) return {"it has no free slot", "puts resume with one"};
  const retention::CellFullness& journal = service.journals[cell.raw()];
  if (journal.expired) {
    return {"records in it have expired, and their slots are being freed", "puts resume then"};
  }
  switch (journal.growth) {
    case retention::Growth::kSizeMax:
      return {
          fmt::format("it has all the slots that [journal] size_max leaves a cell ({} MiB of {} "
                      "MiB), and nothing in it has expired yet",
                      journal.slots_total * service.slot_bytes / kMiB,
                      service.storage_limit_bytes / kMiB),
          "wait for that, lower a stream's retention, or raise size_max and restart penstockd"};
    case retention::Growth::kDiskFull:
      return {fmt::format("the file system of {} is full ({} MiB free, a slot takes {} MiB), and "
                          "nothing in the journal has expired yet",
                          service.directory, service.file_system_free_bytes / kMiB,
                          service.slot_bytes / kMiB),
              "free space there, and puts resume by themselves"};
    case retention::Growth::kFailing:
      return {"another slot cannot be made: " + service.last_failure,
              "look at the device and the file system; penstockd tries again by itself"};
    case retention::Growth::kPossible:
      break;
  }
  return {"another slot is being made", "puts resume then"};
}

std::string fence_mend(const ServiceReport& service, CellId cell) {
  return fmt::format(
      "look at the device, then stop penstockd and run: penstock cell clear --data-dir {} --cell "
      "{}",
      service.directory, cell.raw());
}

std::vector<std::string> unready_reasons(const ServiceReport& service,
                                         const std::vector<CoreReport>& cores) {
  std::vector<std::string> reasons = service.not_ready;
  if (service.draining) reasons.emplace_back("the server is stopping");
  for (const CoreReport& core : cores) {
    for (const CellReport& cell : core.cells) {
      if (cell.fenced) {
        reasons.push_back(fmt::format("cell {} is read-only after a failed write; {}",
                                      cell.id.raw(), fence_mend(service, cell.id)));
      } else if (cell.full) {
        const Shortage shortage = journal_shortage(service, cell.id);
        reasons.push_back(
            fmt::format("the journal of cell {} is full, and puts to it are refused: {}; {}",
                        cell.id.raw(), shortage.found, shortage.mend));
      }
    }
  }
  return reasons;
}

AdminService::AdminService(MetricsGatherer& gatherer, std::function<ServiceReport()> report)
    : gatherer_(gatherer), report_(std::move(report)) {}

void AdminService::handle(http::Exchange& exchange, Nanos now, WallMillis) {
  const std::string_view path = exchange.target.substr(0, exchange.target.find('?'));
  if (exchange.method != "GET") {
    exchange.response().append("this port is read-only: GET /metrics, /livez, /readyz\n");
    exchange.respond(405, kPlain, "Allow: GET\r\n", now);
    return;
  }
  if (path == "/livez" || path == "/healthz") {
    exchange.response().append("ok\n");
    exchange.respond(200, kPlain, "", now);
    return;
  }
  const bool metrics = path == "/metrics";
  if (!metrics && path != "/readyz") {
    exchange.response().append("not found; there are /metrics, /livez, /readyz\n");
    exchange.respond(404, kPlain, "", now);
    return;
  }
  gatherer_.gather([this, &exchange, metrics](const std::vector<CoreReport>& cores, Nanos then) {
    const ServiceReport service = report_();
    if (metrics) {
      exchange.response().append(metrics_text(service, cores));
      exchange.respond(200, kPlain, "", then);
      return;
    }
    const std::vector<std::string> reasons = unready_reasons(service, cores);
    for (const std::string& reason : reasons) exchange.response().append(reason + "\n");
    if (reasons.empty()) {
      exchange.response().append("ready\n");
      if (!service.clock_sure) {
        exchange.response().append("note: nothing expires: " + service.clock_reason + "\n");
      }
      if (!service.last_failure.empty()) {
        exchange.response().append("note: " + service.last_failure + "\n");
      }
    }
    exchange.respond(reasons.empty() ? 200 : 503, kPlain, "", then);
  });
}

}  // namespace penstock::server
