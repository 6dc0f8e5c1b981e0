// One peer: its bytes in, one request at a time to the service, the answer out.
//
// Units      sizes in bytes; times are the turn's `now`
// Shape      head to 64 KiB; a body that fits behind its head stays there, a larger one is received
//            straight into a pool buffer that grows with it; answers leave in pieces of at most
//            kPieceBytes
// Owner      its front door, one core. It is the Exchange that the service sees
// Allocates  its TLS session when it opens; nothing per request once warm
// Errors     a refused request is answered, then the connection lingers until the peer has read that
// States
//
//   Head ─► Memory ◄─► Body ─► Room ◄─► Serving ─► Answering ─► Head …
//     │       │          │       │                     │
//     └───────┴──────────┴───────┴── refused ─► Answering ─► Lingering ─► Closing ─► Closed
//
//   The peer's end closes at once, but in Answering it may still read what it is owed. In Serving a
//   connection that is gone stays until the service has answered.
// Source     RFC 9112
#pragma once

#include "base/buffer_pool.h"
#include "base/intrusive_list.h"
#include "env/socket.h"
#include "http/chunked.h"
#include "http/counters.h"
#include "http/deadlines.h"
#include "http/exchange.h"
#include "http/options.h"
#include "http/parser.h"
#include "http/response.h"
#include "penstock/units.h"
#include "proto/sha256.h"
#include "transport/tls.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace penstock::http {

class Connection;

// A place in one of the front door's queues.
struct QueueEntry {
  Connection* owner = nullptr;
  base::ListLink<QueueEntry> link;
};
using ConnectionQueue = base::IntrusiveList<QueueEntry, &QueueEntry::link>;

// What the connections of one front door share.
struct ConnectionShared {
  ConnectionShared(env::Socket& the_socket, Service& the_service,
                   const FrontDoorOptions& the_options)
      : socket(the_socket),
        service(the_service),
        options(the_options),
        pool(the_options.body_bytes_budget),
        answers(the_options.answer_bytes_budget),
        deadlines(the_options) {}

  env::Socket& socket;
  Service& service;
  const FrontDoorOptions options;
  base::BufferPool pool;     // bodies, and long heads
  base::BufferPool answers;  // until they are sent
  Deadlines deadlines;
  DateLine date;
  FrontDoorCounters counters;
  ConnectionQueue receive_wanted;  // posted at the end of a turn, unless paused
  ConnectionQueue memory_wanted;   // whoever fits is granted, in order
  // Bodies that grow side by side could all wait for each other. So one of them at a time may grow
  // beyond the budget, by one largest body at most: it ends, and the others go on.
  const Connection* finisher = nullptr;
  // For answers, strictly in order and nobody passes: reads, which name what they need, and whole
  // requests that the service has not seen.
  ConnectionQueue room_wanted;
  ConnectionQueue service_wanted;
  std::uint64_t room_wanted_bytes = 0;     // of `answers`, by all in `room_wanted`
  std::uint64_t answer_bytes_closing = 0;  // of `answers`: back as soon as the socket is done
  ConnectionQueue retired;                 // to be opened for other peers
  WallMillis wall;
  bool draining = false;
  bool drain_over = false;  // what is not whole by now is refused
};

class Connection final : public Exchange {
 public:
  explicit Connection(ConnectionShared& shared);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void open(env::ConnectionId id, std::uint64_t serial, std::uint32_t listener_tag,
            std::shared_ptr<const transport::TlsContext> tls, Nanos now);

  // Events of the socket.
  void on_received(std::uint32_t bytes, Nanos now);
  void on_sent(std::uint32_t bytes, Nanos now);
  void on_closed();
  // Events of the front door.
  void on_deadline(DeadlineKind kind, Nanos now);
  void post_receive();
  // False when there is none for its body; it leaves the queue otherwise and goes on.
  [[nodiscard]] bool grant_memory(Nanos now);
  // Whether there is room for the answer that it waits for; and it goes on with that.
  [[nodiscard]] bool room_found() const { return has_room(room_wanted_); }
  void grant_room(Nanos now);
  // Closes if it is between requests; otherwise its answer will.
  void drain();
  // The time for that is over: refuses a request that has not come whole.
  void end_drain(Nanos now);

  [[nodiscard]] env::ConnectionId id() const { return id_; }
  // A whole request has come, and its answer has not left.
  [[nodiscard]] bool owes_answer() const {
    return state_ == State::kRoom || (state_ == State::kServing && !peer_gone_) ||
           (state_ == State::kAnswering && !refused_);
  }

  // Exchange
  [[nodiscard]] ResponseBody& response() override { return response_; }
  [[nodiscard]] std::size_t reserve_answer(std::size_t least, std::size_t most, Nanos now) override;
  void respond(int status, std::string_view content_type, std::string_view extra_headers,
               Nanos now) override;
  [[nodiscard]] bool abandoned() const override { return peer_gone_; }
  [[nodiscard]] std::span<std::byte> service_storage() override { return service_storage_; }

