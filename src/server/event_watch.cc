#include "server/event_watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace penstock::server {

namespace {
constexpr std::int64_t kLookStep = kNanosPerSecond;

std::string mebibytes(std::uint64_t bytes) { return fmt::format("{} MiB", bytes / kMiB); }
}  // namespace

EventWatch::EventWatch(MetricsGatherer& gatherer, std::function<ServiceReport()> report,
                       LogSink tell)
    : gatherer_(gatherer), report_(std::move(report)), tell_(std::move(tell)) {}

runtime::WorkCount EventWatch::poll(Nanos now) {
  if (looking_ || now < next_look_) return 0;
  looking_ = true;
  gatherer_.gather([this](const std::vector<CoreReport>& cores, Nanos then) {
    looking_ = false;
    next_look_ = then + kLookStep;
    observe(report_(), cores);
  });
  return 1;
}

auto EventWatch::Condition::look(bool holds) -> Change {
  if (holds) {
    clear_ = 0;
    return std::exchange(told_, true) ? Change::kNone : Change::kBegan;
  }
  if (!told_ || ++clear_ < kClearLooks) return Change::kNone;
  told_ = false;
  return Change::kEnded;
}

// A server that stops has said so.
void EventWatch::observe(const ServiceReport& service, const std::vector<CoreReport>& cores) {
  if (service.draining) return;
  for (const CoreReport& core : cores) {
    observe_core(core);
    for (const CellReport& cell : core.cells) observe_cell(service, cell);
  }
  observe_disk(service);
  observe_clock(service);
  observe_readiness(service, cores);
}

void EventWatch::observe_core(const CoreReport& core) {
  if (cores_.size() <= core.id.raw()) cores_.resize(core.id.raw() + std::size_t{1});
  CoreConditions& known = cores_[core.id.raw()];
  const std::string id = fmt::format("{}", core.id.raw());
  const std::uint64_t before = std::exchange(known.refused, core.native.sessions_refused);
  switch (known.full.look(known.refused > before)) {
    case Change::kBegan:
      tell_(LogLevel::kWarning, "sessions_full",
            "native sessions are turned away: the core has as many as it takes",
            {{"core", id},
             {"found", fmt::format("{} open, and {} turned away within a second",
                                   core.native.sessions_open, known.refused - before)},
             {"needed", "no more than [native] sessions_max on a core"},
             {"mend",
              "close what is not used, or raise sessions_max, with it [memory] budget, and restart "
              "penstockd; who is turned away tries again by itself"}});
      break;
    case Change::kEnded:
      tell_(LogLevel::kInfo, "sessions_have_room", "no native session is turned away any more",
            {{"core", id}});
      break;
    case Change::kNone:
      break;
  }
}

void EventWatch::observe_cell(const ServiceReport& service, const CellReport& cell) {
  if (cells_.size() <= cell.id.raw()) cells_.resize(cell.id.raw() + std::size_t{1});
  CellConditions& known = cells_[cell.id.raw()];
  const std::string id = fmt::format("{}", cell.id.raw());
  if (known.fenced.look(cell.fenced) == Change::kBegan) {
    tell_(LogLevel::kError, "cell_fenced", "a cell is read-only after a failed write",
          {{"cell", id},
           {"found", "a write to its journal failed or came short"},
           {"needed", "a device that writes what it is given"},
           {"mend", fence_mend(service, cell.id)}});
  }
  switch (known.full.look(cell.full && !cell.fenced)) {
    case Change::kBegan: {
      const Shortage shortage = journal_shortage(service, cell.id);
      tell_(LogLevel::kError, "journal_full", "puts to a cell are refused: its journal is full",
            {{"cell", id}, {"found", shortage.found}, {"mend", shortage.mend}});
      break;
    }
    case Change::kEnded:
      tell_(LogLevel::kInfo, "journal_has_room", "the cell's journal takes puts again",
            {{"cell", id}});
      break;
    case Change::kNone:
      break;
  }
}

void EventWatch::observe_disk(const ServiceReport& service) {
  switch (disk_full_.look(service.disk_full)) {
    case Change::kBegan:
      tell_(LogLevel::kError, "file_system_full",
            "the journal cannot grow: its file system is full",
            {{"directory", service.directory},
             {"found", mebibytes(service.file_system_free_bytes) + " free"},
             {"needed", mebibytes(service.slot_bytes) + " for another slot"},
             {"mend", "free space there; penstockd tries again by itself"}});
      break;
    case Change::kEnded:
      tell_(LogLevel::kInfo, "file_system_has_room", "the journal grows again",
            {{"directory", service.directory}});
      break;
    case Change::kNone:
      break;
  }
  switch (snapshots_fail_.look(service.snapshots_fail)) {
    case Change::kBegan:
      tell_(LogLevel::kError, "snapshot_failed",
            "no snapshot could be written: no slot is freed until one is",
            {{"found", service.last_failure},
             {"needed", "a file system with room, on a device that writes"},
             {"mend", "free space there; penstockd tries again by itself"}});
      break;
    case Change::kEnded:
      tell_(LogLevel::kInfo, "snapshots_go_on", "snapshots are written again", {});
      break;
    case Change::kNone:
      break;
  }
}

void EventWatch::observe_clock(const ServiceReport& service) {
  switch (clock_unsure_.look(!service.clock_sure)) {
    case Change::kBegan:
      tell_(LogLevel::kWarning, "clock_unsure", "nothing expires until the clock is sure",
            {{"found", service.clock_reason}});
      break;
    case Change::kEnded:
      tell_(LogLevel::kInfo, "clock_sure", "the clock is sure: records expire again", {});
      break;
    case Change::kNone:
      break;
  }
}

// Not ready is no news before it ever was.
void EventWatch::observe_readiness(const ServiceReport& service,
                                   const std::vector<CoreReport>& cores) {
  const std::vector<std::string> reasons = unready_reasons(service, cores);
  if (reasons.empty() && !std::exchange(was_ready_, true)) {
    tell_(LogLevel::kInfo, "ready", "the server takes traffic", {});
  }
  const Change change = not_ready_.look(was_ready_ && !reasons.empty());
  if (change == Change::kBegan) {
    tell_(LogLevel::kWarning, "not_ready", "the server does not take all traffic: see /readyz",
          {{"reasons", fmt::format("{}", fmt::join(reasons, "; "))}});
  } else if (change == Change::kEnded) {
    tell_(LogLevel::kInfo, "ready", "the server takes traffic again", {});
  }
}

}  // namespace penstock::server
