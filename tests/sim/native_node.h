// One process that uses the client library of the native protocol: its link and maps, and a connection of the
// simulated network in place of a socket.
//
// Owner      one actor. Borrows time and network, which outlive it
#pragma once

#include "client/native/link.h"
#include "client/native/maps.h"
#include "drivers/entropy/sim_entropy.h"
#include "drivers/sim/time.h"
#include "drivers/socket/sim/sim_network.h"
#include "penstock/units.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace penstock::sim {

// What native actors are made with.
struct NativeSite {
  drivers::SimTime& time;
  drivers::SimNetwork& network;
  std::uint16_t port = 0;
  std::string access_key;
  std::string secret_key;
};

class NativeNode {
 public:
  NativeNode(const NativeSite& site, std::uint64_t entropy_seed);
  ~NativeNode() { hang_up(); }
  NativeNode(const NativeNode&) = delete;
  NativeNode& operator=(const NativeNode&) = delete;

  // Before and after those who use the link take their turn.
  void receive(Nanos now);
  void send(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;

  // Loses the connection; what was sent on it may still arrive.
  void drop(Nanos now);
  // Takes no bytes until then.
  void stall_until(Nanos until) { stalled_until_ = until; }

  [[nodiscard]] client::native::Link& link() { return link_; }
  [[nodiscard]] client::native::Maps& maps() { return maps_; }

 private:
  // Not the server's machine: it is not off when that one is.
  class Clock final : public env::Clock {
   public:
    explicit Clock(drivers::SimTime& time) : time_(time) {}
    Nanos now() override { return time_.now(); }
    WallMillis wall() override { return time_.wall(); }
    bool wall_synchronised() override { return true; }

   private:
    drivers::SimTime& time_;
  };

  [[nodiscard]] static client::native::LinkOptions options_of(const NativeSite& site);
  void connect(Nanos now);
  void take(Nanos now);
  void hang_up();

  drivers::SimTime& time_;
  drivers::SimNetwork& network_;
  std::uint16_t port_;
  Clock clock_;
  drivers::SimEntropy entropy_;
  client::native::Link link_;
  client::native::Maps maps_;
  std::optional<drivers::SimClientId> connection_;
  bool connected_ = false;
  Nanos stalled_until_;
};

}  // namespace penstock::sim
