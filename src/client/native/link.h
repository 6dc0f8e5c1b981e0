// The connection to the server, without I/O: made again whenever it is lost, and shared by all who have
// lanes on it or requests under way.
//
// A driver connects to `endpoint()` when `wants_connection`, says what became of it, and carries bytes
// both ways. Those who use the link hear of its opening and of its loss, of the messages on their lanes, and of the
// answers to their requests. With the connection all lanes and requests are gone: each hears so before
// anybody hears of the next opening.
//
// Units      bytes; times the turn's `now`
// Shape      one connection at a time
// Owner      one thread. Borrows Clock and Entropy, which outlive it; users take themselves off before they end
// Allocates  a session for each connection, two blocks for each message that is sent
// Errors     kDenied and others are `problem()`: it goes on connecting, since a server's answer may change
// States     Waiting (for `retry_at`) ─► Connecting ─► Greeting ─► Open ─► Ending (CLOSE is on its way) ─► Waiting;
//            any ─► Waiting when the connection is lost;  close: any ─► Closed
// Source     src/proto/PROTOCOL.md §1–§4, §7, §8
#pragma once

#include "client/native/batch.h"
#include "env/clock.h"
#include "env/entropy.h"
#include "penstock/result.h"
#include "penstock/units.h"
#include "proto/credentials.h"
#include "proto/message.h"
#include "transport/session.h"
#include "transport/staging.h"
#include "transport/tls.h"

#include <flatbuffers/flatbuffers.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace penstock::client::native {

struct LinkEndpoint {
  std::string host;
  std::uint16_t port = 4569;
  std::shared_ptr<const transport::TlsContext> tls;  // null: plain
};

struct LinkOptions {
  std::vector<LinkEndpoint> endpoints;  // at least one, tried in turn
  std::string access_key;
  std::string secret_key;
  std::string client = "penstock";
  std::int64_t retry_min_nanos = 50 * kNanosPerMilli;
  std::int64_t retry_max_nanos = 5 * kNanosPerSecond;
  transport::SessionOptions session;
};

// Who has a lane.
class LaneUser {
 public:
  virtual ~LaneUser() = default;
  // The message is gone when it returns.
  virtual void on_message(const proto::DecodedMessage& message, Nanos now) = 0;
  // The lane is no more, by the server's word or (`lost`) with the connection.
  virtual void on_lane_end(transport::CloseCode code, bool lost, Nanos now) = 0;
};

// Who asks on lane 0.
class RequestUser {
 public:
  virtual ~RequestUser() = default;
  virtual void on_answer(std::uint64_t request, const proto::DecodedMessage& answer, Nanos now) = 0;
  // The connection was lost: nobody knows what became of it.
  virtual void on_unanswered(std::uint64_t request, Nanos now) = 0;
};

// Who wants to know of the link itself.
class LinkUser {
 public:
  virtual ~LinkUser() = default;
  virtual void on_open(Nanos now) = 0;
  virtual void on_lost(Nanos) {}
  virtual void on_map_changed(std::string_view, Nanos) {}
};

