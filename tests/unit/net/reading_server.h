// A native front door on one of two real data cores, over a simulated disk: what is read through it was stored,
// and waits, limits, trims and ends of shards are those of the cells.
//
// Shape      the door is core 0's. Stream "s": shard 0 on core 0 has the lower half of the keys, shard 1 on core 1
//            the upper one
// Owner      the test, one thread. Time moves in `run` and `pass`
#pragma once

#include "base/pages.h"
#include "tests/unit/ingest/two_cores.h"
#include "tests/unit/net/batch_maker.h"
#include "tests/unit/net/native_harness.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::test {

// For batches of some MiB.
inline ingest::TwoCores::Options roomy(std::uint64_t slot_bytes = 16 * kMiB) {
  ingest::TwoCores::Options options;
  options.journal.slot_bytes = options.journal.tail_bytes = slot_bytes;
  return options;
}

struct ReadingServer final : NativeServer {
  explicit ReadingServer(net::NativeOptions options = {},
                         const ingest::TwoCores::Options& storage = roomy())
      : options_(NativeHarness::complete(std::move(options))), cores(storage) {
    cores.open_halves();
    open_door();
  }
  ~ReadingServer() override { close_door(); }

  void poll() override {
    cores.turn();
    now = cores.time.now();
  }
  // Until the disk has done what it was asked.
  void run() override {
    for (int i = 0; i < 100; ++i) {
      cores.step();
      if (!cores.storage.next_completion()) break;
    }
    poll();
  }
  [[nodiscard]] WallMillis wall() const override { return cores.wall(); }
  void pass(std::int64_t millis) {
    cores.pass(millis * kNanosPerMilli);
    now = cores.time.now();
  }
  // The power goes; clients are gone with it.
  void cut_and_restart() {
    close_door();
    cores.cut_and_restart();
    open_door();
  }
  // As the daemon's core does when it is asked to stop.
  void begin_drain() {
    door->begin_drain();
    cores.core(0).end_waits(now);
    cores.core(1).end_waits(now);
  }
  void trim(std::uint32_t shard, std::uint64_t first) {
    shard::CellCommand command;
    command.kind = shard::CommandKind::kTrimShard;
    command.control.kind = storage::ShardControlKind::kTrim;
    command.control.index = first;
    ASSERT_TRUE(cores.order(command, shard, static_cast<std::uint16_t>(shard % 2)).has_value());
  }
  // The sector that has these words is bad from now on.
  void spoil(std::string_view words) {
    drivers::SimVolume volume(cores.storage);
    const auto files = volume.list("");
    ASSERT_TRUE(files.has_value());
    for (const env::FileInfo& file : *files) {
      const auto id = volume.open(file.name);
      if (!id) continue;
      base::Pages pages(file.bytes);
      ASSERT_TRUE(volume.read(*id, 0, {pages.data(), file.bytes}).has_value());
      const std::string_view content(reinterpret_cast<const char*>(pages.data()), file.bytes);
      const std::size_t at = content.find(words);
      if (at == std::string::npos) continue;
      ASSERT_TRUE(cores.storage.flip_bit(file.name, at, words.size()));
      return;
    }
    FAIL() << "nowhere on the disk";
  }

 private:
  void open_door() {
    now = cores.time.now();
    door = std::make_unique<net::NativeDoor>(
        socket, cores.core(0), control, options_,
        std::vector<net::NativeListener>{{.tag = 0, .tls = nullptr, .plain = true}});
    front.door = door.get();
    cores.core(0).add_front(front, socket);
  }
  // Clients go, and what they asked of the cores comes back.
  void close_door() {
    if (door == nullptr) return;
    socket.vanish_all();
    door->begin_drain();
    for (int i = 0; i < 20'000 && !door->drained(); ++i) cores.step();
    EXPECT_TRUE(door->drained()) << "somebody holds on to a client that is gone";
    EXPECT_EQ(door->delivery_used(), 0U) << "memory that nobody has";
    front.door = nullptr;
    door.reset();
  }
  // The core keeps its fronts; this one's door goes.
  struct Front final : runtime::Agent {
    net::NativeDoor* door = nullptr;
    runtime::WorkCount poll(Nanos at, WallMillis wall) override {
      return door == nullptr ? 0 : door->poll(at, wall);
    }
    [[nodiscard]] Nanos next_deadline() const override {
      return door == nullptr ? runtime::kNever : door->next_deadline();
    }
  };

  net::NativeOptions options_;
  FakeDataPlane streams_{WallMillis(0)};  // of the control plane, which nobody asks
  Front front;

 public:
  ingest::TwoCores cores;
  FakeControlPlane control{streams_};
  std::unique_ptr<net::NativeDoor> door;
};

// One batch of these records, for a shard of `ReadingServer`.
inline std::vector<std::byte> batch_in(std::uint32_t shard, const std::vector<std::string>& texts) {
  std::vector<MadeRecord> records;
  for (const std::string& text : texts) {
    records.push_back({.key = "k",
                       .data = text,
                       .flags = 1,
                       .hash = base::HashKey{(std::uint64_t{shard % 2} << 63) | 1, 0}});
  }
  return make_batch(records);
}

// Where a reader begins, and how much it asks for.
struct Place {
  proto::From from = proto::From::Horizon;
  std::uint64_t index = 0;
  std::int64_t time_ms = 0;
};
struct Aims {
  std::uint32_t bytes = 0;
  std::uint32_t records = 0;
  std::uint32_t wait_ms = 0;
};
inline constexpr Place kHorizon{};
inline constexpr Place kLatest{.from = proto::From::Latest};
inline Place at(std::uint64_t index) { return {.from = proto::From::Index, .index = index}; }
inline Place since(std::int64_t time_ms) { return {.from = proto::From::Time, .time_ms = time_ms}; }

// A client that puts, and reads what was put.
class Reader : public NativeClient {
 public:
  explicit Reader(ReadingServer& server) : NativeClient(server), server_(server) { greet(); }

