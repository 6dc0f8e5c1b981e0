// A socket with one peer in the same process. What the kernel would copy is copied in `deliver` and
// `collect`, which are the peer's to call: what is left of a turn is the server's own work.
//
// Owner      one thread
#pragma once

#include "base/assert.h"
#include "env/socket.h"

#include <cstring>
#include <vector>

namespace penstock::bench {

class MemorySocket final : public env::Socket {
 public:
  static constexpr env::ConnectionId kPeer{1};

  // --- The peer ---
  void connect(std::uint32_t listener) {
    events_.push_back({env::SocketEventKind::kAccepted, kPeer, listener, 0, 0});
  }
  void give(std::span<const std::byte> bytes) { in_.insert(in_.end(), bytes.begin(), bytes.end()); }
  // Into what the server has asked to receive. False: nothing could be.
  bool deliver() {
    if (into_.empty() || in_at_ == in_.size()) return false;
    const std::size_t count = std::min(into_.size(), in_.size() - in_at_);
    std::memcpy(into_.data(), in_.data() + in_at_, count);
    in_at_ += count;
    if (in_at_ == in_.size()) {
      in_.clear();
      in_at_ = 0;
    }
    into_ = {};
    events_.push_back(
        {env::SocketEventKind::kReceived, kPeer, 0, static_cast<std::uint32_t>(count), 0});
    return true;
  }
  // What the server has sent since.
  [[nodiscard]] std::vector<std::byte> collect() {
    std::vector<std::byte> bytes;
    if (out_.empty()) return bytes;
    for (const auto& piece : out_) bytes.insert(bytes.end(), piece.begin(), piece.end());
    out_.clear();
    events_.push_back({env::SocketEventKind::kSent, kPeer, 0, 0, 0});
    return bytes;
  }

  // --- The server ---
  Result<> listen(std::string_view, std::uint16_t, std::uint32_t) override { return {}; }
  void stop_listening() override {}
  void receive(env::ConnectionId, std::span<std::byte> into) override { into_ = into; }
  void send(env::ConnectionId, std::span<const std::byte> bytes) override { out_.push_back(bytes); }
  void send(env::ConnectionId, std::span<const std::span<const std::byte>> pieces) override {
    PENSTOCK_ASSERT(out_.empty());
    out_.assign(pieces.begin(), pieces.end());
  }
  void send_held(env::ConnectionId, std::span<const std::byte>) override {
    PENSTOCK_ASSERT(false);  // no door of a benchmark is made to
  }
  void close(env::ConnectionId) override {
    events_.push_back({env::SocketEventKind::kClosed, kPeer, 0, 0, 0});
  }
  std::string peer(env::ConnectionId) override { return "memory"; }
  void submit() override {}
  std::size_t reap(std::span<env::SocketEvent> out) override {
    const std::size_t count = std::min(out.size(), events_.size());
    std::copy_n(events_.begin(), count, out.begin());
    events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

 private:
  std::vector<std::byte> in_;
  std::size_t in_at_ = 0;
  std::span<std::byte> into_;
  std::vector<std::span<const std::byte>> out_;
  std::vector<env::SocketEvent> events_;
};

}  // namespace penstock::bench
