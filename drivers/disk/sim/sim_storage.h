// The simulated medium: what survives power cuts and restarts of the simulated machine. Every
// core's `SimDisk` and the one `SimVolume` of a boot are made from it
// (drivers/disk/sim/sim_disk.h).
//
//   SimTime time;                                       // drivers/sim/time.h; the harness moves it
//   SimStorage storage(time, SimStorageOptions{}, seed);
//   SimVolume volume(storage);  SimDisk disk(storage);  // one boot's drivers
//   … storage.cut_power();  destroy the server and its drivers;  storage.restart();  make new ones
//
// Durability  a durable write is on the medium once its completion is due, and a write of the
// Volume
//             when it returns. Completed writes that were not durable may be lost, sector by
//             sector. Names are durable after `sync_directory`. What a cut does to a write in
//             flight: none of it, all of it, any subset of 512 B sectors, or a prefix torn at 512 B
//             or 4 KiB
// Mutations   writes of Disk and Volume and changes and syncs of names are numbered from 1: the
// points
//             of time at which a crash can make a difference
// Order       completions are due in an order of their own, drawn per write; one seed, one history
// Power       off: operations of a Disk never complete, those of a Volume fail with kSystem.
// Drivers
//             of an earlier boot stay dead for ever
// Owner       one simulation, one thread. Borrows `time`, which outlives it
#pragma once

#include "drivers/disk/sim/sim_faults.h"
#include "drivers/disk/sim/sim_names.h"
#include "drivers/sim/random.h"
#include "drivers/sim/time.h"
#include "env/disk.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::drivers {

struct SimStorageOptions {
  std::uint64_t capacity = 1024 * kGiB;
  std::int64_t write_nanos_min = 50'000;
  std::int64_t write_nanos_max = 500'000;
  std::int64_t read_nanos_min = 20'000;
  std::int64_t read_nanos_max = 200'000;
  DiskFaultRates rates;
  bool volume_faults = false;  // whether the Volume's reads and writes fail at these rates too
  bool verify_buffers = true;  // a write's buffer that changes in flight is an assertion
  std::string file_system = "simulated";
  bool durable = true;  // what `info` says
  bool direct_io = true;
};

struct SimWrite {
  std::uint64_t number = 0;  // order of submission, unique in a storage
  std::string file;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  bool durable = false;
};

// What outlives a power cut. Whatever is not said here is drawn from the seed.
struct SimSurvival {
  enum class Choice : std::uint8_t { kSeeded, kKeep, kLose };
  // Whether the 512-byte sector `sector` of a write in flight is on the medium.
  std::function<bool(const SimWrite& write, std::uint32_t sector)> in_flight;
  Choice completed = Choice::kSeeded;  // sectors of completed writes that were not durable
  Choice names = Choice::kSeeded;      // changes of names that were not synced
};

enum class SimCutPhase : std::uint8_t {
  kDuring,  // the mutation is itself in flight
  kAfter,   // it is on the medium, nobody has been told
};

class SimDisk;

class SimStorage {
 public:
  SimStorage(SimTime& time, const SimStorageOptions& options, std::uint64_t seed);
  ~SimStorage();
  SimStorage(const SimStorage&) = delete;
  SimStorage& operator=(const SimStorage&) = delete;

  // --- Power ----------------------------------------------------------------------------------
  [[nodiscard]] bool powered() const { return powered_; }
  void cut_power(const SimSurvival& survival = {});
  // The process ends, the kernel lives: writes in flight complete, nothing is lost.
  void kill_process();
  // Power and process are back; the files lie as they were left. REQUIRES: !powered().
  void restart();
  [[nodiscard]] std::uint64_t boots() const { return boot_; }

