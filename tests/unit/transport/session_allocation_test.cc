// Goal: a warm session sends and receives without allocating. Method: a client and a server exchange the same messages
// again and again, with lanes opened and reset between them; after the first rounds `operator new` is not called.
#include "tests/support/allocation_count.h"
#include "transport/session.h"
#include "transport/staging.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

// The buffer pool asks for aligned memory: that counts too.
namespace {
std::size_t aligned_count = 0;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  ++aligned_count;
  const std::size_t step = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(step, (size + step - 1) / step * step)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace penstock::transport {
namespace {

constexpr Nanos kStart{1000};

std::size_t allocations() { return test::allocation_count() + aligned_count; }

class Warm {
 public:
  Warm() : bytes_(300'000, std::byte{5}) {
    OutgoingMessage hello = message(40);
    client_.send(0, hello);
    carry();
    client_.welcome({.credit = 64 * kKiB});
  }

  // A lane, messages of many sizes on it and their answers, and its end.
  void round() {
    const std::uint32_t lane = client_.open_lane({.priority = Priority::kPut});
    for (const std::size_t size : {100UL, 5000UL, 70'000UL, 300'000UL, 8UL}) {
      OutgoingMessage put = message(size);
      client_.send(lane, put);
      while (carry()) {
      }
      OutgoingMessage answer = message(64);
      server_.send(lane, answer);
      while (carry()) {
      }
    }
    client_.reset(lane, CloseCode::kDone, "");
    while (carry()) {
    }
    EXPECT_EQ(server_.lanes(), 0U);
  }
  [[nodiscard]] std::size_t heard() const { return heard_; }

 private:
  OutgoingMessage message(std::size_t size) {
    OutgoingMessage m;
    m.parts[0] = std::span<const std::byte>(bytes_).first(size / 2);
    m.parts[1] = std::span<const std::byte>(bytes_).first(size - size / 2);
    m.part_count = 2;
    return m;
  }

  bool carry() {
    const bool up = carry(client_, server_);
    return carry(server_, client_) || up;
  }
  bool carry(Session& from, Session& to) {
    std::span<const std::byte> spans[64];
    const std::size_t count = from.gather(spans, 256 * kKiB);
    for (std::span<const std::byte> span : std::span(spans).first(count)) {
      while (!span.empty()) {
        const std::span<std::byte> into = to.destination();
        const std::size_t take = std::min(into.size(), span.size());
        std::memcpy(into.data(), span.data(), take);
        to.arrived(take, kStart);
        span = span.subspan(take);
        drain(to);
      }
    }
    if (count > 0) from.sent(kStart);
    drain(from);
    return count > 0;
  }
  void drain(Session& session) {
    for (SessionEvent e = session.next_event(); e.kind != SessionEventKind::kNone;
         e = session.next_event()) {
      ASSERT_NE(e.kind, SessionEventKind::kClosed) << e.reason;
      if (e.kind != SessionEventKind::kMessage) continue;
      ++heard_;
      session.release(e.message);
    }
  }

  static SessionOptions server_options() {
    SessionOptions options;
    options.server = true;
    return options;
  }
  std::vector<std::byte> bytes_;
  std::size_t heard_ = 0;
  Staging server_staging_{64 * kMiB, 16 * kMiB};
  Staging client_staging_{64 * kMiB, 16 * kMiB};
  Session server_{server_options(), server_staging_, kStart};
  Session client_{SessionOptions{}, client_staging_, kStart};
};

TEST(WarmSession, SendsAndReceivesWithoutAllocating) {
  Warm warm;
  for (int i = 0; i < 3; ++i) warm.round();
  const std::size_t before = allocations();
  EXPECT_GT(before, 0U);
  const std::size_t heard = warm.heard();
  for (int i = 0; i < 50; ++i) warm.round();
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(warm.heard() - heard, 50U * 10);
}

}  // namespace
}  // namespace penstock::transport