  // Stores a batch for each text, of that one record.
  void store(std::uint32_t shard, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) store_batch(shard, batch_in(shard, {text}));
  }
  void store_batch(std::uint32_t shard, const std::vector<std::byte>& batch) {
    std::uint32_t& lane = lanes_[shard];
    if (lane == 0) lane = put_lane("s", shard);
    const std::uint64_t request = put(lane, batch);
    settle();
    ASSERT_NE(answer(request), nullptr) << told;
    ASSERT_EQ(answer(request)->kind(), proto::MessageKind::kPutDone)
        << failure(request)->text()->c_str();
  }

  std::uint64_t get(std::uint32_t lane, std::uint32_t shard, const Place& place, Aims aims = {}) {
    flatbuffers::FlatBufferBuilder table;
    const proto::Position position(place.index, place.time_ms, place.from);
    table.Finish(proto::CreateGet(table, table.CreateString("s"), shard, &position, aims.bytes,
                                  aims.records, aims.wait_ms));
    return say(lane, proto::MessageKind::kGet, &table);
  }
  // On a lane of its own, up to the answer; null when none has come.
  const Heard* got(std::uint32_t shard, const Place& place, Aims aims = {}) {
    const std::uint64_t request = get(session().open_lane({}), shard, place, aims);
    settle();
    return answer(request);
  }
  // A lane on which so many bytes may come.
  std::uint32_t subscribe(std::uint32_t shard, const Place& place,
                          std::uint64_t credit = UINT32_MAX, std::uint32_t bytes = 0,
                          const std::string& stream = "s") {
    const std::uint32_t lane = session().open_lane({.own_account = true});
    flatbuffers::FlatBufferBuilder table;
    const proto::Position position(place.index, place.time_ms, place.from);
    table.Finish(
        proto::CreateSubscribe(table, table.CreateString(stream), shard, &position, bytes));
    say(lane, proto::MessageKind::kSubscribe, &table);
    session().grant(lane, credit);
    return lane;
  }
  // Lets time pass and takes what comes.
  void wait(std::int64_t millis) {
    for (; millis > 0; millis -= 50) {
      server_.pass(std::min<std::int64_t>(millis, 50));
      session().tick(server_.now);
      carry();
    }
  }

  // What came on a lane, of a kind, in order.
  [[nodiscard]] std::vector<const Heard*> all(std::uint32_t lane, proto::MessageKind kind) const {
    std::vector<const Heard*> found;
    for (const auto& one : heard) {
      if (one->lane == lane && one->kind() == kind) found.push_back(one.get());
    }
    return found;
  }
  // With what priorities a lane's pieces came, in order, each change once: "1 3 1 ".
  [[nodiscard]] std::string priorities(std::uint32_t lane) const {
    std::string changes;
    std::string last;
    auto rest = std::as_bytes(std::span(came)).subspan(transport::kPrefaceBytes);
    while (!rest.empty()) {
      const auto h = transport::decode(rest.first<transport::kFrameHeaderBytes>()).header;
      rest = rest.subspan(transport::kFrameHeaderBytes + h.payload_padded());
      if (h.type != transport::FrameType::kData || h.lane != lane) continue;
      const std::string one = std::to_string(static_cast<int>(h.priority)) + " ";
      if (one != last) changes += one;
      last = one;
    }
    return changes;
  }
  // Texts of the records that a lane's deliveries mean, in order; checks that none is missing between them.
  [[nodiscard]] std::vector<std::string> texts(std::uint32_t lane) const {
    std::vector<std::string> texts;
    std::optional<std::uint64_t> next;
    for (const Heard* one : all(lane, proto::MessageKind::kDelivery)) {
      const auto& said = one->as<proto::Delivered>();
      // Before a time that is to come, records are passed over.
      if (texts.empty() && said.from() == said.next()) continue;
      EXPECT_EQ(said.from(), next.value_or(said.from())) << "a gap";
      next = said.next();
      append(texts, *one, said.from(), said.next());
    }
    return texts;
  }
  [[nodiscard]] static std::vector<std::string> texts_of(const Heard& got) {
    std::vector<std::string> texts;
    const auto& said = got.as<proto::Got>();
    append(texts, got, said.from(), said.next());
    return texts;
  }
  [[nodiscard]] static std::vector<storage::BatchView> batches(const Heard& one) {
    std::vector<storage::BatchView> views;
    for (std::span<const std::byte> rest = one.message.attachment; !rest.empty();) {
      std::size_t used = 0;
      const auto view = storage::BatchView::open(rest, &used);
      EXPECT_TRUE(view.has_value());
      if (!view) break;
      views.push_back(*view);
      rest = rest.subspan(used);
    }
    return views;
  }

 private:
  static void append(std::vector<std::string>& texts, const Heard& one, std::uint64_t from,
                     std::uint64_t next) {
    std::uint64_t at = from;
    for (const storage::BatchView& batch : batches(one)) {
      const std::uint64_t first = batch.first().raw();
      EXPECT_LE(first, at) << "records are missing";
      for (std::uint32_t i = 0; i < batch.count(); ++i) {
        if (first + i < at || first + i >= next) continue;
        const storage::RecordRef record = batch.record(i);
        texts.emplace_back(reinterpret_cast<const char*>(record.data), record.data_bytes);
        ++at;
      }
    }
    EXPECT_EQ(at, next) << "what is meant is not all there";
  }

  ReadingServer& server_;
  std::map<std::uint32_t, std::uint32_t> lanes_;  // for puts, by shard
};

}  // namespace penstock::test
