// A native front door over sockets and planes in memory, and clients that speak to it.
//
// Owner      the test, one thread; clients end before their harness
#pragma once

#include "net/native_door.h"
#include "tests/support/fake_planes.h"
#include "tests/support/fake_socket.h"
#include "transport/session.h"
#include "transport/staging.h"
#include "transport/tls.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::test {

inline constexpr std::string_view kAccessKey = "AKIAPENSTOCK";
inline constexpr std::string_view kSecret = "a secret";

// What a client speaks to.
struct NativeServer {
  NativeServer() = default;
  virtual ~NativeServer() = default;
  NativeServer(const NativeServer&) = delete;
  NativeServer& operator=(const NativeServer&) = delete;
  // The door turns; no time passes.
  virtual void poll() = 0;
  // The planes answer what they were asked.
  virtual void run() = 0;
  [[nodiscard]] virtual WallMillis wall() const = 0;

  Nanos now{1'000'000'000};
  FakeSocket socket;
};

struct NativeHarness final : NativeServer {
  static constexpr std::int64_t kStartMillis = 1'700'000'000'000;
  static constexpr std::uint32_t kPlainListener = 0;
  static constexpr std::uint32_t kTlsListener = 1;  // refuses plain bytes

  explicit NativeHarness(net::NativeOptions options = {},
                         std::shared_ptr<const transport::TlsContext> tls = nullptr)
      : data(WallMillis(kStartMillis)),
        control(data),
        door(socket, data, control, complete(std::move(options)),
             {{.tag = kPlainListener, .tls = tls, .plain = true},
              {.tag = kTlsListener, .tls = tls, .plain = false}}) {}
  // The planes answer what they were asked: operations end before their door, unless a test keeps them.
  ~NativeHarness() override {
    if (!keep_unanswered) answer();
  }

  void poll() override { static_cast<void>(door.poll(now, data.wall())); }
  void run() override { answer(); }
  [[nodiscard]] WallMillis wall() const override { return data.wall(); }
  void advance(std::int64_t millis) {
    now = now + millis * kNanosPerMilli;
    data.set_wall(data.wall() + millis);
    poll();
  }
  // Lets time pass in steps, as a core would take its turns.
  void pass(std::int64_t millis) {
    for (; millis > 0; millis -= 250) advance(std::min<std::int64_t>(millis, 250));
  }

  static net::NativeOptions complete(net::NativeOptions options) {
    options.credentials =
        std::make_shared<const proto::CredentialSet>(std::vector<proto::Credential>{
            {.access_key_id = std::string(kAccessKey), .secret_access_key = std::string(kSecret)},
            {.access_key_id = "TEMPORARY",
             .secret_access_key = std::string(kSecret),
             .session_token = "token"}});
    return options;
  }

  bool keep_unanswered = false;
  FakeDataPlane data;
  FakeControlPlane control;
  net::NativeDoor door;

 private:
  void answer() {
    data.run(now);
    control.run(now);
  }
};

// A message that came; its table and attachment lie in `bytes`.
struct Heard {
  std::uint32_t lane = 0;
  std::vector<std::uint64_t> bytes;
  proto::DecodedMessage message;
  [[nodiscard]] proto::MessageKind kind() const { return message.header.kind; }
  template <class T>
  [[nodiscard]] const T& as() const {
    return *flatbuffers::GetRoot<T>(message.table.data());
  }
};

// What a Hello says; as it should be, to be spoiled by a test.
struct HelloWords {
  std::uint16_t version_min = 1;
  std::uint16_t version_max = 1;
  std::string access_key{kAccessKey};
  std::string secret{kSecret};
  std::size_t nonce_bytes = 16;
  std::int64_t clock_ahead_ms = 0;
  bool zero_channel = false;
};

inline void write_hello(flatbuffers::FlatBufferBuilder& table, const HelloWords& words,
                        const proto::HelloChannel& channel, WallMillis wall) {
  std::vector<std::uint8_t> nonce(words.nonce_bytes);
  for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<std::uint8_t>(i * 7);
  const std::int64_t time = wall.raw() + words.clock_ahead_ms;
  proto::Sha256 hash;
  const auto proof = proto::hello_proof(
      hash, words.secret, channel, time,
      std::as_bytes(std::span(nonce)).first(std::min(nonce.size(), proto::kHelloNonceMax)));
  const auto client = table.CreateString("a test");
  const auto key = table.CreateString(words.access_key);
  const auto random = table.CreateVector(nonce);
  const auto shown =
      table.CreateVector(reinterpret_cast<const std::uint8_t*>(proof.data()), proof.size());
  table.Finish(proto::CreateHello(table, words.version_min, words.version_max, client, key, random,
                                  time, shown));
}

class NativeClient {
 public:
  explicit NativeClient(NativeServer& harness,
                        std::uint32_t listener = NativeHarness::kPlainListener,
                        std::shared_ptr<const transport::TlsContext> tls = nullptr)
      : harness_(harness), id_(harness.socket.connect(listener)) {
    if (tls == nullptr) return;
    tls_ = std::make_unique<transport::TlsSession>(std::move(tls), "localhost");
    tls_->start();
  }
  NativeClient(const NativeClient&) = delete;
  NativeClient& operator=(const NativeClient&) = delete;

