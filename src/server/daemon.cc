#include "server/daemon.h"

#include "drivers/clock/system/system_clock.h"
#include "drivers/disk/uring/file_volume.h"
#include "drivers/disk/uring/uring_disk.h"
#include "drivers/entropy/system_entropy.h"
#include "drivers/ring/probe.h"
#include "drivers/ring/ring.h"
#include "drivers/ring/waiter.h"
#include "drivers/socket/uring/uring_socket.h"
#include "server/assembly.h"
#include "server/certificate.h"
#include "server/core_thread.h"
#include "server/dev_files.h"
#include "server/log.h"
#include "server/notify.h"
#include "storage/sabotage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <sys/stat.h>
#include <thread>
#include <vector>

#ifndef PENSTOCK_VERSION
#define PENSTOCK_VERSION "0"
#endif

namespace penstock::server {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitSystem = 71;
constexpr int kExitIo = 74;
constexpr int kExitTryAgain = 75;
constexpr int kExitPermission = 77;
constexpr int kExitConfig = 78;

int exit_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kConfig:
    case ErrorCode::kNotDurable:
    case ErrorCode::kNoDirectIo:
    case ErrorCode::kForeignFormat:
    case ErrorCode::kNewerFormat:
      return kExitConfig;
    case ErrorCode::kPermission:
    case ErrorCode::kUringForbidden:
      return kExitPermission;
    case ErrorCode::kLocked:
    case ErrorCode::kAddressInUse:
    case ErrorCode::kNoSpace:
      return kExitTryAgain;
    case ErrorCode::kCorrupt:
    case ErrorCode::kSuperblockStale:
      return kExitIo;
    default:
      return kExitSystem;
  }
}

int refuse(const StartError& error) {
  fmt::print(stderr, "{}", error.text());
  notify(fmt::format("STATUS={}\n", error.what));
  return exit_status(error.code);
}

StartError plain(ErrorCode code, std::string what, std::string found, std::string needed,
                 std::string mend) {
  return {code, std::move(what), std::move(found), std::move(needed), std::move(mend)};
}

// What one core's thread works with.
struct CoreRig {
  std::unique_ptr<drivers::Ring> main;
  std::unique_ptr<drivers::Ring> reads;
  std::unique_ptr<drivers::UringDisk> write_disk;
  std::unique_ptr<drivers::UringDisk> read_disk;
  std::unique_ptr<drivers::UringSocket> socket;
  std::unique_ptr<drivers::UringSocket> native;  // null: not served
  std::unique_ptr<drivers::RingWaiter> waiter;
  drivers::SystemClock clock;
};

Result<std::unique_ptr<CoreRig>> make_rig(std::uint32_t connections, std::uint32_t sessions,
                                          bool zero_copy, int lock) {
  auto rig = std::make_unique<CoreRig>();
  auto main = drivers::Ring::create();
  if (!main) return std::unexpected(main.error());
  auto reads = drivers::Ring::create({.entries = 64, .completions = 128});
  if (!reads) return std::unexpected(reads.error());
  // A write that outlives this process must not meet the next one's: the lock lives as long.
  if (Result<> kept = (*main)->keep_open(lock); !kept) return std::unexpected(kept.error());
  rig->main = std::move(*main);
  rig->reads = std::move(*reads);
  rig->write_disk = std::make_unique<drivers::UringDisk>(*rig->main);
  rig->read_disk = std::make_unique<drivers::UringDisk>(*rig->reads);
  drivers::UringSocketOptions sockets;
  sockets.connections = connections;
  rig->socket = std::make_unique<drivers::UringSocket>(*rig->main, sockets);
  if (sessions > 0) {
    // The door counts whom it refuses, with and without a word.
    sockets.connections = sessions + net::NativeDoor::kTurnedAwayMax + 16;
    sockets.zero_copy = zero_copy;
    rig->native = std::make_unique<drivers::UringSocket>(*rig->main, sockets);
  }
  auto waiter = drivers::RingWaiter::create(*rig->main);
  if (!waiter) return std::unexpected(waiter.error());
  rig->waiter = std::move(*waiter);
  if (Result<> watched = rig->waiter->watch(*rig->reads); !watched) {
    return std::unexpected(watched.error());
  }
  return rig;
}