 private:
  enum class State : std::uint8_t {
    kHead,
    kMemory,
    kBody,
    kRoom,
    kServing,
    kAnswering,
    kLingering,
    kClosing,
    kClosed
  };
  static constexpr std::size_t kSmallBytes = 16 * kKiB;
  // Of a small buffer, how much a head may fill: the rest is room for chunks behind it.
  static constexpr std::size_t kSmallHeadBytes = 12 * kKiB;
  static constexpr std::size_t kLargeBytes = 96 * kKiB;
  // One more than a head may have, so that the parser sees that it has more.
  static constexpr std::size_t kLargeHeadBytes = kHeadBytesMax + 1;
  static constexpr std::size_t kPadding = 64;  // readable behind a body
  static constexpr std::size_t kChunkedStartBytes = 64 * kKiB;
  static constexpr std::size_t kPieceBytes = 256 * kKiB;
  static constexpr std::size_t kCipherBytes = 32 * kKiB;

  // Where the next plaintext goes; empty when none is wanted.
  [[nodiscard]] std::span<char> destination();
  [[nodiscard]] bool wants_input() const;
  void want_input(Nanos now);
  void decrypt(Nanos now);
  void arrived(std::size_t bytes, Nanos now);
  void peer_ended(Nanos now);

  void next_request(Nanos now);
  void read_head(Nanos now);
  [[nodiscard]] bool grow_head();
  void begin_body(Nanos now);
  void start_body(Nanos now);
  [[nodiscard]] bool take_body_memory();
  [[nodiscard]] bool fits_beside_finisher(std::size_t bytes, std::uint64_t spared) const;
  [[nodiscard]] std::size_t first_reservation(std::size_t length) const;
  void give_body();
  [[nodiscard]] std::size_t body_room() const;
  void restart_body_time(Nanos now);
  void take_ahead();
  void continue_body(Nanos now);
  void wait_for_memory(Nanos now);
  void read_body(std::size_t bytes, Nanos now);
  void read_chunks(Nanos now);
  void want_body(Nanos now);
  void serve(Nanos now);
  void hand_over(Nanos now);
  void wait_for_room(std::size_t bytes, Nanos now);
  void leave_room_queue();
  [[nodiscard]] bool has_room(std::size_t bytes) const;
  void refuse(Rejection rejection, Nanos now);

  void answer(const ResponseHead& head, Nanos now);
  void arm_write(Nanos now);
  void send_more(Nanos now);
  void send(std::span<const std::byte> bytes, Nanos now);
  void answered(Nanos now);
  void linger(Nanos now);
  void close();
  void leave_queues();
  void retire();
  void release_memory();

  [[nodiscard]] char* head_data() { return large_head_ ? large_head_.data : small_head_; }
  [[nodiscard]] std::size_t head_capacity() const {
    return (large_head_ ? kLargeBytes : kSmallBytes) - kPadding;
  }
  [[nodiscard]] std::size_t head_room() const {
    return large_head_ ? kLargeHeadBytes : kSmallHeadBytes;
  }

  ConnectionShared& shared_;
  env::ConnectionId id_ = env::ConnectionId::kNone;
  State state_ = State::kClosed;
  bool receiving_ = false;   // a receive is posted: its buffer is the driver's
  bool sending_ = false;     // a send is posted
  bool closing_ = false;     // this answer is the last
  bool refused_ = false;     // unread bytes may follow
  bool peer_gone_ = false;   // kClosed came while the service had the exchange
  bool interim_ = false;     // 100-continue waits to be sent
  bool decrypting_ = false;  // `decrypt` is on the stack
  bool shaken_ = false;      // the TLS handshake has been counted

  std::unique_ptr<transport::TlsSession> tls_;
  std::unique_ptr<std::byte[]> cipher_;  // TLS: what the socket receives into

  HeadParser parser_;
  ChunkDecoder chunks_;
  proto::Sha256 sha_;
  std::size_t filled_ = 0;   // bytes in the head buffer
  std::size_t surplus_ = 0;  // where the next request's bytes begin in it
  base::PoolBuffer large_head_;
  base::PoolBuffer body_buffer_;  // empty while the body lies behind its head
  char* body_data_ = nullptr;
  std::size_t body_bytes_ = 0;   // arrived, decoded
  std::size_t body_wanted_ = 0;  // of pool memory
  std::uint64_t body_due_ = 0;   // bytes, until its time starts again

  Response response_;
  std::size_t room_wanted_ = 0;   // for an answer: 0 for one of unknown size
  bool room_due_ = false;         // it has waited its turn for that
  std::string_view answer_rest_;  // not handed to the socket yet

  Deadline deadline_;
  QueueEntry receive_entry_;
  QueueEntry memory_entry_;
  QueueEntry retired_entry_;

  char small_head_[kSmallBytes];
  alignas(64) std::byte service_storage_[kServiceBytes];
};

}  // namespace penstock::http