  // Bytes go to and fro until none is left. The planes do not answer meanwhile.
  void carry() {
    bool moved = true;
    while (moved) {
      moved = push();
      const std::size_t unread = harness_.socket.unread(id_);
      harness_.poll();
      moved = pull() || moved || harness_.socket.unread(id_) != unread;
    }
  }
  // The same with the planes.
  void settle() {
    carry();
    harness_.run();
    carry();
  }

  // Queues a message and gives its request's number.
  std::uint64_t say(std::uint32_t lane, proto::MessageKind kind,
                    flatbuffers::FlatBufferBuilder* table = nullptr,
                    std::span<const std::byte> attachment = {}, std::uint32_t sequence = 0) {
    const std::size_t table_bytes = table == nullptr ? 0 : table->GetSize();
    const std::size_t padded = (table_bytes + 7) / 8 * 8;
    auto sending = std::make_unique<Sending>();
    sending->bytes.resize(proto::kMessageHeaderBytes + padded + attachment.size());
    std::ranges::copy(proto::encode({.kind = kind,
                                     .table_bytes = static_cast<std::uint32_t>(padded),
                                     .request = ++request_,
                                     .sequence = sequence}),
                      sending->bytes.begin());
    std::byte* const behind = sending->bytes.data() + proto::kMessageHeaderBytes;
    if (table_bytes > 0) std::memcpy(behind, table->GetBufferPointer(), table_bytes);
    if (!attachment.empty()) {
      std::memcpy(behind + padded, attachment.data(), attachment.size());
    }
    sending->message.parts[0] = sending->bytes;
    sending->message.part_count = 1;
    session_.send(lane, sending->message);
    sendings_.push_back(std::move(sending));
    return request_;
  }
  std::uint64_t say_hello(const HelloWords& words = {}, std::uint32_t lane = 0) {
    flatbuffers::FlatBufferBuilder table;
    proto::HelloChannel channel{};
    if (tls_ != nullptr && !words.zero_channel) tls_->export_keying(proto::kHelloLabel, channel);
    write_hello(table, words, channel, harness_.wall());
    return say(lane, proto::MessageKind::kHello, &table);
  }
  // Up to Welcome.
  void greet() {
    carry();
    const std::uint64_t request = say_hello();
    carry();
    const Heard* welcome = answer(request);
    ASSERT_NE(welcome, nullptr) << told;
    ASSERT_EQ(welcome->kind(), proto::MessageKind::kWelcome);
    const auto& limits = welcome->as<proto::Welcome>();
    session_.welcome({.credit = limits.credit(),
                      .message_max = limits.message_max(),
                      .lanes_max = limits.lanes_max()});
  }
  std::uint64_t open_put(std::uint32_t lane, const std::string& stream, std::uint32_t shard,
                         std::uint64_t producer = 0, std::uint32_t epoch = 0) {
    flatbuffers::FlatBufferBuilder table;
    table.Finish(proto::CreateOpenPut(table, table.CreateString(stream), shard, producer, epoch));
    return say(lane, proto::MessageKind::kOpenPut, &table);
  }
  // A lane that is open for puts.
  std::uint32_t put_lane(const std::string& stream, std::uint32_t shard, std::uint64_t producer = 0,
                         std::uint32_t epoch = 0) {
    const std::uint32_t lane = session_.open_lane({.priority = transport::Priority::kPut});
    const std::uint64_t request = open_put(lane, stream, shard, producer, epoch);
    settle();
    const Heard* opened = answer(request);
    EXPECT_TRUE(opened != nullptr && opened->kind() == proto::MessageKind::kPutOpened);
    return lane;
  }
  std::uint64_t put(std::uint32_t lane, std::span<const std::byte> batch,
                    std::uint32_t sequence = 0) {
    return say(lane, proto::MessageKind::kPut, nullptr, batch, sequence);
  }
  std::uint64_t get_map(const std::string& stream, std::uint32_t from = 0) {
    flatbuffers::FlatBufferBuilder table;
    table.Finish(proto::CreateStreamName(table, table.CreateString(stream), from));
    return say(0, proto::MessageKind::kGetMap, &table);
  }

