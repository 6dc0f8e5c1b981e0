// One peer's message layer, without I/O: bytes in become messages, messages out become bytes, both
// under credit. The same on a server and in a client.
//
// Who has the connection gives bytes (`destination`, `arrived`), asks what happened (`next_event`), and
// fetches what is to be sent (`gather`, `sent`). Bytes are looked at in `next_event`, so a lane is as the last
// event said it is. Nothing is called back but OutgoingMessage::done: from `sent`, from `reset`, from the
// `next_event` that gives kReset, and from the end.
//
// Units      sizes in bytes; times the turn's `now`
// Shape      a message of at most `message_max` lies whole in one buffer of the staging memory; lanes at
//            most `lanes_max`; events at most one a frame
// Owner      one core. Borrows Staging, which outlives it
// Allocates  lanes from a pool kept for the next; no memory per message once warm but the staging's
// Errors     a peer that breaks a rule: the session is kClosing, an event says the code and the rule, and
//            CLOSE is what is sent last
// States     Preface ─► Open ─► Closing (CLOSE is queued or was received) ─► Closed
// Source     src/proto/PROTOCOL.md
#pragma once

#include "base/buffer_pool.h"
#include "base/intrusive_list.h"
#include "penstock/units.h"
#include "transport/frames.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace penstock::transport {

class Staging;

struct SessionOptions {
  bool server = false;
  bool turned_away =
      false;  // a server's: behind the prefaces it says kOverloaded, and takes nothing
  std::uint32_t message_max = 16 * kMiB;
  std::uint32_t control_message_max = 64 * kKiB;  // on lane 0
  std::uint32_t control_waiting_max = 256;        // on lane 0: messages that were not released
  std::uint32_t control_bytes_max = 128 * kKiB;   // their sizes: beyond it nothing more is read
  std::uint32_t frame_payload_max = 64 * kKiB;    // that we take
  std::uint32_t lanes_max = 8192;
  std::uint64_t first_credit = 64 * kKiB;  // that we grant at first
  std::int64_t preface_nanos = 10 * kNanosPerSecond;
  std::int64_t stall_nanos = 10 * kNanosPerSecond;  // for 64 KiB of a message
  std::int64_t idle_nanos = 60 * kNanosPerSecond;
  std::int64_t ping_nanos = 15 * kNanosPerSecond;  // a client asks after so much silence
};

// A whole message. Its bytes are 8-aligned, 64 more behind them may be read; whoever took it gives it back to
// `Session::release`, also after the session has closed, before `Session` ends.
struct IncomingMessage {
  std::uint32_t lane = 0;
  std::uint32_t number = 0;
  std::uint32_t size = 0;
  base::PoolBuffer buffer;
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {reinterpret_cast<const std::byte*>(buffer.data), size};
  }
};

// A message to be sent: parts one behind the other. It and its bytes belong to the session from `send`
// to `done`, which is called exactly once.
struct OutgoingMessage {
  static constexpr std::size_t kParts = 8;
  std::span<const std::byte> parts[kParts];
  std::size_t part_count = 0;
  // `sent`: all bytes were handed over; false: dropped by a reset or the session's end.
  void (*done)(OutgoingMessage& message, bool sent) = nullptr;
  void* context = nullptr;
  base::ListLink<OutgoingMessage> link;  // the session's
  [[nodiscard]] std::size_t size() const;
};

struct LaneOptions {
  Priority priority = Priority::kControl;
  // What the server sends on it has an account of its own, which the client's CREDIT of this lane fills.
  bool own_account = false;
};

// Of Welcome: what a client may do.
struct SessionLimits {
  std::uint64_t credit = 0;  // absolute
  std::uint32_t message_max = 16 * kMiB;
  std::uint32_t lanes_max = 8192;
};

