// TCP sockets of one core on its ring. Bytes go straight between the kernel and the caller's buffers.
//
//   slot:  Free ─► Open ─► Closing ─► Closed ─► Free        a new generation each time round
//
// Closing shuts the connection down, which ends what the kernel has in hand; when nothing is, the
// descriptor is closed and kClosed queued. A slot is free when its kClosed was reaped.
//
// With `zero_copy` a held send of kHeldBytesMin or more goes without a copy, unless the peer has a loopback
// address: there the bytes are copied in any case, and later. The kernel notices when it needs them no longer, as a
// rule when the peer has acknowledged them; the first notice that says "copied", and any refusal, turns it
// off for that connection. A connection that is closed with such bytes unacknowledged is reset: they would
// be held for as long as the peer's silence.
//
// Shape      at most `connections` open: more are accepted and closed at once, and counted. Without
//            descriptors or kernel memory accepting rests for 100 ms
// Owner      the ring's core (`listen` may come before, from another thread). Borrows the ring
// Allocates  256 slots at a time when connections open, a list of pieces and one of held sends when a slot has its
//            first; never per receive or send
// Errors     listen: kAddressInUse (also where another process shares its port), kPermission,
//            kSystem; `detail` is errno
// Source     io_uring_prep_multishot_accept(3), from Linux 5.19; tcp(7): TCP_NODELAY is inherited;
//            io_uring_prep_send_zc(3), from Linux 6.0; IORING_SEND_ZC_REPORT_USAGE, from 6.2
#pragma once

#include "drivers/ring/ring.h"
#include "env/socket.h"

#include <array>
#include <cstdint>
#include <memory>
#include <sys/socket.h>
#include <sys/uio.h>
#include <vector>

namespace penstock::drivers {

struct UringSocketOptions {
  std::uint32_t connections = 18'000;
  int backlog = 4096;
  bool zero_copy = false;  // REQUIRES: the kernel has it (drivers/ring/probe.h)
};

struct UringSocketCounters {
  std::uint64_t accepted = 0;
  std::uint64_t over_limit = 0;     // accepted and closed at once
  std::uint64_t accept_pauses = 0;  // for want of descriptors or memory
  std::uint64_t short_sends = 0;    // continued
  std::uint64_t failed = 0;         // connections that ended with an errno
  std::uint64_t uncopied = 0;       // operations that were to send without a copy
};

class UringSocket final : public env::Socket, private RingClient {
 public:
  explicit UringSocket(Ring& ring, const UringSocketOptions& options = {});
  ~UringSocket() override;
  UringSocket(const UringSocket&) = delete;
  UringSocket& operator=(const UringSocket&) = delete;

  // Port 0 lets the kernel choose; `port` says which it took.
  [[nodiscard]] Result<> listen(std::string_view address, std::uint16_t port,
                                std::uint32_t tag) override;
  void stop_listening() override;
  void receive(env::ConnectionId connection, std::span<std::byte> into) override;
  void send(env::ConnectionId connection, std::span<const std::byte> bytes) override;
  void send(env::ConnectionId connection,
            std::span<const std::span<const std::byte>> pieces) override;
  void send_held(env::ConnectionId connection, std::span<const std::byte> bytes) override;
  void close(env::ConnectionId connection) override;
  [[nodiscard]] std::string peer(env::ConnectionId connection) override;
  void submit() override;
  [[nodiscard]] std::size_t reap(std::span<env::SocketEvent> out) override;

  // The port of the latest listener with this tag; 0 without one.
  [[nodiscard]] std::uint16_t port(std::uint32_t tag) const;
  [[nodiscard]] std::uint32_t open_connections() const { return in_use_; }
  [[nodiscard]] const UringSocketCounters& counters() const { return counters_; }

