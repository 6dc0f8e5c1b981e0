// Goal: on warm lanes no batch allocates: not one for a shard, nor one for any shards, nor one that is refused. Method: a
// door over a socket and a data plane that do not allocate themselves; `operator new` is counted while the door works.
// Nor does a subscription, for what it delivers. And how much is copied on the way through the door, and out of
// the journal: memcpy and memmove are counted, too.
#include "tests/support/allocation_count.h"
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"

#include <cstring>
#include <new>

// Buffers ask for aligned memory: that counts too.
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

// By one instruction, which is no call of these.
namespace {
std::size_t copied_bytes = 0;
void move_forward(void* to, const void* from, std::size_t bytes) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}
}  // namespace
extern "C" void* memcpy(void* to, const void* from, std::size_t bytes) {
  copied_bytes += bytes;
  move_forward(to, from, bytes);
  return to;
}
extern "C" void* memmove(void* to, const void* from, std::size_t bytes) {
  copied_bytes += bytes;
  auto* const target = static_cast<std::byte*>(to);
  const auto* const source = static_cast<const std::byte*>(from);
  if (target <= source || target >= source + bytes) {
    move_forward(to, from, bytes);
  } else {
    for (std::size_t i = bytes; i > 0; --i)
      static_cast<volatile std::byte*>(target)[i - 1] = source[i - 1];
  }
  return to;
}

