// Who it is, maps, and what becomes of lanes. Puts are in conversation_put.cc, gets in conversation_get.cc and
// conversation_read.cc, administration in conversation_admin.cc.
#include "net/conversation.h"

#include "base/assert.h"
#include "proto/sigv4.h"

#include <cstdlib>
#include <utility>

namespace penstock::net {

using proto::MessageKind;
using transport::CloseCode;

namespace {

constexpr std::uint16_t kVersion = 1;

transport::SessionOptions server_side(transport::SessionOptions options) {
  options.server = true;
  return options;
}

bool breaks_rule(CloseCode code) {
  return code == CloseCode::kProtocol || code == CloseCode::kCredit || code == CloseCode::kTooLarge;
}

}  // namespace

Conversation::Conversation(NativeShared& shared, const Peer::Parts& parts, env::ConnectionId id,
                           Nanos now)
    : shared_(shared),
      peer_({parts.socket, parts.staging, parts.counters, parts.tls, parts.plain,
             server_side(parts.session), parts.held},
            id, now),
      turned_away_(parts.session.turned_away) {
  peer_.session().context = this;
}

// Operations are under way only where the whole server ends: then nobody comes back to this.
Conversation::~Conversation() {
  end_lanes();
  shared_.lanes -= lanes_counted_;
}

void Conversation::serve(Nanos now) {
  if (changes_untold_) on_new_map(now);
  do {
    while (!held()) {
      transport::SessionEvent event = peer_.session().next_event();
      if (event.kind == transport::SessionEventKind::kNone) break;
      take(event, now);
    }
  } while (!held() && peer_.more(now));
  if (!greeted_ && peer_.session().open() && peer_.session().lanes() > 0) {
    violate(CloseCode::kProtocol, "a lane before Hello");
  }
  peer_.pump(now, !held());
  count_lanes();
}

void Conversation::count_lanes() {
  const std::size_t open = peer_.session().open() ? peer_.session().lanes() : 0;
  shared_.lanes = shared_.lanes - lanes_counted_ + open;
  lanes_counted_ = open;
}

bool Conversation::one_too_many() {
  count_lanes();
  return shared_.lanes > shared_.options.lanes_max && lanes_counted_ > shared_.options.lanes_always;
}

// That it has closed is always heard.
bool Conversation::held() { return owed_ >= kOwedMax && peer_.session().open(); }

void Conversation::take(transport::SessionEvent& event, Nanos now) {
  switch (event.kind) {
    case transport::SessionEventKind::kMessage:
      return on_message(event.message, event.opened, now);
    case transport::SessionEventKind::kReset:
      if (const auto at = lanes_.find(event.lane); at != lanes_.end()) end_lane(at);
      return;
    case transport::SessionEventKind::kCredit:
      return on_lane_ready(event.lane, false, now);
    case transport::SessionEventKind::kWritable:
      return on_lane_ready(event.lane, true, now);
    case transport::SessionEventKind::kClosed:
      end_lanes();
      if (!event.by_peer && breaks_rule(event.code)) ++shared_.counters.violations;
      return peer_.linger(now);
    default:
      return;
  }
}

void Conversation::tick(Nanos now) {
  peer_.tick(now);
  if (peer_.session().open()) tick_lanes(now);
  serve(now);
}

void Conversation::on_closed() {
  peer_.on_closed();
  end_lanes();
  count_lanes();
}

void Conversation::stop() {
  if (peer_.session().open()) peer_.session().close(CloseCode::kStopping, "the server stops");
}

void Conversation::cut() { peer_.half_open() ? peer_.abort() : stop(); }

void Conversation::violate(CloseCode code, std::string_view rule) {
  peer_.session().close(code, rule);
}

void Conversation::on_message(transport::IncomingMessage& incoming, bool opened, Nanos now) {
  const Result<proto::DecodedMessage> message = proto::decode_message(incoming.bytes());
  if (!message) {
    violate(CloseCode::kProtocol, "a message's header or table is malformed");
  } else if (!greeted_ && (message->header.kind != MessageKind::kHello || incoming.lane != 0)) {
    violate(CloseCode::kProtocol, "the first message is not Hello");
  } else if (incoming.lane == 0) {
    return on_control(incoming, *message, now);
  } else {
    return on_lane(incoming, *message, opened, now);
  }
  peer_.session().release(incoming);
}

void Conversation::on_control(transport::IncomingMessage& incoming,
                              const proto::DecodedMessage& message, Nanos now) {
  bool taken = false;
  switch (message.header.kind) {
    case MessageKind::kHello:
      hello(message, now);
      break;
    case MessageKind::kGetMap:
      get_map(message);
      break;
    case MessageKind::kAdmin:
      taken = admin(incoming, message, now);
      break;
    default:
      fail(0, message.header.request, {.code = ErrorCode::kUnsupported});
  }
  if (!taken) peer_.session().release(incoming);
}

void Conversation::on_lane(transport::IncomingMessage& incoming,
                           const proto::DecodedMessage& message, bool opened, Nanos now) {
  const std::uint32_t lane = incoming.lane;
  bool taken = false;
  if (opened && one_too_many()) {
    peer_.session().reset(lane, CloseCode::kOverloaded, "too many lanes are open");
  } else if (message.header.kind == MessageKind::kOpenPut && opened) {
    taken = open_put(incoming, message, now);
  } else if (message.header.kind == MessageKind::kPut) {
    taken = put(incoming, message, now);
  } else if (message.header.kind == MessageKind::kOpenPut) {
    violate(CloseCode::kProtocol, "OpenPut is not the first message of its lane");
  } else if (message.header.kind == MessageKind::kSubscribe && opened) {
    subscribe(lane, message, now);
  } else if (message.header.kind == MessageKind::kSubscribe) {
    violate(CloseCode::kProtocol, "Subscribe is not the first message of its lane");
  } else if (message.header.kind == MessageKind::kGet) {
    get(lane, message, now);
  } else {
    fail(lane, message.header.request, {.code = ErrorCode::kUnsupported});
  }
  if (!taken) peer_.session().release(incoming);
}

void Conversation::reply(std::uint32_t lane, Answer& answer) {
  if (!peer_.session().open() || !peer_.session().has_lane(lane)) {
    return shared_.answers.give_back(answer);
  }
  // Deliveries are bounded by credit; were they counted, a client could be kept from giving more.
  const auto at = lanes_.find(lane);
  if (at == lanes_.end() || at->second.reader == nullptr) Answers::count(answer, owed_);
  peer_.session().send(lane, answer.message);
}

void Conversation::fail(std::uint32_t lane, std::uint64_t request, const Failing& failing) {
  reply(lane, shared_.answers.fail(request, epoch(), failing));
}

// --- Hello ------------------------------------------------------------------------------------

void Conversation::hello(const proto::DecodedMessage& message, Nanos) {
  if (greeted_) return violate(CloseCode::kProtocol, "a second Hello");
  const auto& hello = *flatbuffers::GetRoot<proto::Hello>(message.table.data());
  if (hello.version_min() > kVersion || hello.version_max() < kVersion) {
    return peer_.session().close(CloseCode::kVersion, "this server speaks version 1");
  }
  if (!proven(hello)) {
    ++shared_.counters.denied;
    return peer_.session().close(CloseCode::kDenied,
                                 "the access key, its proof or the client's clock is wrong");
  }
  access_key_ = hello.access_key()->str();
  if (shared_.stopping) return stop();
  greeted_ = true;
  const transport::SessionOptions& limits = shared_.options.session;
  flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
  const auto server = table.CreateString(shared_.options.server);
  table.Finish(proto::CreateWelcome(
      table, kVersion, shared_.next_session++, server, shared_.options.core.raw(),
      limits.message_max, limits.lanes_max, limits.first_credit,
      static_cast<std::uint32_t>(limits.idle_nanos / kNanosPerMilli), shared_.wall.raw()));
  reply(0, shared_.answers.make({.kind = MessageKind::kWelcome,
                                 .request = message.header.request,
                                 .map_epoch = epoch()}));
}

bool Conversation::proven(const proto::Hello& hello) {
  if (hello.access_key() == nullptr || hello.nonce() == nullptr || hello.proof() == nullptr) {
    return false;
  }
  const std::size_t nonce = hello.nonce()->size();
  if (nonce < proto::kHelloNonceMin || nonce > proto::kHelloNonceMax) return false;
  const std::int64_t now = shared_.wall.raw();
  const std::int64_t skew = shared_.options.clock_skew_ms;
  if (hello.client_time_ms() < now - skew || hello.client_time_ms() > now + skew) return false;
  const proto::Credential* credential =
      shared_.options.credentials->find({hello.access_key()->c_str(), hello.access_key()->size()});
  // Temporary keys come with a session token, for which Hello has no place.
  if (credential == nullptr || !credential->session_token.empty()) return false;
  const proto::Sha256Digest expected = proto::hello_proof(
      shared_.hash, credential->secret_access_key, peer_.channel(), hello.client_time_ms(),
      std::as_bytes(std::span(hello.nonce()->data(), nonce)));
  return proto::equal_in_constant_time(
      {reinterpret_cast<const char*>(hello.proof()->data()), hello.proof()->size()},
      {reinterpret_cast<const char*>(expected.data()), expected.size()});
}

// --- Maps -------------------------------------------------------------------------------------

void Conversation::on_new_map(Nanos now) {
  const route::RouteMap& map = *shared_.data.routes();
  changes_untold_ = false;
  for (auto& [name, told] : known_) {
    const auto at = map.streams.find(name);
    const auto stream = at == map.streams.end() ? nullptr : at->second;
    if (stream == told) continue;
    if (held()) {
      changes_untold_ = true;  // until it has taken what it is owed
      return;
    }
    told = stream;
    flatbuffers::FlatBufferBuilder& table = shared_.answers.table();
    table.Finish(proto::CreateStreamName(table, table.CreateString(name)));
    reply(0, shared_.answers.make({.kind = MessageKind::kMapChanged, .map_epoch = map.epoch}));
  }
  if (peer_.session().open()) tick_lanes(now);  // some have waited for it
}

const route::StreamRoute* Conversation::find(const std::string& name, StreamUid uid) const {
  const route::StreamRoute* stream = shared_.data.routes()->find(name);
  return stream != nullptr && stream->uid == uid ? stream : nullptr;
}

}  // namespace penstock::net