  // --- Enumeration ----------------------------------------------------------------------------
  [[nodiscard]] std::uint64_t mutations() const { return mutations_; }
  // Cuts the power at the mutation of this number; 0 disarms.
  void cut_power_at(std::uint64_t mutation, SimCutPhase phase, SimSurvival survival = {});
  // In order of submission. Those that are due have completed and are not among them.
  [[nodiscard]] std::vector<SimWrite> in_flight();
  // This storage as a power cut at this moment would leave it, already restarted, with a time of
  // its own to run on. Shares pages with this one, which is unchanged.
  [[nodiscard]] std::unique_ptr<SimStorage> branch(SimTime& time, const SimSurvival& survival,
                                                   std::uint64_t seed);

  // --- Faults ---------------------------------------------------------------------------------
  void set_rates(const DiskFaultRates& rates) { options_.rates = rates; }
  void set_capacity(std::uint64_t bytes) { options_.capacity = bytes; }
  [[nodiscard]] std::uint64_t used_bytes() const { return names_.bytes(); }
  // Flips one stored bit of the file in the range given; false where it holds nothing but zeros.
  bool flip_bit(std::string_view file, std::uint64_t offset = 0, std::uint64_t length = UINT64_MAX);
  [[nodiscard]] const DiskFaultCounts& counts() const { return counts_; }
  [[nodiscard]] const std::vector<DiskDamage>& damage() const { return damage_; }
  void forget_damage() { damage_.clear(); }

  // --- Time -----------------------------------------------------------------------------------
  // When the next operation completes, as a time of the simulation.
  [[nodiscard]] std::optional<Nanos> next_completion() const;
  [[nodiscard]] std::uint64_t trace_hash() const { return trace_.hash(); }

 private:
  friend class SimDisk;
  friend class SimVolume;
  using FileRef = SimNames::FileRef;

  struct Streams;
  struct Pending;

  // Of SimDisk.
  void start(SimDisk& disk, const env::DiskOp& op);
  void settle();  // completes what is due, in order
  void forget(SimDisk& disk);

  // Of SimVolume.
  [[nodiscard]] bool alive(std::uint64_t boot) const { return powered_ && boot == boot_; }
  [[nodiscard]] FileRef file(env::FileId id) const;
  [[nodiscard]] env::FileId handle(FileRef file);
  [[nodiscard]] bool grows_too_far(const SimFile& file, std::uint64_t end);
  [[nodiscard]] Result<> write_now(const FileRef& file, std::uint64_t offset,
                                   std::span<const std::byte> bytes);
  // Numbers a change of names and makes it. Fails when the power goes with it.
  [[nodiscard]] Result<> mutate_names(std::uint64_t what, const std::function<Result<>()>& change,
                                      bool is_sync);

  void cut_now(const SimSurvival& survival);
  [[nodiscard]] bool mutation_is_cut(SimCutPhase phase) const;
  void draw_write(Pending& pending);
  void draw_read(Pending& pending);
  void complete(Pending& pending);
  [[nodiscard]] std::int32_t perform_write(Pending& pending);
  [[nodiscard]] std::int32_t perform_read(Pending& pending);
  void misdirect(Pending& pending);
  void damaged(DiskFault fault, const Pending& pending);
  void tear(const Pending& pending, const SimSurvival& survival);
  void push(std::unique_ptr<Pending> pending);
  [[nodiscard]] std::unique_ptr<Pending> pop();

  SimTime* time_;
  SimStorageOptions options_;
  std::unique_ptr<Streams> streams_;
  SimNames names_;
  std::vector<FileRef> handles_;  // by FileId, less first_handle_
  std::int32_t first_handle_ = 0;
  std::vector<std::unique_ptr<Pending>> pending_;  // a heap by (due, number)
  std::vector<std::vector<std::byte>> spare_;      // buffers of completed writes
  std::uint64_t operations_ = 0;
  std::uint64_t mutations_ = 0;
  std::uint64_t cut_at_ = 0;
  SimCutPhase cut_phase_ = SimCutPhase::kAfter;
  SimSurvival cut_survival_;
  bool powered_ = true;
  std::uint64_t boot_ = 1;
  DiskFaultCounts counts_;
  std::vector<DiskDamage> damage_;
  SimTrace trace_;
};

}  // namespace penstock::drivers
