// Connections: made, greeted, lost and made again. Bytes are in link_bytes.cc.
#include "client/native/link.h"

#include "base/assert.h"
#include "client/native/outgoing.h"

#include <penstock_generated.h>

#include <algorithm>
#include <array>
#include <utility>

namespace penstock::client::native {

using proto::MessageKind;
using transport::CloseCode;

namespace {

constexpr std::uint64_t kMemory = 256 * kMiB;
constexpr std::uint64_t kMessageMax = 16 * kMiB;

ErrorCode code_of(CloseCode code) {
  switch (code) {
    case CloseCode::kDenied:
      return ErrorCode::kDenied;
    case CloseCode::kVersion:
      return ErrorCode::kUnsupported;
    case CloseCode::kStopping:
      return ErrorCode::kStopping;
    case CloseCode::kOverloaded:
      return ErrorCode::kOverloaded;
    default:
      return ErrorCode::kSystem;
  }
}

}  // namespace

Link::Link(LinkOptions options, env::Clock& clock, env::Entropy& entropy)
    : options_(std::move(options)),
      clock_(clock),
      entropy_(entropy),
      staging_(kMemory, kMessageMax) {
  PENSTOCK_ASSERT(!options_.endpoints.empty());
  options_.session.server = false;
}

Link::~Link() { drop_connection(); }

std::uint64_t Link::random() {
  std::array<std::byte, 8> bytes;
  entropy_.fill(bytes);
  return std::bit_cast<std::uint64_t>(bytes);
}

bool Link::wants_connection(Nanos now) const {
  return state_ == State::kWaiting && now >= retry_at_;
}

void Link::on_connecting(Nanos now) {
  PENSTOCK_ASSERT(state_ == State::kWaiting);
  state_ = State::kConnecting;
  since_ = now;
}

void Link::on_connected(Nanos now) {
  PENSTOCK_ASSERT(state_ == State::kConnecting);
  state_ = State::kGreeting;
  since_ = now;
  greeted_ = false;
  session_ = std::make_unique<transport::Session>(options_.session, staging_, now);
  if (endpoint().tls == nullptr) return hello();
  tls_ = std::make_unique<transport::TlsSession>(endpoint().tls, endpoint().host);
  cipher_ = std::make_unique<std::byte[]>(kCipherBytes);
  tls_->start();
}

void Link::on_disconnected(std::string_view why, Nanos now) {
  if (!has_connection()) return;
  if (state_ != State::kEnding) {
    problem_ = why;
    problem_code_ = ErrorCode::kSystem;
  }
  const bool ending = state_ == State::kEnding;
  lose(now);
  drop_connection();
  if (closing_) {
    state_ = State::kClosed;
  } else if (!ending) {
    wait_to_retry(0, now);
  } else {
    state_ = State::kWaiting;  // since it began to end, `retry_at_` is set
  }
}

void Link::drop_connection() {
  session_.reset();  // before what its messages point into
  tls_.reset();
  cipher_.reset();
  sealed_ = false;
}

// Any time up to a limit that doubles: clients that a server has lost together do not come back together.
void Link::wait_to_retry(std::int64_t at_least, Nanos now) {
  const std::uint32_t doublings = std::min<std::uint32_t>(attempts_++, 20);
  const std::int64_t limit =
      std::min(options_.retry_max_nanos, options_.retry_min_nanos << doublings);
  const auto jitter = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(limit + 1));
  retry_at_ = now + at_least + jitter;
  at_ = (at_ + 1) % options_.endpoints.size();
  state_ = State::kWaiting;
}

void Link::lose(Nanos now) {
  const bool was_open = state_ == State::kOpen;
  if (has_connection()) state_ = State::kEnding;  // nobody may use it any more
  const auto lanes = std::exchange(lanes_, {});
  for (const auto& [lane, user] : lanes) user->on_lane_end(CloseCode::kDone, true, now);
  const auto requests = std::exchange(requests_, {});
  for (const auto& [request, user] : requests) user->on_unanswered(request, now);
  if (!was_open) return;
  const std::vector<LinkUser*> users = users_;
  for (LinkUser* user : users) user->on_lost(now);
}

void Link::close(Nanos now) {
  if (closing_) return;
  closing_ = true;
  problem_ = "closed";
  problem_code_ = ErrorCode::kStopping;
  lose(now);
  if (session_ == nullptr) {
    state_ = State::kClosed;
    return;
  }
  session_->close(CloseCode::kDone, "the client is done");
  since_ = now;
}

void Link::tick(Nanos now) {
  if (session_ != nullptr) {
    session_->tick(now);
    take_events(now);
  }
  if ((state_ == State::kConnecting || state_ == State::kGreeting) &&
      now >= since_ + kConnectNanos) {
    on_disconnected("no connection in time", now);
  } else if (state_ == State::kEnding &&
             (now >= since_ + kEndingNanos || session_ == nullptr || session_->closed())) {
    on_disconnected({}, now);
  }
}

Nanos Link::next_deadline() const {
  switch (state_) {
    case State::kWaiting:
      return retry_at_;
    case State::kConnecting:
      return since_ + kConnectNanos;
    case State::kGreeting:
      return std::min(since_ + kConnectNanos, session_->next_deadline());
    case State::kOpen:
      return session_->next_deadline();
    case State::kEnding:
      return since_ + kEndingNanos;
    case State::kClosed:
      break;
  }
  return Nanos(INT64_MAX);
}

