// Puts a server together from a configuration and drivers. Production and simulation call this same
// function with different drivers.
//
// Owner      the Server owns every part and borrows the drivers, which outlive it
// Errors     a StartError says what failed, what was found and needed, and the mend
// States     assemble ─► (agents turn) ready ─► draining ─► drained
#pragma once

#include "catalog/catalog.h"
#include "env/clock.h"
#include "env/disk.h"
#include "env/entropy.h"
#include "env/socket.h"
#include "http/front_door.h"
#include "http/sigv4_verify.h"
#include "ingest/service_post.h"
#include "retention/clock.h"
#include "retention/keeper.h"
#include "runtime/mail.h"
#include "server/admin_service.h"
#include "server/config.h"
#include "server/event_watch.h"
#include "server/log.h"
#include "server/memory_plan.h"
#include "server/process_use.h"
#include "server/service_core.h"
#include "server/serving_core.h"
#include "storage/store.h"
#include "transport/tls.h"

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock::server {

struct CoreDrivers {
  env::Disk* writes = nullptr;
  env::Disk* reads = nullptr;
  env::Socket* socket = nullptr;
  env::Socket* native = nullptr;  // null: the native protocol is not served
};

struct Drivers {
  env::Volume& volume;
  env::Clock& clock;
  env::Entropy& entropy;
  std::vector<CoreDrivers> data;      // one per data core
  env::Socket* admin = nullptr;       // the service core's; null: no administration port
  ProcessUse (*process)() = nullptr;  // null in a simulation: no figure of it may be real
  LogSink tell = {};                  // what happens while it serves; empty: told nowhere
};

struct Secrets {
  std::shared_ptr<const proto::CredentialSet> credentials;
  std::array<std::byte, 32> token_key{};
  std::shared_ptr<const transport::TlsContext> tls;         // null: no HTTPS
  std::shared_ptr<const transport::TlsContext> native_tls;  // null: the native port is closed
  std::int64_t certificate_expiry = 0;                      // seconds since 1970
};

struct StartError {
  ErrorCode code = ErrorCode::kSystem;
  std::string what;
  std::string found;
  std::string needed;
  std::string mend;
  [[nodiscard]] std::string text() const;
};

[[nodiscard]] StartError memory_error(const MemoryShortage& shortage);
// Of a volume or a store, at the data directory.
[[nodiscard]] StartError storage_error(const Error& error, const std::string& directory);

// Asked once the data directory is known to be ours.
using SecretSource = std::function<std::expected<Secrets, StartError>()>;

// Tags of the listeners.
inline constexpr std::uint32_t kListenHttps = 1;
inline constexpr std::uint32_t kListenHttp = 2;
inline constexpr std::uint32_t kListenAdmin = 3;
inline constexpr std::uint32_t kListenNative = 4;

class Server {
 public:
  // Formats an empty volume if the configuration says so, recovers, wires. No thread is started, no
  // port opened.
  [[nodiscard]] static std::expected<std::unique_ptr<Server>, StartError> assemble(
      const Config& config, const Drivers& drivers, const SecretSource& secret_source);
  ~Server();

  // Opens the ports on every core's socket; before the cores turn.
  [[nodiscard]] std::expected<void, StartError> listen();

  [[nodiscard]] std::size_t data_cores() const { return cores_.size(); }
  [[nodiscard]] ServingCore& data_core(std::size_t i) { return *cores_[i]; }
  [[nodiscard]] runtime::Agent& service_core() { return *service_; }
  [[nodiscard]] runtime::PostOffice& post_office() { return *office_; }
  // After the data cores. By the configuration: while wiring, `cores_` is still empty.
  [[nodiscard]] CoreId service_id() const {
    return CoreId(static_cast<std::uint16_t>(config_.data_cpus.size()));
  }

  [[nodiscard]] bool ready() const { return service_->ready(); }
  void drain();
  [[nodiscard]] bool drained() const;
  // While draining: what is not answered has not come whole. May turn false again.
  [[nodiscard]] bool answered() const;
  // Whole requests without their answers. Only when no core turns any more.
  [[nodiscard]] std::size_t answers_owed() const;

  [[nodiscard]] const storage::RecoveryReport& recovery() const { return recovery_; }
  [[nodiscard]] const MemoryPlan& memory() const { return memory_; }
  [[nodiscard]] std::string_view durability_class() const { return durability_class_; }
  [[nodiscard]] std::uint16_t cells() const { return store_->cells(); }

 private:
  Server(const Config& config, const Drivers& drivers) : config_(config), drivers_(drivers) {}
  [[nodiscard]] std::expected<void, StartError> wire(const Secrets& secrets);
  [[nodiscard]] std::unique_ptr<ServingCore> make_core(std::size_t i, const Secrets& secrets);
  [[nodiscard]] std::unique_ptr<net::NativeDoor> make_native(std::size_t i, shard::DataPlane& data,
                                                             proto::ControlPlane& control,
                                                             const Secrets& secrets);
  [[nodiscard]] ServiceReport report();

  Config config_;
  Drivers drivers_;
  MemoryPlan memory_;
  std::string durability_class_;
  std::int64_t recovery_nanos_ = 0;
  std::int64_t certificate_expiry_ = 0;
  std::unique_ptr<storage::Store> store_;
  storage::RecoveryReport recovery_;  // the catalogue's notes included
  std::vector<storage::RecoveredCell> recovered_;
  std::unique_ptr<runtime::PostOffice> office_;
  std::unique_ptr<retention::Clock> clock_;
  std::unique_ptr<ingest::ServicePost> cell_plane_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<retention::Keeper> keeper_;
  std::vector<std::unique_ptr<ingest::DataCore>> making_;  // until `cores_` own them
  std::vector<std::unique_ptr<ServingCore>> cores_;
  std::unique_ptr<MetricsGatherer> gatherer_;
  std::unique_ptr<AdminService> admin_service_;
  std::unique_ptr<EventWatch> events_;
  std::unique_ptr<http::FrontDoor> admin_front_;
  std::unique_ptr<ServiceCore> service_;
  std::atomic<bool> draining_{false};
};

}  // namespace penstock::server
