// What strangers send to the front door. However it is cut into pieces, the same bytes must have the
// same effect: the same answers, and the same bodies handed to the service. The first byte chooses the
// size of the pieces.
#include "http/front_door.h"
#include "tests/support/echo_service.h"
#include "tests/support/fake_socket.h"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace penstock;

struct Effect {
  std::string output;
  std::size_t handled = 0;
  bool open = false;
  friend bool operator==(const Effect&, const Effect&) = default;
};

Effect play(std::string_view bytes, std::size_t piece) {
  test::FakeSocket socket;
  test::EchoService service;
  http::FrontDoorOptions options;
  options.body_bytes_max = 100'000;
  options.body_bytes_budget = 1 << 20;
  http::FrontDoor door(socket, service, options);
  const env::ConnectionId peer = socket.connect();
  Nanos now{1};
  const auto turn = [&] {
    while (door.poll(now, WallMillis(0)) > 0) {
      while (!service.held.empty()) service.let_go(now);
      now = now + 1;
    }
  };
  turn();
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    socket.give(peer, part);
    turn();
  }
  Effect effect{socket.taken(peer), service.handled, socket.open(peer)};
  // A request for the body depends on whether it has come already: no difference otherwise.
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  for (std::size_t at; (at = effect.output.find(kContinue)) != std::string::npos;) {
    effect.output.erase(at, kContinue.size());
  }
  return effect;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 20'000) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece = 1 + data[0];
  if (!(play(bytes, bytes.size()) == play(bytes, piece))) std::abort();
  return 0;
}