class Link {
 public:
  Link(LinkOptions options, env::Clock& clock, env::Entropy& entropy);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // --- The driver's ------------------------------------------------------------------------------
  [[nodiscard]] bool wants_connection(Nanos now) const;
  [[nodiscard]] const LinkEndpoint& endpoint() const { return options_.endpoints[at_]; }
  void on_connecting(Nanos now);
  void on_connected(Nanos now);
  // It could not be made, or has ended; `why` is for people.
  void on_disconnected(std::string_view why, Nanos now);
  // False: the driver's connection, if it has one, is to be closed.
  [[nodiscard]] bool has_connection() const {
    return state_ != State::kWaiting && state_ != State::kClosed;
  }
  // Where the next bytes go; empty: none are taken at present.
  [[nodiscard]] std::span<std::byte> destination();
  void arrived(std::size_t bytes, Nanos now);
  // What to send next, and that all of it was handed over; as transport::Session has it.
  [[nodiscard]] std::size_t gather(std::span<std::span<const std::byte>> out, Nanos now);
  void sent(Nanos now);
  void tick(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;

  // --- The users' --------------------------------------------------------------------------------
  [[nodiscard]] bool open() const { return state_ == State::kOpen; }
  void add(LinkUser& user) { users_.push_back(&user); }
  void remove(LinkUser& user) { std::erase(users_, &user); }
  // A lane, known to the server with its first message; 0: there are as many as it takes.
  // REQUIRES: open().
  [[nodiscard]] std::uint32_t open_lane(const transport::LaneOptions& options, LaneUser& user);
  // Ends a lane; its user hears nothing more.
  void reset_lane(std::uint32_t lane);
  void send(std::uint32_t lane, const proto::MessageHeader& header,
            const flatbuffers::FlatBufferBuilder& table,
            std::shared_ptr<const BatchBytes> batch = nullptr);
  // On a lane with an account of its own; absolute.
  void grant(std::uint32_t lane, std::uint64_t bytes);
  // Asks on lane 0; the number that the answer is told with. REQUIRES: open().
  [[nodiscard]] std::uint64_t request(proto::MessageKind kind,
                                      const flatbuffers::FlatBufferBuilder& table,
                                      RequestUser& user);
  void forget(std::uint64_t request) { requests_.erase(request); }
  [[nodiscard]] std::uint64_t next_request() { return ++last_request_; }
  [[nodiscard]] std::uint64_t random();

  // Says CLOSE and comes to an end. All users hear of the loss now.
  void close(Nanos now);
  [[nodiscard]] bool closed() const { return state_ == State::kClosed; }
  // Why it is not open, for people and for programs.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] ErrorCode problem_code() const { return problem_code_; }

 private:
  enum class State : std::uint8_t { kWaiting, kConnecting, kGreeting, kOpen, kEnding, kClosed };
  static constexpr std::int64_t kConnectNanos = 10 * kNanosPerSecond;
  static constexpr std::int64_t kEndingNanos = 2 * kNanosPerSecond;
  static constexpr std::size_t kCipherBytes = 32 * kKiB;
  static constexpr std::size_t kSendBytes = 256 * kKiB;

  void take_events(Nanos now);
  void take_cipher(Nanos now);
  void seal(Nanos now);
  void hello();
  void on_message(transport::IncomingMessage& incoming, Nanos now);
  void on_control(const proto::DecodedMessage& message, Nanos now);
  void welcome(const proto::DecodedMessage& message, Nanos now);
  void on_closed(const transport::SessionEvent& event, Nanos now);
  // Tells everybody that lanes and requests are gone.
  void lose(Nanos now);
  void wait_to_retry(std::int64_t at_least, Nanos now);
  void drop_connection();

  LinkOptions options_;
  env::Clock& clock_;
  env::Entropy& entropy_;
  transport::Staging staging_;  // a client's grants nothing; it has the memory of messages
  State state_ = State::kWaiting;
  Nanos since_;  // in this state
  Nanos retry_at_;
  std::uint32_t attempts_ = 0;
  std::size_t at_ = 0;  // endpoint
  bool closing_ = false;
  bool greeted_ = false;  // Hello is queued
  std::string problem_ = "not connected yet";
  ErrorCode problem_code_ = ErrorCode::kSystem;
  proto::Sha256 hash_;
  std::uint64_t last_request_ = 0;
  std::uint64_t hello_request_ = 0;
  std::unique_ptr<transport::Session> session_;
  std::unique_ptr<transport::TlsSession> tls_;
  std::unique_ptr<std::byte[]> cipher_;
  bool sealed_ = false;  // what TLS gave last is in flight
  std::unordered_map<std::uint32_t, LaneUser*> lanes_;
  std::unordered_map<std::uint64_t, RequestUser*> requests_;
  std::vector<LinkUser*> users_;
};

}  // namespace penstock::client::native
