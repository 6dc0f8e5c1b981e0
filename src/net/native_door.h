// One data core's native front door: accepts connections of the native protocol, plain or TLS, and
// keeps their conversations.
//
// Units      times in nanoseconds of the turn's `now`; sizes in bytes
// Shape      at most `sessions_max` sessions, and kTurnedAwayMax connections that hear that there is no room; messages that come in within `staging_bytes`, batches
//            on their way out within `delivery_bytes`
// Owner      one core. Borrows Socket and planes, which outlive it
// Allocates  when connections open; what is kept for messages and operations grows to what is in use
// Errors     as src/proto/PROTOCOL.md; every refusal is counted
// Source     src/proto/PROTOCOL.md
#pragma once

#include "env/socket.h"
#include "net/conversation.h"
#include "penstock/units.h"
#include "runtime/work.h"
#include "transport/staging.h"
#include "transport/tls.h"

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace penstock::net {

// By which listener, and what may be spoken there.
struct NativeListener {
  std::uint32_t tag = 0;
  std::shared_ptr<const transport::TlsContext> tls;
  bool plain = false;
};

class NativeDoor final : public runtime::Agent {
 public:
  // Who comes beyond `sessions_max` hears so: so many at once, and so many in a quarter of a second, for over TLS
  // each costs a handshake. Who finds no place is closed without a word.
  static constexpr std::uint32_t kTurnedAwayMax = 8;
  static constexpr std::uint32_t kTurnedAwayPerTick = 16;

  NativeDoor(env::Socket& socket, shard::DataPlane& data, proto::ControlPlane& control,
             const NativeOptions& options, std::vector<NativeListener> listeners);
  ~NativeDoor() override;
  NativeDoor(const NativeDoor&) = delete;
  NativeDoor& operator=(const NativeDoor&) = delete;

  [[nodiscard]] runtime::WorkCount poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] Nanos next_deadline() const override;
  // Hands what was answered since `poll` to the kernel: at the end of a turn.
  void flush() { socket_.submit(); }

  // Nothing is taken in while paused: what comes waits in the kernel.
  void pause(bool paused) { paused_ = paused; }
  // Stops accepting and says so to every client; what is under way is answered first where that is soon.
  void begin_drain();
  // Nobody is connected, and no plane has anything of theirs.
  [[nodiscard]] bool drained() const {
    return shared_.stopping && conversations_.empty() && ending_.empty();
  }
  // Clients that wait for an outcome, or for an answer that was not handed over yet.
  [[nodiscard]] std::size_t answers_owed() const;

  [[nodiscard]] const NativeCounters& counters() const { return shared_.counters; }
  [[nodiscard]] const PeerCounters& bytes() const { return peers_; }
  [[nodiscard]] std::uint64_t staging_used() const { return staging_.outstanding(); }
  [[nodiscard]] std::uint64_t delivery_used() const { return shared_.deliveries.used(); }
  [[nodiscard]] std::size_t sends_held() const { return held_.taken(); }

 private:
  static constexpr std::size_t kEventsPerTurn = 256;
  // How often patience is looked at: it is of seconds.
  static constexpr std::int64_t kTickNanos = 250 * kNanosPerMilli;
  // For the preface of one that is turned away.
  static constexpr std::int64_t kTurnedAwayNanos = 2 * kNanosPerSecond;

  void take(const env::SocketEvent& event, Nanos now);
  void accept(const env::SocketEvent& event, Nanos now);
  [[nodiscard]] bool has_room() const {
    return conversations_.size() - turned_away_ + ending_.size() < shared_.options.sessions_max;
  }
  // Whether one more may hear that there is no room.
  [[nodiscard]] bool may_tell() const {
    return turned_away_ < kTurnedAwayMax && told_ < kTurnedAwayPerTick;
  }
  void wake(Nanos now);
  void feed(Nanos now);
  [[nodiscard]] bool memory_for_reader() const;
  void tick(Nanos now);
  void reclaim();

  env::Socket& socket_;
  std::array<env::SocketEvent, kEventsPerTurn> events_;
  transport::Staging staging_;
  NativeShared shared_;
  PeerCounters peers_;
  HeldOutput held_;
  std::vector<NativeListener> listeners_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Conversation>>
      conversations_;                                  // by ConnectionId
  std::vector<std::unique_ptr<Conversation>> ending_;  // closed, with operations under way
  std::uint32_t turned_away_ = 0;                      // of `conversations_`
  std::uint32_t told_ = 0;                             // since the last tick: turned away
  std::uint64_t map_epoch_ = 0;                        // that was told
  bool paused_ = false;
  Nanos next_tick_;
  Nanos drain_end_ = runtime::kNever;
};

}  // namespace penstock::net