enum class SessionEventKind : std::uint8_t {
  kNone,
  kMessage,  // `message`; `opened`: the first on a lane that the peer opens with it
  kReset,  // the peer ended the lane, `code` and `reason` say why; what was queued on it is dropped
  kCredit,    // the lane (or kSessionLane) may send more
  kWritable,  // a lane's queue is empty again
  kClosed,    // the last event. `code`, `reason`; `by_peer`
};
struct SessionEvent {
  SessionEventKind kind = SessionEventKind::kNone;
  std::uint32_t lane = 0;
  bool opened = false;
  bool by_peer = false;
  CloseCode code = CloseCode::kDone;
  std::string_view reason;  // valid until the next call
  IncomingMessage message;
};

class Session {
 public:
  Session(const SessionOptions& options, Staging& staging, Nanos now);
  ~Session();  // drops what is queued, gives back what is staged
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- Bytes in --------------------------------------------------------------------------------
  // Where the next bytes of the peer go: the rest of a piece straight into its message, else a small
  // buffer. Stays valid until `arrived`. Empty once closing, and while lane 0 holds more than it may: until a
  // `release`. REQUIRES: `next_event` gave kNone.
  [[nodiscard]] std::span<std::byte> destination();
  void arrived(std::size_t bytes, Nanos now);
  // Until kNone. Messages come in the order of their last bytes.
  [[nodiscard]] SessionEvent next_event();
  // The message's memory is free again: its credit goes back to the peer.
  void release(IncomingMessage& message);

  // --- Messages out ----------------------------------------------------------------------------
  // Client: what Welcome says. Until then only lane 0 is sent.
  void welcome(const SessionLimits& limits);
  // Server: of a lane that the peer has opened. Client: opens the lane with the next number; 0 when there are
  // as many as the server takes. The peer hears of lanes in the order of their numbers, by their first
  // messages: one that has none yet holds up those behind it.
  void set_lane(std::uint32_t lane, const LaneOptions& options);
  // From the lane's next piece on, be it the rest of a message. Harmless where the lane has ended.
  void set_priority(std::uint32_t lane, Priority priority);
  [[nodiscard]] std::uint32_t open_lane(const LaneOptions& options);
  [[nodiscard]] bool has_lane(std::uint32_t lane) const;
  // Queues it on the lane. REQUIRES: the lane is open, the message not larger than the peer takes.
  void send(std::uint32_t lane, OutgoingMessage& message);
  // What the account that the lane uses still allows.
  [[nodiscard]] std::uint64_t credit(std::uint32_t lane) const;
  // Ends a lane: drops what is queued on it, forgets what is half received.
  void reset(std::uint32_t lane, CloseCode code, std::string_view reason);
  // Client: what the server may send on a lane with an account of its own; absolute, only rises.
  void grant(std::uint32_t lane, std::uint64_t bytes);
  // CLOSE goes out behind the pieces that are begun.
  void close(CloseCode code, std::string_view reason);

  // --- Bytes out -------------------------------------------------------------------------------
  // Spans to send next, in order, some `bytes_max` bytes of them at most; they stay valid and the same
  // until `sent`, which says that all of them were handed over. 0: nothing to send, or not all is sent yet.
  // REQUIRES: room for kGatherSpansMin spans and kGatherBytesMin bytes.
  static constexpr std::size_t kGatherSpansMin = OutgoingMessage::kParts + 2;
  static constexpr std::size_t kGatherBytesMin = 2048;
  [[nodiscard]] std::size_t gather(std::span<std::span<const std::byte>> out,
                                   std::size_t bytes_max);
  void sent(Nanos now);
  [[nodiscard]] bool output_pending() const;

  // --- Time ------------------------------------------------------------------------------------
  // Closes where patience is over, asks with PING.
  void tick(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;

  [[nodiscard]] bool open() const;
  [[nodiscard]] bool closed()
      const;  // nothing more to receive, and CLOSE has been sent or is of no use
  [[nodiscard]] std::uint64_t staged_bytes() const;  // of its messages, half and whole
  [[nodiscard]] std::size_t lanes() const;           // open, besides lane 0
  // Whose it is: for those whom Staging::next_woken gives a session. Nothing here looks at it.
  void* context = nullptr;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::transport