// --- Greeting -------------------------------------------------------------------------------------

void Link::hello() {
  greeted_ = true;
  proto::HelloChannel channel{};
  if (tls_ != nullptr) tls_->export_keying(proto::kHelloLabel, channel);
  std::array<std::byte, 32> nonce;
  entropy_.fill(nonce);
  const std::int64_t wall = clock_.wall().raw();
  const proto::Sha256Digest proof =
      proto::hello_proof(hash_, options_.secret_key, channel, wall, nonce);
  flatbuffers::FlatBufferBuilder table;
  const auto octets = [&table](std::span<const std::byte> bytes) {
    return table.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  };
  const auto client = table.CreateString(options_.client);
  const auto key = table.CreateString(options_.access_key);
  const auto salt = octets(nonce);
  const auto proven = octets(proof);
  table.Finish(proto::CreateHello(table, 1, 1, client, key, salt, wall, proven));
  hello_request_ = next_request();
  send_message(*session_, 0, {.kind = MessageKind::kHello, .request = hello_request_}, table);
}

void Link::welcome(const proto::DecodedMessage& message, Nanos now) {
  const auto& welcome = *flatbuffers::GetRoot<proto::Welcome>(message.table.data());
  session_->welcome({.credit = welcome.credit(),
                     .message_max = welcome.message_max(),
                     .lanes_max = welcome.lanes_max()});
  state_ = State::kOpen;
  since_ = now;
  attempts_ = 0;
  problem_.clear();
  const std::vector<LinkUser*> users = users_;
  for (LinkUser* user : users) user->on_open(now);
}

// --- Events ---------------------------------------------------------------------------------------

void Link::take_events(Nanos now) {
  while (session_ != nullptr) {
    transport::SessionEvent event = session_->next_event();
    switch (event.kind) {
      case transport::SessionEventKind::kNone:
        return;
      case transport::SessionEventKind::kMessage:
        on_message(event.message, now);
        break;
      case transport::SessionEventKind::kReset:
        if (const auto lane = lanes_.extract(event.lane)) {
          lane.mapped()->on_lane_end(event.code, false, now);
        }
        break;
      case transport::SessionEventKind::kClosed:
        return on_closed(event, now);
      default:
        break;
    }
  }
}

void Link::on_message(transport::IncomingMessage& incoming, Nanos now) {
  const Result<proto::DecodedMessage> message = proto::decode_message(incoming.bytes());
  if (!message) {
    session_->close(CloseCode::kProtocol, "a message's header or table is malformed");
  } else if (incoming.lane == 0) {
    on_control(*message, now);
  } else if (const auto lane = lanes_.find(incoming.lane); lane != lanes_.end() && message->known) {
    lane->second->on_message(*message, now);
  }
  session_->release(incoming);
}

void Link::on_control(const proto::DecodedMessage& message, Nanos now) {
  if (!message.known || state_ == State::kEnding) return;
  if (state_ == State::kGreeting) {
    if (message.header.kind == MessageKind::kWelcome) return welcome(message, now);
    return session_->close(CloseCode::kProtocol, "the first message is not Welcome");
  }
  if (message.header.kind == MessageKind::kMapChanged) {
    const auto& stream = *flatbuffers::GetRoot<proto::StreamName>(message.table.data());
    if (stream.name() == nullptr) return;
    const std::string name = stream.name()->str();
    const std::vector<LinkUser*> users = users_;
    for (LinkUser* user : users) user->on_map_changed(name, now);
    return;
  }
  if (const auto asked = requests_.extract(message.header.request)) {
    asked.mapped()->on_answer(message.header.request, message, now);
  }
}

void Link::on_closed(const transport::SessionEvent& event, Nanos now) {
  const CloseCode code = event.code;
  if (!closing_) {
    problem_ = std::string(transport::name(code)) + ": " + std::string(event.reason);
    problem_code_ = code_of(code);
  }
  lose(now);
  since_ = now;
  if (!closing_) wait_to_retry(code == CloseCode::kOverloaded ? kNanosPerSecond : 0, now);
  if (!event.by_peer && !session_->closed()) {
    state_ = State::kEnding;  // until CLOSE is on its way
    return;
  }
  drop_connection();
  if (closing_) state_ = State::kClosed;
}

// --- Lanes and requests ---------------------------------------------------------------------------

std::uint32_t Link::open_lane(const transport::LaneOptions& options, LaneUser& user) {
  PENSTOCK_ASSERT(open());
  const std::uint32_t lane = session_->open_lane(options);
  if (lane != 0) lanes_[lane] = &user;
  return lane;
}

void Link::reset_lane(std::uint32_t lane) {
  if (lanes_.erase(lane) > 0)
    session_->reset(lane, CloseCode::kDone, "the client has done with it");
}

void Link::send(std::uint32_t lane, const proto::MessageHeader& header,
                const flatbuffers::FlatBufferBuilder& table,
                std::shared_ptr<const BatchBytes> batch) {
  PENSTOCK_ASSERT(open());
  send_message(*session_, lane, header, table, std::move(batch));
}

void Link::grant(std::uint32_t lane, std::uint64_t bytes) { session_->grant(lane, bytes); }

std::uint64_t Link::request(MessageKind kind, const flatbuffers::FlatBufferBuilder& table,
                            RequestUser& user) {
  const std::uint64_t number = next_request();
  requests_[number] = &user;
  send(0, {.kind = kind, .request = number}, table);
  return number;
}

}  // namespace penstock::client::native