namespace penstock::test {
namespace {

constexpr env::ConnectionId kOnly{1};
constexpr Nanos kNow{1'000'000'000};
constexpr WallMillis kWall{NativeHarness::kStartMillis};

std::size_t allocations() { return allocation_count() + aligned_count; }

// One connection, its bytes in memory that is there already.
class TapeSocket final : public env::Socket {
 public:
  TapeSocket() { out.reserve(4 * kMiB); }
  void connect() { push({.kind = env::SocketEventKind::kAccepted, .connection = kOnly}); }
  void give(std::span<const std::byte> bytes) {
    in_ = bytes;
    deliver();
  }
  [[nodiscard]] bool empty() const { return in_.empty() && count_ == 0; }
  std::vector<std::byte> out;
  std::size_t copied = 0;  // by it, where the kernel would

  Result<> listen(std::string_view, std::uint16_t, std::uint32_t) override { return {}; }
  void stop_listening() override {}
  void receive(env::ConnectionId, std::span<std::byte> into) override {
    into_ = into;
    deliver();
  }
  void send(env::ConnectionId, std::span<const std::byte> bytes) override {
    take(bytes);
    push({.kind = env::SocketEventKind::kSent, .connection = kOnly});
  }
  void send(env::ConnectionId, std::span<const std::span<const std::byte>> pieces) override {
    for (const auto piece : pieces) take(piece);
    push({.kind = env::SocketEventKind::kSent, .connection = kOnly});
  }
  void send_held(env::ConnectionId, std::span<const std::byte>) override {
    FAIL() << "nothing is sealed";
  }
  void close(env::ConnectionId) override {
    into_ = {};
    push({.kind = env::SocketEventKind::kClosed, .connection = kOnly});
  }
  std::string peer(env::ConnectionId) override { return {}; }
  void submit() override {}
  std::size_t reap(std::span<env::SocketEvent> events) override {
    std::copy_n(events_.begin(), count_, events.begin());
    return std::exchange(count_, 0);
  }

 private:
  void push(const env::SocketEvent& event) { events_.at(count_++) = event; }
  void take(std::span<const std::byte> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
    copied += bytes.size();
  }
  void deliver() {
    const std::size_t bytes = std::min(into_.size(), in_.size());
    if (bytes == 0) return;
    std::memcpy(into_.data(), in_.data(), bytes);
    copied += bytes;
    in_ = in_.subspan(bytes);
    into_ = {};
    push({.kind = env::SocketEventKind::kReceived,
          .connection = kOnly,
          .bytes = static_cast<std::uint32_t>(bytes)});
  }
  std::span<const std::byte> in_;
  std::span<std::byte> into_;
  std::array<env::SocketEvent, 8> events_;
  std::size_t count_ = 0;
};

// Stores everything, and keeps nothing; of one shard it has what `store` says.
class DeepPlane final : public shard::DataPlane {
 public:
  static constexpr std::size_t kDataBytes = 8'000;
  void put(shard::PutRequest& request, Nanos) override { waiting_.at(count_++) = &request; }
  void read(shard::ReadRequest& request, Nanos) override { reading_ = &request; }
  void open_producer(shard::ProducerRequest& request, Nanos) override { opening_ = &request; }
  [[nodiscard]] const std::shared_ptr<const route::RouteMap>& routes() const override {
    return streams.routes();
  }
  void run() {
    if (shard::ProducerRequest* request = std::exchange(opening_, nullptr)) {
      request->done(*request, kNow);
    }
    const std::size_t count = std::exchange(count_, 0);
    for (std::size_t i = 0; i < count; ++i) answer(*waiting_[i]);
    if (read_due()) answer(*std::exchange(reading_, nullptr));
  }
  // A batch of one record, in place of the one before.
  void store() {
    const storage::RecordRef record{.key = reinterpret_cast<const std::byte*>("k"),
                                    .data = data_.data(),
                                    .data_bytes = static_cast<std::uint32_t>(data_.size()),
                                    .key_bytes = 1,
                                    .flags = 0,
                                    .hash = {}};
    const std::size_t payload = data_.size() + 1;
    storage::BatchWriter writer(std::as_writable_bytes(std::span(stored_)),
                                {.first = RecordIndex(end_++), .arrival = kWall}, 1, payload);
    writer.add(record);
    static_cast<void>(writer.finish());
  }
  [[nodiscard]] bool read_due() const {
    return reading_ != nullptr && (reading_->wait_until == Nanos{} || reading_->index.raw() < end_);
  }
  FakeDataPlane streams{kWall};

 private:
  static void answer(shard::PutRequest& request) {
    for (shard::PutEntry& entry : request.entries) entry.stored = true;
    request.done(request, kNow);
  }
  void answer(shard::ReadRequest& request) {
    request.outcome = {};
    request.next = request.index;
    if (request.sink != nullptr) {
      const auto batch = storage::BatchView::open(std::as_bytes(std::span(stored_)), nullptr);
      request.next = request.index + request.sink->on_batch(*batch, 0, 1).records;
    }
    request.millis_behind = request.next.raw() < end_ ? 1 : 0;
    request.done(request, kNow);
  }
  std::vector<std::byte> data_ = std::vector<std::byte>(kDataBytes);
  std::vector<std::uint64_t> stored_ = std::vector<std::uint64_t>(kDataBytes / 8 + 512);
  std::uint64_t end_ = 0;
  shard::ReadRequest* reading_ = nullptr;
  std::array<shard::PutRequest*, 64> waiting_;
  std::size_t count_ = 0;
  shard::ProducerRequest* opening_ = nullptr;
};

class WarmDoor {
 public:
  WarmDoor() {
    plane_.streams.add_stream("s", 1);
    socket_.connect();
    flatbuffers::FlatBufferBuilder hello;
    write_hello(hello, {}, {}, kWall);
    say(0, proto::MessageKind::kHello, &hello, {});
    carry();
    client_.welcome({.credit = 64 * kKiB});
    whole_ = open(0, 7);
    mixed_ = open(UINT32_MAX, 0);
    subscribe();
  }
  ~WarmDoor() {
    plane_.store();  // its reader comes back
    socket_.close(kOnly);
    carry();
  }
  WarmDoor(const WarmDoor&) = delete;
  WarmDoor& operator=(const WarmDoor&) = delete;

  void round() {
    for (const auto& batch : batches_) {
      say(whole_, proto::MessageKind::kPut, nullptr, batch);
      say(mixed_, proto::MessageKind::kPut, nullptr, batch);
      carry();
    }
  }
  static constexpr std::size_t kStoredBytes = DeepPlane::kDataBytes;
  void delivery() {
    plane_.store();
    carry();
  }
  // One batch on one lane; the bytes that were copied on its way.
  std::size_t copied_for(bool mixed, std::span<const std::byte> batch) {
    const std::size_t before = worked_copies;
    say(mixed ? mixed_ : whole_, proto::MessageKind::kPut, nullptr, batch);
    carry();
    return worked_copies - before;
  }
  std::size_t copied_for_delivery() {
    const std::size_t before = worked_copies;
    delivery();
    return worked_copies - before;
  }
  std::size_t worked_allocations = 0;
  std::size_t worked_copies = 0;  // bytes; what the socket copies is the kernel's
  std::size_t heard = 0;
  [[nodiscard]] const net::NativeCounters& counters() const { return door_.counters(); }

 private:
  std::uint32_t open(std::uint32_t shard, std::uint64_t producer) {
    const std::uint32_t lane = client_.open_lane({.priority = transport::Priority::kPut});
    flatbuffers::FlatBufferBuilder table;
    table.Finish(proto::CreateOpenPut(table, table.CreateString("s"), shard, producer, 1));
    say(lane, proto::MessageKind::kOpenPut, &table, {});
    carry();
    return lane;
  }
  void subscribe() {
    const std::uint32_t lane = client_.open_lane({.own_account = true});
    flatbuffers::FlatBufferBuilder table;
    const proto::Position latest(0, 0, proto::From::Latest);
    table.Finish(proto::CreateSubscribe(table, table.CreateString("s"), 0, &latest));
    say(lane, proto::MessageKind::kSubscribe, &table, {});
    client_.grant(lane, kMiB);
    carry();
  }
  void say(std::uint32_t lane, proto::MessageKind kind, flatbuffers::FlatBufferBuilder* table,
           std::span<const std::byte> attachment) {
    Saying& saying = sayings_.at(lane);
    const std::size_t bytes = table == nullptr ? 0 : table->GetSize();
    saying.head.assign(proto::kMessageHeaderBytes + round_up(bytes, std::size_t{8}), {});
    const auto padded = static_cast<std::uint32_t>(saying.head.size() - proto::kMessageHeaderBytes);
    std::ranges::copy(proto::encode({.kind = kind, .table_bytes = padded, .request = 1}),
                      saying.head.begin());
    if (bytes > 0) {
      std::memcpy(saying.head.data() + proto::kMessageHeaderBytes, table->GetBufferPointer(),
                  bytes);
    }
    saying.message = {};
    saying.message.parts[0] = saying.head;
    saying.message.parts[1] = attachment;
    saying.message.part_count = attachment.empty() ? 1 : 2;
    client_.send(lane, saying.message);
  }
  void carry() {
    std::array<std::span<const std::byte>, 64> spans;
    for (bool moved = true; moved;) {
      const std::size_t count = client_.gather(spans, 256 * kKiB);
      up_.clear();
      for (const auto span : std::span(spans).first(count)) {
        up_.insert(up_.end(), span.begin(), span.end());
      }
      if (count > 0) client_.sent(kNow);
      socket_.give(up_);
      const std::size_t before = allocations();
      const std::size_t copied = copied_bytes - socket_.copied;
      do {
        static_cast<void>(door_.poll(kNow, kWall));
        plane_.run();
      } while (!socket_.empty() || plane_.read_due());
      worked_allocations += allocations() - before;
      worked_copies += copied_bytes - socket_.copied - copied;
      moved = count > 0 || !socket_.out.empty();
      down();
    }
  }
  void down() {
    std::span<const std::byte> bytes = socket_.out;
    while (!bytes.empty()) {
      const std::span<std::byte> into = client_.destination();
      const std::size_t take = std::min(into.size(), bytes.size());
      std::memcpy(into.data(), bytes.data(), take);
      client_.arrived(take, kNow);
      bytes = bytes.subspan(take);
      for (auto event = client_.next_event(); event.kind != transport::SessionEventKind::kNone;
           event = client_.next_event()) {
        ASSERT_NE(event.kind, transport::SessionEventKind::kClosed) << event.reason;
        if (event.kind != transport::SessionEventKind::kMessage) continue;
        ++heard;
        client_.release(event.message);
      }
    }
    socket_.out.clear();
  }

  struct Saying {
    transport::OutgoingMessage message;
    std::vector<std::byte> head;
  };
  std::vector<std::vector<std::byte>> batches_{
      make_batch({{.key = "a"}}), make_batch({{.key = ""}}),  // this is refused
      make_batch({{.key = "a", .data = std::string(50'000, 'x')}}),
      make_batch(std::vector<MadeRecord>(500, {.key = "b", .data = "many"})),
      make_batch({{.key = "a", .data = std::string(300'000, 'x')}})};
  TapeSocket socket_;
  DeepPlane plane_;
  FakeControlPlane control_{plane_.streams};
  net::NativeDoor door_{socket_,
                        plane_,
                        control_,
                        NativeHarness::complete({}),
                        {{.tag = 0, .tls = nullptr, .plain = true}}};
  std::array<Saying, 4> sayings_;  // one for each lane
  std::vector<std::byte> up_;
  transport::Staging staging_{64 * kMiB, 16 * kMiB};
  transport::Session client_{transport::SessionOptions{}, staging_, kNow};
  std::uint32_t whole_ = 0;
  std::uint32_t mixed_ = 0;
};

TEST(WarmSubscription, DoesNotAllocate) {
  WarmDoor warm;
  for (int i = 0; i < 3; ++i) warm.delivery();
  const std::size_t before = warm.worked_allocations;
  const std::size_t heard = warm.heard;
  for (int i = 0; i < 100; ++i) warm.delivery();
  EXPECT_EQ(warm.worked_allocations, before);
  EXPECT_EQ(warm.heard - heard, 100U);
  EXPECT_EQ(warm.counters().records_out, 103U);
}

// What comes with a frame's header, up to 16 KiB of its 64, is read with it and moved to where the rest is
// received; besides that, headers, answers and tables are copied, and no data.
TEST(WarmPut, CopiesNoDataButWhatComesWithAFramesHeader) {
  WarmDoor warm;
  for (int i = 0; i < 3; ++i) warm.round();
  constexpr std::size_t kLittle = 4 * kKiB;
  const auto one = make_batch({{.key = "a", .data = std::string(300'000, 'x')}});
  const auto some =
      make_batch(std::vector<MadeRecord>(10, {.key = "b", .data = std::string(10'000, 'x')}));
  for (const auto& batch : {one, some}) {
    const std::size_t frames = div_ceil(batch.size(), 64 * kKiB);
    for (const bool mixed : {false, true}) {
      EXPECT_LT(warm.copied_for(mixed, batch), frames * 16 * kKiB + kLittle) << mixed;
    }
  }
}

TEST(WarmSubscription, CopiesWhatIsStoredOnce) {
  WarmDoor warm;
  for (int i = 0; i < 3; ++i) warm.delivery();
  const std::size_t copied = warm.copied_for_delivery();
  EXPECT_GE(copied, WarmDoor::kStoredBytes);
  EXPECT_LT(copied, WarmDoor::kStoredBytes * 3 / 2);
}

TEST(WarmPut, DoesNotAllocate) {
  WarmDoor warm;
  for (int i = 0; i < 3; ++i) warm.round();
  EXPECT_GT(warm.worked_allocations, 0U);
  const std::size_t before = warm.worked_allocations;
  const std::size_t heard = warm.heard;
  for (int i = 0; i < 50; ++i) warm.round();
  EXPECT_EQ(warm.worked_allocations, before);
  EXPECT_EQ(warm.heard - heard, 50U * 10);
  EXPECT_EQ(warm.counters().batches_stored, 53U * 4);
  EXPECT_EQ(warm.counters().batches_refused, 53U * 2);
}

}  // namespace
}  // namespace penstock::test
