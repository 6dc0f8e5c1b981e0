// Instructions per record of the whole server for batches on the native protocol, without any I/O: frames
// in, checked, stored as they came over a disk that takes every write and forgets it, answered. What the
// kernel would copy into and out of the sockets is not counted.
//
//   native_cost [--record 116] [--per-batch 500] [--in-flight 8] [--shards 1] [--md5 0] [--rounds 100]
//
// bench/instruction_gate.py runs it and compares with bench/baseline.json.
#include "bench/support/instant_process.h"
#include "bench/support/memory_socket.h"
#include "bench/support/native_peer.h"
#include "net/native_door.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

namespace penstock::bench {

__attribute__((noinline)) void serving(InProcess& process) { process.turn(); }

namespace {

// Nothing administrative is asked here.
class NoControl final : public proto::ControlPlane {
 public:
  void start(proto::ControlRequest&, Nanos) override { std::abort(); }
};

}  // namespace
}  // namespace penstock::bench

int main(int argc, char** argv) {
  using namespace penstock;
  bench::NativeLoad load;
  load.in_flight = 8;
  int rounds = 100;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto value = static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (name == "--record") load.record_bytes = value;
    if (name == "--per-batch") load.per_batch = value;
    if (name == "--in-flight") load.in_flight = value;
    if (name == "--shards") load.shards = value;
    if (name == "--md5") load.md5 = value != 0;
    if (name == "--rounds") rounds = static_cast<int>(value);
  }
  bench::InstantProcess instant(load.shards);
  bench::InProcess& process = instant.process;
  drivers::SimClock& clock = instant.clock;
  const proto::Credential credential{"AKIABENCH", "secret"};
  net::NativeOptions native;
  native.credentials =
      std::make_shared<const proto::CredentialSet>(std::vector<proto::Credential>{credential});
  bench::MemorySocket socket;
  bench::NoControl control;
  net::NativeDoor door(socket, process.core(), control, native, {{1, nullptr, true}});
  process.core().add_front(door, socket);

  bench::NativePeer peer(
      load, credential, [&](std::uint32_t i) { return process.hash_of(i); }, clock.wall());
  socket.connect(1);
  const auto turn = [&](auto&& serve) {
    socket.give(peer.take_bytes(clock.now()));
    socket.deliver();
    serve();
    peer.give_bytes(socket.collect(), clock.now());
  };
  while (!peer.ready()) turn([&] { process.turn(); });
  for (int i = -10; i < rounds; ++i) {  // the first are for warmth
    peer.fill();
    while (peer.under_way() > 0) {
      i < 0 ? turn([&] { process.turn(); }) : turn([&] { bench::serving(process); });
    }
    instant.time.advance_to(instant.time.now() + kNanosPerMilli);
  }
  const std::uint64_t warm = std::uint64_t{10} * load.in_flight * load.per_batch;
  fmt::print("{{\"records\":{},\"failed\":{}}}\n", peer.records() - warm, peer.failed());
  return peer.failed() == 0 ? 0 : 1;
}
