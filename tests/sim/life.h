// One boot of the simulated machine: its drivers and the server on them, turn by turn, until it ends.
//
// Owner      one thread
#pragma once

#include "drivers/clock/sim/sim_clock.h"
#include "drivers/clock/sim/sim_waiter.h"
#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/sim/sim_storage.h"
#include "drivers/entropy/sim_entropy.h"
#include "drivers/sim/random.h"
#include "drivers/sim/time.h"
#include "drivers/socket/sim/sim_network.h"
#include "drivers/socket/sim/sim_socket.h"
#include "server/assembly.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock::sim {

class Life {
 public:
  Life(drivers::SimTime& time, drivers::SimStorage& storage, drivers::SimNetwork& network,
       std::uint32_t data_cores, std::uint64_t entropy_seed);

  // False: the server refused to start; `why` has its words.
  [[nodiscard]] bool boot(const server::Config& config, const server::Secrets& secrets,
                          std::string& why);
  // One turn of every core, in an order of chance. Returns how much was found to do.
  runtime::WorkCount turn(drivers::SimRandom& random);
  [[nodiscard]] Nanos next_deadline() const;

  [[nodiscard]] server::Server& server() { return *server_; }
  [[nodiscard]] bool any_cell_fenced() const;
  [[nodiscard]] std::string describe_cells(std::size_t core) const;

 private:
  drivers::SimTime& time_;
  drivers::SimClock clock_;
  drivers::SimVolume volume_;
  drivers::SimEntropy entropy_;
  std::vector<std::unique_ptr<drivers::SimDisk>> disks_;
  std::vector<std::unique_ptr<drivers::SimSocket>> sockets_;
  std::vector<std::unique_ptr<drivers::SimSocket>> native_;
  std::vector<std::unique_ptr<drivers::SimWaiter>> waiters_;
  std::unique_ptr<server::Server> server_;
  std::vector<runtime::Agent*> agents_;
};

}  // namespace penstock::sim
