// Any bytes into a server's session, as a peer could send them: it never gives out a message that breaks the rules of
// PROTOCOL.md §2, never holds more than it granted, and when all is over nothing is left.
//
// An input is a row of steps: a byte that says what happens, then what that needs. Bytes go in raw, or as a frame with
// a payload, so that the checks behind the header are reached.
#include "transport/frames.h"
#include "transport/session.h"
#include "transport/staging.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <vector>

namespace {

using namespace penstock;
using namespace penstock::transport;

void check(bool condition) {
  if (!condition) std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t b = rest_.front();
    rest_ = rest_.subspan(1);
    return b;
  }
  std::span<const std::uint8_t> bytes(std::size_t count) {
    const auto some = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(some.size());
    return some;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

constexpr std::uint64_t kBudget = 4 * kMiB;

class World {
 public:
  explicit World(std::uint8_t pieces) : piece_(std::size_t{1} << (pieces % 17)) {
    const auto preface = encode_preface(16'384);
    feed(preface);
  }
  ~World() {
    while (!held_.empty()) release(0);
  }

  void step(Input& in) {
    const std::uint8_t what = in.byte();
    switch (what % 10) {
      case 0:
        feed(std::as_bytes(in.bytes(in.byte())));
        break;
      case 1:
      case 2:
      case 3:
        frame(in, what);
        break;
      case 4:
        if (!held_.empty()) release(in.byte() % held_.size());
        break;
      case 5: {
        const std::uint32_t lane = in.byte();
        if (lane == 0 || !session_.has_lane(lane)) break;
        session_.reset(lane, CloseCode::kGone, "reset");
        lanes_.erase(lane);
        break;
      }
      case 6:
        out();
        break;
      case 7:
        now_ = now_ + (std::int64_t{1} << (in.byte() % 36));
        session_.tick(now_);
        check(session_.next_deadline() > now_ || !session_.open());
        events();
        break;
      case 8: {
        const std::uint32_t lane = in.byte();
        if (!session_.has_lane(lane) || !session_.open()) break;
        OutgoingMessage& message = outgoing_[sends_++ % outgoing_.size()];
        if (message.link.linked) break;
        message = {};
        message.parts[0] = std::span<const std::byte>(kAnswer).first(1 + in.byte());
        message.part_count = 1;
        session_.send(lane, message);
        break;
      }
      default:
        if (in.byte() == 0) session_.close(CloseCode::kStopping, "stop");
        events();
    }
    check(staging_.outstanding() <= kBudget);
    check(session_.staged_bytes() <= kBudget + options().control_bytes_max);
  }

 private:
  // A frame of which the fields are small numbers, and its payload: pieces that fit are found by chance.
  void frame(Input& in, std::uint8_t what) {
    FrameHeader h;
    h.type = static_cast<FrameType>(1 + in.byte() % 7);
    if (h.type != FrameType::kData || what % 10 == 3) {
      h.lane = what % 10 == 3 ? kSessionLane : in.byte();
      h.value = std::uint64_t{in.byte()} << (in.byte() % 24);
      if (h.type == FrameType::kClose || h.type == FrameType::kReset) h.length = in.byte();
      if (h.type == FrameType::kPing || h.type == FrameType::kPong) h.lane = 0;
    } else {
      h.lane = in.byte();
      // As the lane goes on, if it does not say otherwise.
      Half& half = halves_[h.lane];
      if (half.offset == 0) half.size = 1 + in.byte() * 97U;
      const std::uint32_t left = half.size - half.offset;
      h.length = std::min<std::uint32_t>(left, 8U * (1 + in.byte()));
      h.offset = half.offset;
      h.message_bytes = half.size;
      h.message_number = half.number;
      h.last = h.offset + h.length == h.message_bytes;
      half.offset = h.last ? 0 : h.offset + h.length;
      if (h.last) ++half.number;
    }
    const FrameBytes bytes = encode(h);
    feed(bytes);
    std::vector<std::byte> payload(h.payload_padded());
    for (std::size_t i = 0; i < h.length; ++i) payload[i] = static_cast<std::byte>(h.offset + i);
    feed(payload);
  }

  void feed(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::span<std::byte> into = session_.destination();
      if (into.empty()) return;
      const std::size_t take = std::min({into.size(), bytes.size(), piece_});
      std::memcpy(into.data(), bytes.data(), take);
      session_.arrived(take, now_);
      bytes = bytes.subspan(take);
      events();
    }
  }

  void events() {
    for (SessionEvent e = session_.next_event(); e.kind != SessionEventKind::kNone;
         e = session_.next_event()) {
      check(!closed_);  // kClosed is the last
      switch (e.kind) {
        case SessionEventKind::kMessage: {
          check(e.message.size >= 1);
          check(e.message.size <=
                (e.lane == 0 ? options().control_message_max : options().message_max));
          check(reinterpret_cast<std::uintptr_t>(e.message.buffer.data) % 8 == 0);
          check(e.message.buffer.bytes >= e.message.size + 64);
          check(e.lane == e.message.lane);
          if (e.opened) {
            check(opened_.insert(e.lane).second);  // once, whatever becomes of it
          } else {
            check(e.lane == 0 || lanes_.contains(e.lane));
          }
          check(e.message.number == lanes_[e.lane]++);
          held_.push_back(e.message);
          break;
        }
        case SessionEventKind::kReset:
          check(e.lane != 0);
          check(!session_.has_lane(e.lane));
          lanes_.erase(e.lane);
          break;
        case SessionEventKind::kClosed:
          closed_ = true;
          check(!session_.open());
          check(session_.destination().empty());
          break;
        default:
          break;
      }
    }
    check(session_.lanes() <= options().lanes_max);
  }

  void release(std::size_t i) {
    session_.release(held_[i]);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
    events();
  }

  // What it sends is frames, whatever it was told.
  void out() {
    std::span<const std::byte> spans[64];
    const std::size_t count = session_.gather(spans, 4096 + 64 * kKiB);
    std::vector<std::byte> all;
    for (const auto& span : std::span(spans).first(count)) {
      all.insert(all.end(), span.begin(), span.end());
    }
    if (count > 0) session_.sent(now_);
    check(all.size() % 8 == 0);
    std::span<const std::byte> rest(all);
    if (!prefaced_ && !rest.empty()) {
      check(decode_preface(rest.first<kPrefaceBytes>()) != 0);
      rest = rest.subspan(kPrefaceBytes);
      prefaced_ = true;
    }
    while (!rest.empty()) {
      check(rest.size() >= kFrameHeaderBytes);
      const DecodedFrame frame = decode(rest.first<kFrameHeaderBytes>());
      check(frame.status == FrameStatus::kKnown);
      check(frame.header.length <= 16'384);
      rest = rest.subspan(kFrameHeaderBytes + frame.header.payload_padded());
    }
    events();
  }

  static SessionOptions options() {
    SessionOptions options;
    options.server = true;
    options.message_max = kMiB;
    options.frame_payload_max = 16'384;
    options.lanes_max = 12;
    options.control_waiting_max = 8;
    return options;
  }

  struct Half {
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
    std::uint32_t number = 0;
  };
  static constexpr std::array<std::byte, 256> kAnswer{};
  std::size_t piece_;
  Nanos now_{1};
  std::array<OutgoingMessage, 16> outgoing_;
  std::size_t sends_ = 0;
  Staging staging_{kBudget, kMiB};
  Session session_{options(), staging_, now_};
  std::map<std::uint32_t, Half> halves_;
  std::map<std::uint32_t, std::uint32_t> lanes_;  // to the next message's number
  std::set<std::uint32_t> opened_;
  std::vector<IncomingMessage> held_;
  bool closed_ = false;
  bool prefaced_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  World world(in.byte());
  while (!in.empty()) world.step(in);
  return 0;
}
