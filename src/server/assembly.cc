#include "server/assembly.h"

#include "base/assert.h"
#include "storage/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#ifndef PENSTOCK_VERSION
#define PENSTOCK_VERSION "0"
#endif

namespace penstock::server {
StartError storage_error(const Error& error, const std::string& directory) {
  StartError out;
  out.code = error.code;
  out.what = fmt::format("cannot open the data directory {}", directory);
  out.found = fmt::format("{}{}", text(error.code),
                          error.detail != 0 ? fmt::format(" (detail {})", error.detail) : "");
  const bool system = error.code == ErrorCode::kPermission || error.code == ErrorCode::kNotFound;
  if (system && error.detail != 0) out.found = std::strerror(error.detail);
  switch (error.code) {
    case ErrorCode::kForeignFormat:
      out.needed = "an empty directory, or one that penstockd formatted";
      out.mend = "choose another directory, or move what is in it away";
      break;
    case ErrorCode::kNewerFormat:
      out.needed = "the version that wrote it, or a later one";
      out.mend = "install that version again; nothing was changed";
      break;
    case ErrorCode::kSuperblockStale:
      out.needed = "the superblock that belongs to this journal";
      out.mend = "restore the superblock file from where it was replaced; nothing was changed";
      break;
    case ErrorCode::kNoSpace:
      // Of the operating system there is the error alone; of our own sum, MiB.
      out.needed = "room for the journal's first slots";
      if (error.detail == ENOSPC || error.detail == EDQUOT) {
        out.found = std::strerror(error.detail);
      } else if (error.detail != 0) {
        out.found = text(error.code);
        out.needed += fmt::format(": {} MiB", error.detail);
      }
      out.mend = "free space on the file system, or lower [journal] slot_bytes or cells";
      break;
    case ErrorCode::kPermission:
      if (error.detail == EROFS) {
        out.needed = "a file system that may be written";
        out.mend =
            "dmesg says whether the device failed; then: mount -o remount,rw its mount point";
        break;
      }
      out.needed = "a directory that this user may write";
      out.mend = fmt::format("chown -R $(id -u) {}", directory);
      break;
    case ErrorCode::kNoDirectIo:
      out.needed = "a file system with O_DIRECT, such as ext4 or XFS";
      out.mend = "put the data directory on such a file system";
      break;
    case ErrorCode::kCorrupt:
      out.needed = "a superblock, and a snapshot that it names, as they were written";
      out.mend = "look at the device (dmesg, smartctl) and restore a copy; no record was changed";
      break;
    default:  // what a call to the operating system came to, where doctor tries the same
      out.needed = "a readable, writable data directory";
      out.mend = fmt::format("penstock doctor --data-dir {}", directory);
      break;
  }
  return out;
}

StartError memory_error(const MemoryShortage& shortage) {
  return {ErrorCode::kConfig, "[memory] budget is too small for this core plan", shortage.found,
          shortage.needed, "raise [memory] budget, or use fewer cores"};
}

std::string StartError::text() const {
  std::string out = fmt::format("error PS-{:04d}: {}\n", static_cast<int>(code), what);
  if (!found.empty()) out += fmt::format("  found  {}\n", found);
  if (!needed.empty()) out += fmt::format("  needed {}\n", needed);
  if (!mend.empty()) out += fmt::format("  mend   {}\n", mend);
  return out;
}

std::expected<std::unique_ptr<Server>, StartError> Server::assemble(
    const Config& config, const Drivers& drivers, const SecretSource& secret_source) {
  PENSTOCK_ASSERT(drivers.data.size() == config.data_cpus.size());
  std::unique_ptr<Server> server(new Server(config, drivers));

  const Result<env::VolumeInfo> info = drivers.volume.info();
  if (!info) return std::unexpected(storage_error(info.error(), config.directory));
  if (!info->direct_io) {
    return std::unexpected(storage_error({ErrorCode::kNoDirectIo}, config.directory));
  }
  if (!info->durable && !config.accept_not_durable) {
    return std::unexpected(
        StartError{ErrorCode::kNotDurable, "the data directory would not survive a power cut",
                   fmt::format("{} on {}", config.directory, info->file_system),
                   "a disk file system: durability class `media`",
                   "choose another directory, or accept class `none` with --accept-not-durable"});
  }
  server->durability_class_ = info->durable ? "media" : "none";

  const Nanos began = drivers.clock.now();
  Result<std::unique_ptr<storage::Store>> store = storage::Store::open(drivers.volume);
  // Foreign it is also with no more in it than the server's own files, or after an interrupted format:
  // formatting refuses what is anything else.
  if (!store && config.format_if_empty &&
      (store.error().code == ErrorCode::kNotFound ||
       store.error().code == ErrorCode::kForeignFormat)) {
    storage::FormatOptions format;
    format.cells = config.cells;
    format.slot_bytes = config.slot_bytes;
    const Result<> formatted = storage::Store::format(drivers.volume, drivers.entropy, format);
    if (!formatted) {
      Error why = formatted.error();
      if (why.code == ErrorCode::kExists) why = {ErrorCode::kForeignFormat};
      return std::unexpected(storage_error(why, config.directory));
    }
    store = storage::Store::open(drivers.volume);
  }
  if (!store) {
    StartError error = storage_error(store.error(), config.directory);
    if (!config.format_if_empty &&
        (error.code == ErrorCode::kNotFound || error.code == ErrorCode::kForeignFormat)) {
      error.needed = "one that penstockd formatted: [data] format_if_empty is false";
      error.mend = "mount the drive that holds it; for a new one set format_if_empty = true";
    }
    return std::unexpected(std::move(error));
  }
  server->store_ = std::move(*store);
  server->recovered_ = server->store_->take_cells();
  server->recovery_nanos_ = drivers.clock.now() - began;

  const std::uint16_t cells = server->store_->cells();
  if (cells < config.data_cpus.size()) {
    return std::unexpected(StartError{
        ErrorCode::kConfig, "there are more data cores than cells",
        fmt::format("{} cores, {} cells, fixed at format", config.data_cpus.size(), cells),
        "at least one cell a core", "list fewer CPUs in [cores] data"});
  }
  auto memory = plan_memory(config, cells, server->store_->slot_bytes());
  if (!memory) return std::unexpected(memory_error(memory.error()));
  server->memory_ = std::move(*memory);
  // Only now: a directory that is not ours must not be written to.
  auto secrets = secret_source();
  if (!secrets) return std::unexpected(secrets.error());
  if (auto wired = server->wire(*secrets); !wired) return std::unexpected(wired.error());
  return server;
}

Server::~Server() = default;

std::expected<void, StartError> Server::wire(const Secrets& secrets) {
  const std::size_t cores = config_.data_cpus.size();
  office_ = std::make_unique<runtime::PostOffice>(cores + 1);
  runtime::PostOffice::Post& service_post = office_->post(service_id());

  certificate_expiry_ = secrets.certificate_expiry;
  // Cells are dealt to cores in turn.
  std::vector<CoreId> cell_cores;
  cell_cores.reserve(store_->cells());
  for (std::uint16_t cell = 0; cell < store_->cells(); ++cell) {
    cell_cores.emplace_back(static_cast<std::uint16_t>(cell % cores));
  }
  std::vector<ingest::DataCore*> data;
  for (std::size_t i = 0; i < cores; ++i) {
    const CoreDrivers& drivers = drivers_.data[i];
    const CoreId self(static_cast<std::uint16_t>(i));
    making_.push_back(std::make_unique<ingest::DataCore>(
        ingest::DataCore::Parts{self, service_id(), *drivers.writes, *drivers.reads,
                                office_->post(self)},
        cores + 1));
    data.push_back(making_.back().get());
  }
  std::vector<storage::RecoveredControl> decisions;
  std::vector<catalog::CellShards> found;
  for (storage::RecoveredCell& cell : recovered_) {
    for (storage::RecoveredControl& control : cell.controls) {
      decisions.push_back(std::move(control));
    }
    found.push_back({cell.cell, cell.fenced, cell.shards});
    storage::JournalOptions options;
    options.cell = cell.cell;
    options.slot_bytes = store_->slot_bytes();
    options.tail_bytes = memory_.tail_bytes;
    options.depth = config_.blocks_in_flight;
    options.index_cache_bytes = memory_.index_cache_bytes;
    data[cell_cores[cell.cell.raw()].raw()]->add_cell(options, std::move(cell));
  }
  recovered_.clear();
  for (ingest::DataCore* core : data) core->set_peers(data);

  clock_ = std::make_unique<retention::Clock>(store_->retention_clock());
  // Before anything is stamped. Where this boot does not know what time it is, the next one must learn that
  // even after a crash: what is stamped from now on must not age by the time off that it will count.
  clock_->observe(drivers_.clock.now(), drivers_.clock.wall(), drivers_.clock.wall_synchronised());
  const storage::RetentionClockState known = clock_->state(drivers_.clock.now());
  if (known.wall_ms <= 0 && store_->retention_clock().wall_ms > 0) {
    if (const Result<> recorded = store_->record_clock(known); !recorded) {
      return std::unexpected(storage_error(recorded.error(), config_.directory));
    }
  }
  cell_plane_ = std::make_unique<ingest::ServicePost>(service_post, data, std::move(cell_cores));
  catalog::CatalogOptions options;
  options.identity = config_.identity;
  options.state_ms = config_.state_ns / kNanosPerMilli;
  options.shards_max = config_.shards_max;
  options.record_bytes_max = config_.record_bytes_max;
  options.limits = config_.shard_limits;
  options.boot_epoch = store_->boot_epoch();
  recovery_ = store_->report();
  options.blocks_lost = recovery_.quarantined_blocks > 0;
  Result<catalog::State> state =
      catalog::recover_state(store_->catalogue_snapshot(), decisions, &recovery_.notes);
  if (!state) return std::unexpected(storage_error(state.error(), config_.directory));
  catalog_ = std::make_unique<catalog::Catalog>(options, *cell_plane_, clock_->reading(),
                                                std::move(*state), std::move(found));
  retention::KeeperOptions keeper;
  keeper.size_min = config_.journal_size_min;
  keeper.size_max = config_.journal_size_max;
  keeper.grow_bytes_per_second = config_.fill_bytes_per_second;
  keeper_ = std::make_unique<retention::Keeper>(keeper, *store_, *cell_plane_, *catalog_, *clock_);

  std::vector<MetricsGatherer::Source> sources;
  for (std::size_t i = 0; i < cores; ++i) {
    cores_.push_back(make_core(i, secrets));
    ServingCore& core = *cores_.back();
    sources.push_back({&core.core(), &core.front(), &core.kinesis(), core.native()});
  }
  making_.clear();
  gatherer_ = std::make_unique<MetricsGatherer>(service_post, std::move(sources));
  if (drivers_.admin != nullptr) {
    admin_service_ = std::make_unique<AdminService>(*gatherer_, [this] { return report(); });
    http::FrontDoorOptions admin;
    admin.body_bytes_budget = 8 * kMiB;
    admin.connections_max = 64;
    admin.body_bytes_max = 64 * kKiB;
    admin_front_ = std::make_unique<http::FrontDoor>(*drivers_.admin, *admin_service_, admin);
  }
  if (drivers_.tell) {
    events_ = std::make_unique<EventWatch>(*gatherer_, [this] { return report(); }, drivers_.tell);
  }
  service_ = std::make_unique<ServiceCore>(ServiceCore::Parts{service_post, *cell_plane_, *catalog_,
                                                              *clock_, *keeper_, drivers_.clock,
                                                              admin_front_.get(), events_.get()});
  return {};
}

std::unique_ptr<ServingCore> Server::make_core(std::size_t i, const Secrets& secrets) {
  std::unique_ptr<ingest::DataCore> core = std::move(making_[i]);
  auto control = std::make_unique<ControlPost>(
      office_->post(core->self()), office_->post(service_id()), *catalog_, drivers_.tell);
  http::KinesisOptions options;
  options.identity = config_.identity;
  options.credentials = secrets.credentials;
  std::ranges::copy(secrets.token_key, std::begin(options.token_key));
  options.record_bytes_max = config_.record_bytes_max;
  options.put_deadline_nanos = config_.put_deadline_ns;
  options.shards_max = config_.shards_max;
  auto service = std::make_unique<http::KinesisService>(*core, *control, drivers_.entropy, options);
  http::FrontDoorOptions front;
  front.body_bytes_budget = memory_.body_bytes;
  front.answer_bytes_budget = memory_.answer_bytes;
  front.connections_max = config_.connections_max;
  std::vector<http::TlsListener> tls;
  if (secrets.tls != nullptr) tls.push_back({kListenHttps, secrets.tls});
  auto door = std::make_unique<http::FrontDoor>(*drivers_.data[i].socket, *service, front, tls);
  auto native = make_native(i, *core, *control, secrets);
  return std::make_unique<ServingCore>(
      ServingCore::Parts{std::move(core), std::move(control), std::move(service), std::move(door),
                         std::move(native)},
      *drivers_.data[i].socket, drivers_.data[i].native);
}

std::unique_ptr<net::NativeDoor> Server::make_native(std::size_t i, shard::DataPlane& data,
                                                     proto::ControlPlane& control,
                                                     const Secrets& secrets) {
  if (drivers_.data[i].native == nullptr) return nullptr;
  net::NativeOptions options;
  options.credentials = secrets.credentials;
  options.server = "penstockd " PENSTOCK_VERSION;
  options.core = CoreId(static_cast<std::uint16_t>(i));
  options.record_bytes_max = config_.record_bytes_max;
  options.put_deadline_nanos = config_.put_deadline_ns;
  options.sessions_max = config_.sessions_max;
  options.staging_bytes = memory_.staging_bytes;
  options.delivery_bytes = memory_.delivery_bytes;
  options.hold_sends = config_.zero_copy_send;
  return std::make_unique<net::NativeDoor>(
      *drivers_.data[i].native, data, control, options,
      std::vector{
          net::NativeListener{kListenNative, secrets.native_tls, config_.native.loopback()}});
}

std::expected<void, StartError> Server::listen() {
  const auto open = [](env::Socket& socket, const Address& address,
                       std::uint32_t tag) -> std::expected<void, StartError> {
    if (address.port == 0) return {};
    const Result<> opened = socket.listen(address.host, address.port, tag);
    if (opened) return {};
    const bool in_use = opened.error().code == ErrorCode::kAddressInUse;
    return std::unexpected(StartError{
        opened.error().code, fmt::format("cannot listen on {}", address.text()),
        std::string(text(opened.error().code)), "a free port that this user may open",
        in_use ? fmt::format("find its owner with: ss -ltnp 'sport = :{}'; or choose another "
                             "--port-base",
                             address.port)
               : "choose another address in the configuration"});
  };
  for (const CoreDrivers& core : drivers_.data) {
    if (auto ok = open(*core.socket, config_.https, kListenHttps); !ok) return ok;
    if (auto ok = open(*core.socket, config_.http, kListenHttp); !ok) return ok;
    if (core.native == nullptr) continue;
    if (auto ok = open(*core.native, config_.native, kListenNative); !ok) return ok;
  }
  if (drivers_.admin != nullptr) return open(*drivers_.admin, config_.admin, kListenAdmin);
  return {};
}

void Server::drain() {
  draining_.store(true, std::memory_order_release);
  for (const auto& core : cores_) core->drain();
}

bool Server::drained() const {
  return std::ranges::all_of(cores_, [](const auto& core) { return core->drained(); });
}

bool Server::answered() const {
  return std::ranges::all_of(cores_, [](const auto& core) { return core->answered(); });
}

std::size_t Server::answers_owed() const {
  std::size_t owed = 0;
  for (const auto& core : cores_) owed += core->answers_owed();
  return owed;
}

ServiceReport Server::report() {
  ServiceReport report;
  report.version = PENSTOCK_VERSION;
  report.durability_class = durability_class_;
  if (drivers_.process != nullptr) report.process = drivers_.process();
  report.directory = config_.directory;
  report.draining = draining_.load(std::memory_order_acquire);
  report.clock_sure = clock_->sure();
  if (!report.clock_sure) {
    report.clock_reason = fmt::format(
        "{}; if it is right, stop penstockd and run: penstock clock accept --data-dir {}",
        clock_->reason(), config_.directory);
  }
  const catalog::Counts counts = catalog_->counts();
  report.streams = counts.streams;
  report.shards_open = counts.open_shards;
  if (counts.read_only) {
    report.not_ready.emplace_back(
        "the outcome of an administrative decision is unknown; restart penstockd to learn it");
  }
  const retention::KeeperReport keeper = keeper_->report();
  report.journals = keeper.cells;
  report.slot_bytes = keeper.slot_bytes;
  report.storage_used_bytes = keeper.used_bytes;
  report.storage_limit_bytes = keeper.limit_bytes;
  report.journal_hours = keeper.hours;
  if (!keeper.last_failure.empty()) report.last_failure = keeper.last_failure;
  report.snapshots = keeper.snapshots;
  report.snapshots_fail = keeper.snapshots_fail;
  report.disk_full = keeper.disk_full;
  report.segments_recycled = keeper.segments_recycled;
  report.certificate_expiry = certificate_expiry_;
  if (const Result<env::VolumeInfo> info = drivers_.volume.info(); info) {
    report.file_system_free_bytes = info->free_bytes;
  }
  report.recovery_seconds = static_cast<double>(recovery_nanos_) / kNanosPerSecond;
  report.recovery_quarantined_blocks = store_->report().quarantined_blocks;
  if (!service_->ready()) report.not_ready.emplace_back("the catalogue is being recovered");
  return report;
}

}  // namespace penstock::server
