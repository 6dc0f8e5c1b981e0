// Instructions per record without any I/O: a data core over a disk that takes every write and forgets
// it, in two functions that callgrind can tell apart:
//
//   placing   from decoded request to frame in the block: hashed (--md5 1), routed, admitted, numbered,
//             copied, the block sealed and submitted
//   settling  from completed write to answered request
//
//   record_cost [--record 116] [--per-put 500] [--in-flight 1] [--shards 1] [--md5 0] [--rounds 100]
//
// bench/instruction_gate.py runs it and compares with bench/baseline.json.
#include "bench/support/instant_process.h"
#include "bench/support/put_generator.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

namespace penstock::bench {

__attribute__((noinline)) void placing(PutGenerator& generator, InProcess& process, Nanos now) {
  generator.fill(now);
  process.turn();
}

__attribute__((noinline)) void settling(PutGenerator& generator, InProcess& process) {
  while (generator.in_flight() > 0) process.turn();
}

}  // namespace penstock::bench

int main(int argc, char** argv) {
  using namespace penstock;
  std::uint32_t shards = 1;
  bench::PutLoad load;
  load.record_bytes = 116;  // 100 of data, 16 of key
  load.in_flight = 1;
  int rounds = 100;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto value = static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (name == "--record") load.record_bytes = value;
    if (name == "--per-put") load.per_put = value;
    if (name == "--in-flight") load.in_flight = value;
    if (name == "--shards") shards = value;
    if (name == "--md5") load.hash_keys = value != 0;
    if (name == "--rounds") rounds = static_cast<int>(value);
  }
  bench::InstantProcess instant(shards);
  bench::InProcess& process = instant.process;
  drivers::SimClock& clock = instant.clock;
  bench::PutGenerator generator(process, shards, load);
  const auto blocks_before = process.journal().blocks;
  for (int i = 0; i < rounds; ++i) {
    bench::placing(generator, process, clock.now());
    bench::settling(generator, process);
    instant.time.advance_to(instant.time.now() + kNanosPerMilli);
  }
  fmt::print("{{\"records\":{},\"blocks\":{},\"failed\":{}}}\n", generator.stored(),
             process.journal().blocks - blocks_before, generator.failed());
  return generator.failed() == 0 ? 0 : 1;
}