std::expected<std::string, std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::unexpected(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

std::expected<Secrets, StartError> load_secrets(const Config& config, env::Entropy& entropy,
                                                WallMillis now) {
  const auto failed = [&](FileProblem problem) {
    if (problem.mend.empty()) {
      problem.mend = "correct the path in [kinesis], or the directory's owner";
    }
    return std::unexpected(plain(
        ErrorCode::kPermission, "cannot prepare keys and certificates", std::move(problem.found),
        "readable files, or a writable data directory", std::move(problem.mend)));
  };
  auto files = prepare_files(config.directory, config.identity.region, config.credentials_file,
                             config.certificate_file, config.key_file, entropy, now);
  if (!files) return failed(files.error());
  if (!files->renewed.empty()) {
    log(LogLevel::kInfo, "certificate_renewed", "the server has a new certificate",
        {{"file", files->certificate}, {"reason", files->renewed}});
  }
  if (!files->warning.empty()) log(LogLevel::kWarning, "certificate", files->warning);
  auto credentials = read_credentials(files->credentials);
  if (!credentials) return failed(credentials.error());
  Secrets secrets;
  secrets.credentials = std::make_shared<proto::CredentialSet>(std::move(*credentials));
  secrets.token_key = files->token_key;
  if (config.https.port == 0 && config.native.port == 0) return secrets;
  auto chain = read_file(files->certificate);
  if (!chain) return failed(chain.error());
  auto key = read_file(files->key);
  if (!key) return failed(key.error());
  auto tls = transport::TlsContext::server(*chain, *key);
  if (!tls) {
    return failed(fmt::format("{} and {} do not make a certificate and its key", files->certificate,
                              files->key));
  }
  if (config.https.port != 0) secrets.tls = std::move(*tls);
  auto native = transport::TlsContext::server(*chain, *key, transport::TlsProtocol::kNative);
  if (!native) return failed(fmt::format("{} does not serve TLS 1.3", files->certificate));
  secrets.native_tls = std::move(*native);
  const auto validity = validity_of(*chain);
  if (!validity) return failed(files->certificate + ": " + validity.error());
  secrets.certificate_expiry = validity->until;
  const std::int64_t seconds = now.raw() / 1'000;
  if (clock_was_set(seconds) && (seconds < validity->from || seconds >= validity->until)) {
    log(LogLevel::kWarning, "certificate",
        files->certificate + " is not valid today: clients that check it will not connect");
  }
  return secrets;
}

std::expected<std::unique_ptr<drivers::FileVolume>, StartError> open_directory(
    const Config& config) {
  const std::string& path = config.directory;
  if (mkdir(path.c_str(), 0700) == 0) {
    if (auto synced = sync_directory(path + "/.."); !synced) {
      return std::unexpected(plain(ErrorCode::kSystem, "cannot make the data directory durable",
                                   synced.error(), "a parent directory that can be synced",
                                   fmt::format("make it beforehand: mkdir -p {} && sync", path)));
    }
  } else if (errno != EEXIST) {
    return std::unexpected(plain(errno == EACCES ? ErrorCode::kPermission : ErrorCode::kSystem,
                                 fmt::format("cannot make the data directory {}", path),
                                 std::strerror(errno), "a parent directory that may be written",
                                 fmt::format("mkdir -p {} && chown $(id -u) {}", path, path)));
  }
  auto volume = drivers::FileVolume::open_root(path);
  if (!volume) {
    return std::unexpected(storage_error(volume.error(), path));
  }
  if (Result<> locked = (*volume)->lock(); !locked) {
    const Error& error = locked.error();
    if (error.code != ErrorCode::kLocked) return std::unexpected(storage_error(error, path));
    return std::unexpected(plain(error.code, fmt::format("cannot lock the data directory {}", path),
                                 fmt::format("process {} holds it", error.detail),
                                 "one penstockd a directory",
                                 fmt::format("stop it: kill {}", error.detail)));
  }
  return std::move(*volume);
}

StartError no_uring(const drivers::RingProbe& probe) {
  return plain(ErrorCode::kUringForbidden, "io_uring cannot be used here", probe.reason,
               "io_uring, which all of Penstock's I/O goes through", probe.remedy);
}

std::string shown_features(const drivers::RingProbe& probe) {
  std::string text;
  for (const drivers::RingFeature& feature : probe.features) {
    text += fmt::format("{}{}{}", text.empty() ? "" : " ", feature.found ? "+" : "-", feature.name);
  }
  return text;
}

constexpr std::string_view kNoZeroCopy =
    "this kernel's io_uring has no zero-copy send that reports its usage";
constexpr std::string_view kZeroCopyNeeds = "Linux 6.2 or later";
constexpr std::string_view kZeroCopyMend = "run such a kernel, or remove zero_copy_send";

void report_start(const Server& server, const Config& config) {
  const storage::RecoveryReport& recovery = server.recovery();
  log(LogLevel::kInfo, "memory_plan", "memory plan\n" + server.memory().text());
  log(recovery.quarantined_blocks > 0 ? LogLevel::kError : LogLevel::kInfo, "recovery_finished",
      "the data directory is recovered",
      {{"directory", config.directory},
       {"durability_class", std::string(server.durability_class())},
       {"cells", fmt::format("{}", server.cells())},
       {"blocks_scanned", fmt::format("{}", recovery.blocks_scanned)},
       {"torn_blocks", fmt::format("{}", recovery.torn_blocks)},
       {"quarantined_blocks", fmt::format("{}", recovery.quarantined_blocks)}});
  if (recovery.quarantined_blocks > 0) {
    log(LogLevel::kError, "blocks_quarantined", "acknowledged data cannot be read",
        {{"found", fmt::format("{} blocks that fail their checksums", recovery.quarantined_blocks)},
         {"needed", "a device that gives back what was written"},
         {"mend",
          "look at the device (dmesg, smartctl); readers are told which records are lost"}});
  }
  for (const std::string& note : recovery.notes) {
    log(LogLevel::kWarning, "recovery_note", note);
  }
}

// A full disk is no reason not to serve: reads go on.
void tell_clients(const Config& config) {
  const auto written = write_client_config(config.directory, config.identity.region,
                                           "https://" + config.https.text());
  if (!written) log(LogLevel::kWarning, "client_config", written.error());
}

void report_ready(const Server& server, const Config& config, bool dev) {
  fmt::print("penstockd ready https={} http={} native={} admin={} durability={} directory={}{}\n",
             config.https.port == 0 ? "off" : config.https.text(),
             config.http.port == 0 ? "off" : config.http.text(),
             config.native.port == 0 ? "off" : config.native.text(),
             config.admin.port == 0 ? "off" : config.admin.text(), server.durability_class(),
             config.directory, dev ? " mode=dev" : "");
  std::fflush(stdout);
  notify("READY=1\nSTATUS=serving");
}

// Waits for SIGTERM or SIGINT, feeding the watchdog of the service manager meanwhile.
int wait_for_signal(const sigset_t& signals,
                    const std::vector<std::unique_ptr<CoreThread>>& threads, env::Clock& clock) {
  constexpr std::int64_t kStuck = 5 * kNanosPerSecond;
  for (;;) {
    timespec pause{1, 0};
    const int signal = sigtimedwait(&signals, nullptr, &pause);
    if (signal > 0) return signal;
    bool turning = true;
    for (const auto& thread : threads) {
      turning = turning && clock.now() - thread->last_turn() < kStuck;
    }
    if (turning) notify("WATCHDOG=1");
  }
}

// Idle connections close at once, whole requests are answered. What has not come whole by kPatience is
// not waited for. A whole one may take as long as its put_deadline and a peer that reads slowly; beyond
// kLimit the service manager would kill us (TimeoutStopSec=60 in deploy/penstockd.service).
void wait_drained(const Server& server) {
  constexpr std::chrono::seconds kPatience{15};
  constexpr std::chrono::seconds kLimit{55};
  const auto begin = std::chrono::steady_clock::now();
  while (!server.drained()) {
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (waited >= kLimit || (waited >= kPatience && server.answered())) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

#ifdef PENSTOCK_SABOTAGE
// Test builds only: the planted bug that the environment names by its number.
void plant_bug() {
  if (const char* which = std::getenv("PENSTOCK_SABOTAGE"); which != nullptr) {
    storage::g_sabotage = static_cast<storage::Sabotage>(std::atoi(which));
  }
}
#else
void plant_bug() {}
#endif

}  // namespace

int run_daemon(const Config& config, bool dev) {
  plant_bug();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // inherited by every thread
  std::signal(SIGPIPE, SIG_IGN);

  const drivers::RingProbe probe = drivers::probe_ring();
  if (!probe.usable()) return refuse(no_uring(probe));
  log(LogLevel::kInfo, "io_uring", "io_uring is used",
      {{"mode", probe.mode}, {"features", shown_features(probe)}});
  const bool zero_copy = config.zero_copy_send && probe.has(drivers::kZeroCopySend);
  if (config.zero_copy_send && !zero_copy) {
    log(LogLevel::kWarning, "zero_copy_off",
        "sends are copied, though [native] zero_copy_send is on",
        {{"found", std::string(kNoZeroCopy)},
         {"needed", std::string(kZeroCopyNeeds)},
         {"mend", std::string(kZeroCopyMend)}});
  }
  auto volume = open_directory(config);
  if (!volume) return refuse(volume.error());
  drivers::SystemEntropy entropy;
  drivers::SystemClock clock;

  std::vector<std::unique_ptr<CoreRig>> rigs;  // data cores, then the service core
  Drivers parts{**volume, clock, entropy, {}, nullptr, process_use, log};
  for (std::size_t i = 0; i <= config.data_cpus.size(); ++i) {
    const bool service = i == config.data_cpus.size();
    const std::uint32_t sessions = service || config.native.port == 0 ? 0 : config.sessions_max;
    auto rig = make_rig(service ? 64 : config.connections_max, sessions, zero_copy,
                        (*volume)->lock_descriptor());
    if (!rig) {
      return refuse(
          plain(rig.error().code, "cannot make a core's ring", std::strerror(rig.error().detail),
                "file descriptors and locked memory for one more ring",
                "raise ulimit -n and ulimit -l (LimitNOFILE=, LimitMEMLOCK= in the unit)"));
    }
    rigs.push_back(std::move(*rig));
    CoreRig& made = *rigs.back();
    if (service) {
      if (config.admin.port != 0) parts.admin = made.socket.get();
    } else {
      parts.data.push_back(
          {made.write_disk.get(), made.read_disk.get(), made.socket.get(), made.native.get()});
    }
  }
  notify("STATUS=recovering");
  auto server =
      Server::assemble(config, parts, [&] { return load_secrets(config, entropy, clock.wall()); });
  if (!server) return refuse(server.error());
  report_start(**server, config);
  if (auto open = (*server)->listen(); !open) return refuse(open.error());
  if (dev) tell_clients(config);

  std::vector<std::unique_ptr<CoreThread>> threads;
  for (std::size_t i = 0; i < rigs.size(); ++i) {
    (*server)->post_office().set_waiter(CoreId(static_cast<std::uint16_t>(i)),
                                        rigs[i]->waiter.get());
  }
  for (std::size_t i = 0; i < rigs.size(); ++i) {
    const bool service = i == config.data_cpus.size();
    runtime::Agent& agent =
        service ? (*server)->service_core() : static_cast<runtime::Agent&>((*server)->data_core(i));
    threads.push_back(std::make_unique<CoreThread>(CoreThread::Parts{
        service ? std::string("penstock-svc") : fmt::format("penstock-data{}", i), agent,
        rigs[i]->clock, *rigs[i]->waiter, service ? config.service_cpu : config.data_cpus[i],
        config.pin, service ? Idle::kWait : config.idle}));
  }
  const timespec look{0, kNanosPerMilli};
  int signal = 0;
  while (signal <= 0 && !(*server)->ready()) signal = sigtimedwait(&signals, nullptr, &look);
  if (signal <= 0) {
    report_ready(**server, config, dev);
    signal = wait_for_signal(signals, threads, clock);
  }
  log(LogLevel::kInfo, "stopping", "draining", {{"signal", strsignal(signal)}});
  notify("STOPPING=1\nSTATUS=draining");
  (*server)->drain();
  for (auto& rig : rigs) rig->waiter->wake();
  wait_drained(**server);
  threads.clear();
  const std::size_t owed = (*server)->answers_owed();
  log(owed == 0 ? LogLevel::kInfo : LogLevel::kWarning, "stopped",
      owed == 0 ? "every request was answered"
                : fmt::format("{} requests were cut off before their answers had left", owed));
  // The rings belong to threads that have ended; the kernel takes them back with the process.
  std::fflush(nullptr);
  std::_Exit(owed == 0 ? kExitOk : kExitTryAgain);
}

int check_daemon(const Config& config) {
  auto plan = plan_memory(config, config.cells, config.slot_bytes);
  if (!plan) return refuse(memory_error(plan.error()));
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  for (const std::uint32_t cpu : config.data_cpus) {
    if (cpu >= static_cast<std::uint32_t>(cpus)) {
      return refuse(plain(ErrorCode::kConfig, "[cores] data names a CPU that is not here",
                          fmt::format("CPU {}", cpu), fmt::format("0 to {}", cpus - 1),
                          "correct the list"));
    }
  }
  fmt::print("the configuration is valid\nmemory plan\n{}", plan->text());
  if (config.zero_copy_send && !drivers::probe_ring().has(drivers::kZeroCopySend)) {
    fmt::print(
        "note: [native] zero_copy_send is on, and sends will be copied\n  found  {}\n  needed {}\n"
        "  mend   {}\n",
        kNoZeroCopy, kZeroCopyNeeds, kZeroCopyMend);
  }
  return kExitOk;
}

}  // namespace penstock::server
