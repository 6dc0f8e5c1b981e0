// Instructions per record, from decoded request to acknowledgement, without any I/O: run under
//
//   valgrind --tool=callgrind --toggle-collect='penstock::bench::measured*' record_cost
//
// with a disk that takes and forgets. bench/instruction_gate.py does so and compares with
// bench/results.
#include "bench/support/instant_disk.h"
#include "bench/support/put_generator.h"
#include "drivers/clock/sim/sim_clock.h"
#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/sim/sim_storage.h"
#include "drivers/entropy/sim_entropy.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

namespace penstock::bench {

// Collected: routing, admission, numbering, placing, sealing, settling and answering.
__attribute__((noinline)) void measured(PutGenerator& generator, InProcess& process, Nanos now) {
  generator.fill(now);
  while (generator.in_flight() > 0) process.turn();
}

}  // namespace penstock::bench

int main(int argc, char** argv) {
  using namespace penstock;
  bench::InProcessOptions options;
  bench::PutLoad load;
  load.record_bytes = 116;  // 100 of data, 16 of key
  load.in_flight = 1;
  int rounds = 200;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto value = static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (name == "--shards") options.shards = value;
    if (name == "--record") load.record_bytes = value;
    if (name == "--rounds") rounds = static_cast<int>(value);
  }
  options.slot_bytes = 32 * kMiB;
  options.slots = 4;
  drivers::SimTime time;
  drivers::SimStorageOptions storage_options;
  storage_options.verify_buffers = false;
  drivers::SimStorage storage(time, storage_options, 1);
  drivers::SimVolume volume(storage);
  bench::InstantDisk writes;
  bench::InstantDisk reads;
  drivers::SimClock clock(time);
  drivers::SimEntropy entropy(1);
  bench::InProcess process(volume, writes, reads, clock, entropy, options,
                           [&] { time.advance_to(time.now() + 1'000); });
  bench::PutGenerator generator(process, options.shards, load);
  for (int i = 0; i < rounds; ++i) {
    bench::measured(generator, process, clock.now());
    time.advance_to(time.now() + kNanosPerMilli);
  }
  fmt::print("{{\"records\":{},\"failed\":{}}}\n", generator.stored(), generator.failed());
  return generator.failed() == 0 ? 0 : 1;
}