 private:
  enum class State : std::uint8_t { kFree, kOpen, kClosing, kClosed };
  // A send in pieces, as the kernel reads it: from `next` on they are not sent.
  struct Pieces {
    std::array<iovec, env::kSendPiecesMax> list{};
    std::size_t count = 0;
    std::size_t next = 0;
    msghdr message{};
  };
  // Held sends, from `first` to before `next`, by number; the newest may be under way.
  struct Held {
    struct Send {
      std::uint32_t notices = 0;  // that are to come
      bool sent = false;
      bool uncopied = false;
      bool copied = false;
    };
    std::array<Send, env::kHeldSendsMax> sends{};
    std::uint32_t first = 0;
    std::uint32_t next = 0;
    std::uint32_t notices = 0;  // of all of them
    // Not yet reaped.
    std::uint8_t released = 0;
    std::uint8_t uncopied = 0;
    std::uint8_t copied = 0;
    [[nodiscard]] Send& at(std::uint32_t number) { return sends[number % env::kHeldSendsMax]; }
    [[nodiscard]] Send& newest() { return at(next - 1); }
  };
  struct Slot {
    std::uint32_t index = 0;
    std::uint32_t generation = 1;
    int fd = -1;
    State state = State::kFree;
    // What is asked for and not yet on the ring; what is on the ring.
    bool receive_wanted = false;
    bool send_wanted = false;
    bool receiving = false;
    bool sending = false;
    // What happened and is not yet reaped.
    bool accepted = false;
    bool received = false;
    bool sent = false;
    bool closed = false;
    bool in_todo = false;
    bool in_ready = false;
    std::uint32_t listener = 0;
    std::int32_t error = 0;
    std::uint32_t received_bytes = 0;
    std::span<std::byte> into;
    std::size_t out_bytes = 0;
    std::span<const std::byte> out;  // what is left of it, unless it is in pieces
    std::unique_ptr<Pieces> pieces;  // once there were some
    bool in_pieces = false;
    bool zero_copy = false;      // may be tried
    bool holding = false;        // what is being sent is held
    bool uncopied = false;       // what is on the ring goes without a copy
    std::unique_ptr<Held> held;  // once there was one
    Slot* next_todo = nullptr;
    Slot* next_ready = nullptr;
  };
  struct Listener {
    int fd = -1;
    std::uint32_t tag = 0;
    std::uint16_t port = 0;
    bool armed = false;  // an accept is on the ring
    bool stopping = false;
    std::string key;  // address and port, as this process shares them among its cores
  };

  static constexpr std::uint32_t kChunk = 256;

  void on_completion(std::uint64_t data, std::int32_t result, std::uint32_t flags) override;
  [[nodiscard]] bool holds() const override { return ready_head_ != nullptr; }
  void on_accept(Listener& listener, std::int32_t result, std::uint32_t flags);
  void on_receive(Slot& slot, std::int32_t result);
  void on_send(Slot& slot, std::int32_t result, std::uint32_t flags);
  void on_notice(Slot& slot, std::uint32_t number, std::int32_t result);

  void admit(int fd, std::uint32_t tag);
  [[nodiscard]] Slot* take_slot();
  [[nodiscard]] Slot* find(env::ConnectionId connection);  // null unless open
  [[nodiscard]] Slot& slot(std::uint32_t index) { return chunks_[index / kChunk][index % kChunk]; }
  void release(Slot& slot);
  void begin_close(Slot& slot, std::int32_t error);
  void finish_close(Slot& slot);
  void want(Slot& slot);
  void ready(Slot& slot);
  void pump();
  [[nodiscard]] bool pump_slot(Slot& slot);
  [[nodiscard]] Slot* begin_send(env::ConnectionId connection);
  void prepare_send(Slot& slot, io_uring_sqe* entry);
  void release_held(Slot& slot);
  static bool advance_send(Slot& slot, std::size_t bytes);
  void pump_accepts();
  static void tell_released(Held& held, env::SocketEvent& event);
  [[nodiscard]] bool emit(Slot& slot, std::span<env::SocketEvent> out, std::size_t& count);

  Ring& ring_;
  std::uint8_t client_;
  UringSocketOptions options_;
  std::vector<Listener> listeners_;
  bool multishot_ = true;     // until the kernel refuses it
  bool accepts_due_ = false;  // some listener is without an accept on the ring
  bool pause_wanted_ = false;
  bool paused_ = false;  // a timer is on the ring
  __kernel_timespec pause_{};

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::vector<std::uint32_t> free_;  // indices below the chunks' end that no connection uses
  std::uint32_t in_use_ = 0;
  Slot* todo_head_ = nullptr;
  Slot* todo_tail_ = nullptr;
  Slot* ready_head_ = nullptr;
  Slot* ready_tail_ = nullptr;
  UringSocketCounters counters_;
};

}  // namespace penstock::drivers
