// Stream sockets of one core. Bytes go straight into and out of the caller's buffers; a connection
// without a posted receive is not read, which is how back-pressure reaches the peer.
//
// Shape      per connection at most one receive and one send outstanding
// Owner      one core. A buffer given to `receive` or `send` belongs to the driver until its event,
//            or until kClosed of its connection, whichever comes first
// Allocates  when connections open; never per receive or send
// Errors     listen: kAddressInUse, kPermission, kSystem. A connection that fails gives kClosed
// States     (accept) kAccepted ─► kReceived*, kSent*, kReleased* ─► kClosed, exactly once, always last
#pragma once

#include "penstock/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace penstock::env {

// A generation in the high half makes a stale id harmless.
enum class ConnectionId : std::uint64_t { kNone = 0 };

// Of one send.
inline constexpr std::size_t kSendPiecesMax = 64;
// Held sends of one connection that were not released.
inline constexpr std::size_t kHeldSendsMax = 8;
// Less is copied sooner than its pages are looked up and given back.
inline constexpr std::size_t kHeldBytesMin = std::size_t{16} * 1024;

enum class SocketEventKind : std::uint8_t { kAccepted, kReceived, kSent, kReleased, kClosed };

struct SocketEvent {
  SocketEventKind kind = SocketEventKind::kClosed;
  ConnectionId connection = ConnectionId::kNone;
  std::uint32_t listener = 0;  // kAccepted: the tag given to `listen`
  // kReceived: how many bytes, 0 when the peer has ended its side (then no more receives).
  // kSent: all of the buffer, always.
  std::uint32_t bytes = 0;
  std::int32_t error = 0;  // kClosed: errno, 0 when closed by us or by the peer's end
  // kReleased: so many of the oldest held sends. Of these, so many were to go without a copy, and so
  // many of those the kernel copied all the same.
  std::uint8_t released = 0;
  std::uint8_t uncopied = 0;
  std::uint8_t copied = 0;
};

class Socket {
 public:
  virtual ~Socket() = default;
  // Control, at start-up. Several cores may listen on one port: the kernel deals connections out.
  [[nodiscard]] virtual Result<> listen(std::string_view address, std::uint16_t port,
                                        std::uint32_t tag) = 0;
  // Stops accepting on every listener; open connections go on.
  virtual void stop_listening() = 0;

  virtual void receive(ConnectionId connection, std::span<std::byte> into) = 0;
  // Sends the whole buffer before kSent. The buffer stays unchanged until then.
  virtual void send(ConnectionId connection, std::span<const std::byte> bytes) = 0;
  // The same for pieces that lie apart, one behind the other: 1 to kSendPiecesMax, none empty. The bytes
  // stay unchanged until kSent; the list of them is the driver's own.
  virtual void send(ConnectionId connection,
                    std::span<const std::span<const std::byte>> pieces) = 0;
  // As `send`, but the bytes stay unchanged until kReleased, which comes behind kSent: so the kernel need not copy
  // them, where it and the device can do without. REQUIRES: fewer than kHeldSendsMax are not released.
  virtual void send_held(ConnectionId connection, std::span<const std::byte> bytes) = 0;
  // Closes at once; kClosed follows through `reap`. Harmless on a stale id.
  virtual void close(ConnectionId connection) = 0;
  [[nodiscard]] virtual std::string peer(ConnectionId connection) = 0;

  // Hands queued operations to the kernel: once a turn.
  virtual void submit() = 0;
  [[nodiscard]] virtual std::size_t reap(std::span<SocketEvent> out) = 0;
};

}  // namespace penstock::env
