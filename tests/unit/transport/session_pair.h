// Two sessions joined back to back, in pieces of chosen sizes, and a peer that says what it likes in frames.
#pragma once

#include "transport/frames.h"
#include "transport/session.h"
#include "transport/staging.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <ranges>
#include <string>
#include <vector>

namespace penstock::transport::test {

inline constexpr Nanos kStart{1'000'000};

// Bytes that tell which message they are of, and where in it.
inline std::byte byte_of(std::uint32_t lane, std::uint32_t number, std::size_t at) {
  return static_cast<std::byte>((at * 31 + lane * 7 + number * 131 + (at >> 9)) & 255);
}

// A message in some parts, which notes its end.
struct Sending {
  OutgoingMessage message;
  std::vector<std::byte> bytes;
  int done = 0;
  bool sent = false;

  Sending(std::uint32_t lane, std::uint32_t number, std::size_t size, std::size_t parts = 1) {
    bytes.resize(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = byte_of(lane, number, i);
    std::span<const std::byte> rest(bytes);
    for (std::size_t p = 0; p < parts; ++p) {
      const std::size_t take = p + 1 == parts ? rest.size() : rest.size() / 3;
      message.parts[p] = rest.first(take);
      rest = rest.subspan(take);
    }
    message.part_count = parts;
    message.context = this;
    message.done = [](OutgoingMessage& m, bool was_sent) {
      auto& self = *static_cast<Sending*>(m.context);
      ++self.done;
      self.sent = was_sent;
    };
  }
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;
};

inline bool as_sent(const IncomingMessage& message) {
  const auto bytes = message.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != byte_of(message.lane, message.number, i)) return false;
  }
  return true;
}

// What came out of a session, in words where that is enough.
struct Side {
  Side(const SessionOptions& options, Staging& staging, Nanos now = kStart)
      : session(std::make_unique<Session>(options, staging, now)) {}
  ~Side() {
    if (session == nullptr) return;
    release_all();
  }
  void drain() {
    for (SessionEvent event = session->next_event(); event.kind != SessionEventKind::kNone;
         event = session->next_event()) {
      switch (event.kind) {
        case SessionEventKind::kMessage:
          log.push_back("message " + std::to_string(event.lane) + "." +
                        std::to_string(event.message.number) + " " +
                        std::to_string(event.message.size) + (event.opened ? " opens" : ""));
          if (on_message && on_message(event)) break;
          messages.push_back(event.message);
          break;
        case SessionEventKind::kReset:
          log.push_back("reset " + std::to_string(event.lane) + " " +
                        std::string(name(event.code)) + " " + std::string(event.reason));
          break;
        case SessionEventKind::kCredit:
          log.push_back("credit " +
                        (event.lane == kSessionLane ? "session" : std::to_string(event.lane)));
          break;
        case SessionEventKind::kWritable:
          writable.push_back(event.lane);
          break;
        case SessionEventKind::kClosed:
          log.push_back(std::string(event.by_peer ? "closed by peer " : "closed ") +
                        std::string(name(event.code)) + " " + std::string(event.reason));
          code = event.code;
          break;
        case SessionEventKind::kNone:
          break;
      }
      if (on_event) on_event(event);
    }
  }
  void release(std::size_t i) {
    session->release(messages[i]);
    messages.erase(messages.begin() + static_cast<std::ptrdiff_t>(i));
  }
  void release_all() {
    while (!messages.empty()) release(0);
  }
  // The last lines, joined.
  [[nodiscard]] std::string told() {
    std::string all;
    for (const std::string& line : log) all += (all.empty() ? "" : "; ") + line;
    log.clear();
    return all;
  }
  std::unique_ptr<Session> session;
  std::vector<IncomingMessage> messages;
  std::vector<std::string> log;
  std::vector<std::uint32_t> writable;
  CloseCode code = CloseCode::kDone;
  std::function<bool(SessionEvent&)> on_message;  // true: it has it
  std::function<void(const SessionEvent&)> on_event;
};

// Gives bytes to a session, in pieces of at most `piece`. What is not taken any more is dropped.
inline std::size_t feed(Side& to, std::span<const std::byte> bytes, std::size_t piece, Nanos now) {
  std::size_t fed = 0;
  while (fed < bytes.size()) {
    const std::span<std::byte> into = to.session->destination();
    if (into.empty()) break;
    const std::size_t take = std::min({piece, into.size(), bytes.size() - fed});
    std::memcpy(into.data(), bytes.data() + fed, take);
    to.session->arrived(take, now);
    fed += take;
    to.drain();
  }
  return fed;
}