  // Null: there is none (yet).
  [[nodiscard]] const Heard* answer(std::uint64_t request) const {
    const auto at = std::ranges::find_if(
        heard, [&](const auto& one) { return one->message.header.request == request; });
    return at == heard.end() ? nullptr : at->get();
  }
  // Of a Failed that answers it; null if there is none.
  [[nodiscard]] const proto::Failure* failure(std::uint64_t request) const {
    const Heard* heard_one = answer(request);
    if (heard_one == nullptr || heard_one->kind() != proto::MessageKind::kFailed) return nullptr;
    return &heard_one->as<proto::Failure>();
  }
  [[nodiscard]] std::size_t count(proto::MessageKind kind) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(heard, [&](const auto& one) { return one->kind() == kind; }));
  }
  [[nodiscard]] transport::Session& session() { return session_; }
  [[nodiscard]] env::ConnectionId id() const { return id_; }
  [[nodiscard]] bool connected() const { return harness_.socket.open(id_); }

  std::vector<std::unique_ptr<Heard>> heard;
  std::string told;  // resets and the close, "reset 1 kGone; closed kProtocol a reason; "
  std::string came;  // what comes on a plain connection, as it comes

 private:
  struct Sending {
    transport::OutgoingMessage message;
    std::vector<std::byte> bytes;
  };

  bool push() {
    if (!harness_.socket.open(id_)) return false;
    std::array<std::span<const std::byte>, 64> spans;
    std::string out;
    while (tls_ == nullptr || tls_->writable()) {
      const std::size_t spans_used = session_.gather(spans, 256 * kKiB);
      if (spans_used == 0) break;
      for (const auto span : std::span(spans).first(spans_used)) {
        if (tls_ != nullptr) {
          tls_->write(span);
        } else {
          out.append(reinterpret_cast<const char*>(span.data()), span.size());
        }
      }
      session_.sent(harness_.now);
    }
    if (tls_ != nullptr && tls_->output_bytes() > 0) {
      const auto sealed = tls_->take_output();
      out.assign(reinterpret_cast<const char*>(sealed.data()), sealed.size());
    }
    if (out.empty()) return false;
    harness_.socket.give(id_, out);
    return true;
  }
  bool pull() {
    const std::string bytes = harness_.socket.taken(id_);
    if (tls_ == nullptr) {
      came += bytes;
      feed(std::as_bytes(std::span(bytes)));
    } else if (!bytes.empty()) {
      tls_->feed(std::as_bytes(std::span(bytes)));
      std::vector<std::byte> plain(64 * kKiB);
      while (const std::size_t count = tls_->read(plain)) feed(std::span(plain).first(count));
    }
    listen();
    return !bytes.empty();
  }
  void feed(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::span<std::byte> into = session_.destination();
      if (into.empty()) return;
      const std::size_t take = std::min(into.size(), bytes.size());
      std::memcpy(into.data(), bytes.data(), take);
      session_.arrived(take, harness_.now);
      bytes = bytes.subspan(take);
      listen();
    }
  }
  void listen() {
    using transport::SessionEventKind;
    for (auto event = session_.next_event(); event.kind != SessionEventKind::kNone;
         event = session_.next_event()) {
      if (event.kind == SessionEventKind::kMessage) take(event);
      if (event.kind == SessionEventKind::kReset) {
        told += "reset " + std::to_string(event.lane) + " " + std::string(name(event.code)) + "; ";
      } else if (event.kind == SessionEventKind::kClosed) {
        told += std::string(event.by_peer ? "closed " : "closes ") + std::string(name(event.code)) +
                " " + std::string(event.reason) + "; ";
      }
    }
  }
  void take(transport::SessionEvent& event) {
    auto one = std::make_unique<Heard>();
    one->lane = event.lane;
    const auto bytes = event.message.bytes();
    one->bytes.resize((bytes.size() + 7) / 8);
    std::memcpy(one->bytes.data(), bytes.data(), bytes.size());
    const auto decoded =
        proto::decode_message(std::as_bytes(std::span(one->bytes)).first(bytes.size()));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_TRUE(decoded->known);
    one->message = *decoded;
    heard.push_back(std::move(one));
    session_.release(event.message);
  }

  NativeServer& harness_;
  env::ConnectionId id_;
  std::unique_ptr<transport::TlsSession> tls_;
  std::uint64_t request_ = 100;
  std::vector<std::unique_ptr<Sending>> sendings_;  // the session's, so they end behind it
  transport::Staging staging_{64 * kMiB, 16 * kMiB};
  transport::Session session_{transport::SessionOptions{}, staging_, Nanos{1'000'000'000}};
};

}  // namespace penstock::test