// All that a session has to send, at most `bytes_max` a gather.
inline std::vector<std::byte> take(Session& from, Nanos now, std::size_t bytes_max = 256 * kKiB) {
  std::vector<std::byte> out;
  std::span<const std::byte> spans[64];
  while (const std::size_t count = from.gather(spans, bytes_max)) {
    for (const auto& span : std::span(spans).first(count)) {
      EXPECT_FALSE(span.empty());
      out.insert(out.end(), span.begin(), span.end());
    }
    from.sent(now);
  }
  return out;
}

// A peer that is no Session: frames as they are written here.
class Raw {
 public:
  Raw& preface() { return bytes(encode_preface(64 * kKiB)); }
  Raw& frame(const FrameHeader& h) {
    bytes(encode(h));
    out_.resize(out_.size() + h.payload_padded());
    return *this;
  }
  // A piece of a message; the bytes are as `byte_of` says.
  Raw& data(std::uint32_t lane, std::uint32_t number, std::uint32_t offset, std::uint32_t length,
            std::uint32_t size) {
    FrameHeader h{.type = FrameType::kData, .last = offset + length == size, .length = length};
    h.lane = lane;
    h.offset = offset;
    h.message_bytes = size;
    h.message_number = number;
    bytes(encode(h));
    for (std::uint32_t i = 0; i < length; ++i) out_.push_back(byte_of(lane, number, offset + i));
    out_.resize(round_up(out_.size(), std::size_t{8}));
    return *this;
  }
  Raw& message(std::uint32_t lane, std::uint32_t number, std::uint32_t size) {
    for (std::uint32_t at = 0; at < size; at += 64 * kKiB) {
      data(lane, number, at, std::min<std::uint32_t>(64 * kKiB, size - at), size);
    }
    return *this;
  }
  Raw& plain(FrameType type, std::uint32_t lane, std::uint64_t value) {
    return frame({.type = type, .lane = lane, .value = value});
  }
  Raw& reset(std::uint32_t lane) {
    FrameHeader h{.type = FrameType::kReset, .lane = lane};
    h.code = CloseCode::kGone;
    return frame(h);
  }
  template <class Bytes>
  Raw& bytes(const Bytes& some) {
    out_.insert(out_.end(), some.begin(), some.end());
    return *this;
  }
  std::vector<std::byte> out() { return std::exchange(out_, {}); }

 private:
  std::vector<std::byte> out_;
};

// Frames in words, as a peer would read them.
inline std::string frames_in(std::span<const std::byte> bytes) {
  std::string told;
  while (bytes.size() >= kFrameHeaderBytes) {
    if (decode_preface(bytes.first<kPrefaceBytes>()) != 0) {
      told += "preface; ";
      bytes = bytes.subspan(kPrefaceBytes);
      continue;
    }
    const DecodedFrame frame = decode(bytes.first<kFrameHeaderBytes>());
    if (frame.status != FrameStatus::kKnown) return told + "?";
    const FrameHeader& h = frame.header;
    const std::string lane = h.lane == kSessionLane ? "session" : std::to_string(h.lane);
    const std::string value = std::to_string(h.value);
    switch (h.type) {
      case FrameType::kData:
        told += "data " + lane + "." + std::to_string(h.message_number) + " " +
                std::to_string(h.offset) + "+" + std::to_string(h.length) + (h.last ? " last" : "");
        break;
      case FrameType::kCredit:
        told += "credit " + lane + " " + value;
        break;
      case FrameType::kBlocked:
        told += "blocked " + lane + " " + value;
        break;
      case FrameType::kPing:
        told += "ping " + value;
        break;
      case FrameType::kPong:
        told += "pong " + value;
        break;
      case FrameType::kClose:
        told += "close " + std::string(name(h.code));
        break;
      case FrameType::kReset:
        told += "reset " + lane + " " + std::string(name(h.code));
        break;
    }
    told += "; ";
    bytes = bytes.subspan(kFrameHeaderBytes + h.payload_padded());
  }
  if (bytes.size() == kPrefaceBytes && decode_preface(bytes.first<kPrefaceBytes>()) != 0) {
    told += "preface; ";
  }
  return told;
}

}  // namespace penstock::transport::test
