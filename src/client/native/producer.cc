// The producer that threads see: a box in front of its engine.
#include "penstock/producer.h"

#include "client/native/client_impl.h"
#include "client/native/producer_engine.h"
#include "proto/kinesis.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace penstock {

using client::native::kBatchBytesMax;
using client::native::kBatchRecordsMax;
using client::native::NewRecord;
using client::native::ProducerEngine;
using client::native::ProducerSettings;

namespace {

constexpr std::size_t kKeyCharactersMax = 256;
constexpr std::size_t kDataMax = 10 * kMiB;

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

ProducerSettings settings_of(const std::string& stream, const ProducerOptions& options) {
  ProducerSettings settings;
  settings.stream = stream;
  settings.batch_bytes = std::clamp<std::uint32_t>(options.batch_bytes, 1, kBatchBytesMax);
  settings.batch_records = std::clamp<std::uint32_t>(options.batch_records, 1, kBatchRecordsMax);
  settings.linger_nanos = std::max<std::int64_t>(0, options.linger.count() * 1'000);
  settings.deadline_nanos = options.deadline.count() * kNanosPerMilli;
  settings.idempotent = options.idempotent;
  return settings;
}

}  // namespace

// Records wait in the box until the thread's next turn, their bytes one behind the other.
struct Producer::Impl final : client::native::Agent {
  struct Boxed {
    std::uint32_t data_bytes = 0;
    std::uint16_t key_bytes = 0;
    std::uint16_t flags = 0;
    base::HashKey hash;
    PutDone done;
  };
  struct Box {
    std::vector<Boxed> records;
    std::vector<std::byte> bytes;
    Nanos since;  // when the first of them came
  };
  // Who may wait lets the thread take these first: so much stays in the caches of both.
  static constexpr std::size_t kBoxBytes = 1 * kMiB;
  static constexpr std::size_t kBoxRecords = 8192;
  static constexpr std::int64_t kPatienceNanos = kNanosPerMilli;
  static constexpr std::int64_t kPauseNanos = 50'000;

  Impl(std::shared_ptr<Client> the_client, std::shared_ptr<Client::Impl> the_thread,
       const std::string& stream, const ProducerOptions& options)
      : client(std::move(the_client)),
        thread(std::move(the_thread)),
        settings(settings_of(stream, options)),
        buffered_max(options.buffered_bytes_max) {}

  // --- The thread's --------------------------------------------------------------------------------
  void begin(Nanos now) {
    engine = std::make_unique<ProducerEngine>(
        thread->link, thread->maps, settings, [this](std::size_t bytes) { released += bytes; },
        now);
  }
  void tick(Nanos now) override {
    {
      const std::lock_guard lock(mutex);
      std::swap(box, turns);
      called = false;
      room.notify_all();
    }
    std::size_t at = 0;
    const Nanos deadline = now + settings.deadline_nanos;
    for (Boxed& record : turns.records) {
      const std::byte* key = turns.bytes.data() + at;
      records.push_back({{.key = {reinterpret_cast<const char*>(key), record.key_bytes},
                          .data = {key + record.key_bytes, record.data_bytes},
                          .hash = record.hash,
                          .flags = record.flags},
                         deadline,
                         std::move(record.done)});
      at += record.key_bytes + record.data_bytes;
      if (records.size() == ProducerEngine::kHashedTogether) take();
    }
    take();
    engine->tick(now);
    if (std::exchange(flush_due, false)) engine->flush(now);
    turns.records.clear();
    turns.bytes.clear();
    publish(now);
  }
  void take() {
    engine->put(records, turns.since);
    records.clear();
  }
  [[nodiscard]] Nanos next_deadline() const override {
    return std::min(looks, engine->next_deadline());
  }
  void stop() override {
    if (engine == nullptr) return;
    {
      const std::lock_guard lock(mutex);
      stopped = true;
    }
    tick(thread->clock.now());
    engine->stop(ErrorCode::kStopping);
    publish(thread->clock.now());
    engine.reset();
  }
  // What has changed in this turn is seen by others.
  void publish(Nanos now) {
    const std::lock_guard lock(mutex);
    counters = engine->counters();
    looked = now;
    looks = engine->next_deadline();
    if (!engine->idle()) looks = std::min(looks, now + patience());
    // Who put these has relied on this turn.
    if (!box.records.empty()) {
      looks = std::min(looks, box.since + std::min(settings.linger_nanos, patience()));
    }
    buffered -= std::exchange(released, 0);
    room.notify_all();
  }

  // --- Anybody's -----------------------------------------------------------------------------------
  Result<> put(std::string_view key, Bytes data, PutDone& done, std::optional<ExplicitHash> hash,
               bool may_wait) {
    if (key.empty() || (key.size() > kKeyCharactersMax && characters(key) > kKeyCharactersMax)) {
      return fail(ErrorCode::kMalformed);
    }
    if (data.size() > kDataMax || key.size() > 4 * kKeyCharactersMax) {
      return fail(ErrorCode::kTooLarge);
    }
    const std::size_t cost = key.size() + data.size();
    std::unique_lock lock(mutex);
    const auto fits = [&] { return stopped || buffered == 0 || buffered + cost <= buffered_max; };
    const auto box_fits = [&] {
      return stopped || (box.bytes.size() < kBoxBytes && box.records.size() < kBoxRecords);
    };
    may_wait = may_wait && !thread->on_thread();
    if (may_wait) {
      room.wait(lock, [&] { return fits() && box_fits(); });
    } else if (!fits()) {
      return fail(ErrorCode::kOverloaded);
    }
    if (stopped) return fail(ErrorCode::kStopping);
    if (box.records.empty()) box.since = client::native::SystemClock().now();
    Boxed record;
    record.key_bytes = static_cast<std::uint16_t>(key.size());
    record.data_bytes = static_cast<std::uint32_t>(data.size());
    if (hash) {
      record.flags = client::native::kExplicitHash;
      record.hash = {hash->high, hash->low};
    }
    record.done = std::move(done);
    const auto octets = std::as_bytes(std::span(key));
    box.bytes.insert(box.bytes.end(), octets.begin(), octets.end());
    box.bytes.insert(box.bytes.end(), data.begin(), data.end());
    box.records.push_back(std::move(record));
    buffered += cost;
    const bool call = !called && wants_call();
    called = called || call;
    lock.unlock();
    if (call) thread->wake();
    return {};
  }
  // A call costs as much as fifty records. So the thread is called when a batch is full, and where it would not look
  // soon enough by itself: it looks when something that lingers is due, when answers come, and, as long as any record
  // is without a result, once in `patience`.
  [[nodiscard]] std::int64_t patience() const {
    return std::clamp(settings.linger_nanos, kPatienceNanos, 10 * kPatienceNanos);
  }
  [[nodiscard]] bool wants_call() const {
    const bool full =
        box.bytes.size() >= std::min<std::size_t>(settings.batch_bytes, kBoxBytes) ||
        box.records.size() >= std::min<std::size_t>(settings.batch_records, kBoxRecords);
    if (full || looks > box.since + patience()) return true;
    return settings.linger_nanos < kPatienceNanos &&
           client::native::SystemClock().now() >= looked + kPauseNanos;
  }
  void flush() {
    if (!thread->post([this](Nanos) { flush_due = true; })) return;
    if (thread->on_thread()) return;
    std::unique_lock lock(mutex);
    room.wait(lock, [this] { return stopped || buffered == 0; });
  }

  std::shared_ptr<Client> client;  // stays as long as this
  std::shared_ptr<Client::Impl> thread;
  const ProducerSettings settings;
  const std::uint64_t buffered_max;

  std::unique_ptr<ProducerEngine> engine;  // the thread's, as the next five
  Box turns;
  std::vector<NewRecord> records;
  std::size_t released = 0;
  bool flush_due = false;

  std::mutex mutex;  // of what follows
  std::condition_variable room;
  Box box;
  bool called = false;     // the thread has been, for the box
  Nanos looked;            // when the thread did last
  Nanos looks{INT64_MAX};  // the latest time when it does next
  bool stopped = false;
  std::uint64_t buffered = 0;
  ProducerCounters counters;
};

std::shared_ptr<Producer> Client::producer(const std::string& stream,
                                           const ProducerOptions& options) {
  auto producer = std::make_shared<Producer::Impl>(shared_from_this(), impl_, stream, options);
  const bool begun = impl_->post([producer, thread = impl_.get()](Nanos now) {
    producer->begin(now);
    thread->agents.push_back(producer);
  });
  if (!begun) producer->stopped = true;
  return std::make_shared<Producer>(std::move(producer));
}

Producer::Producer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Producer::~Producer() { impl_->thread->release(impl_); }

Result<> Producer::put(std::string_view key, Bytes data, PutDone done,
                       std::optional<ExplicitHash> hash) {
  return impl_->put(key, data, done, hash, true);
}

Result<> Producer::try_put(std::string_view key, Bytes data, PutDone done,
                           std::optional<ExplicitHash> hash) {
  return impl_->put(key, data, done, hash, false);
}

std::future<Result<Stored>> Producer::put(std::string_view key, Bytes data) {
  auto promise = std::make_shared<std::promise<Result<Stored>>>();
  std::future<Result<Stored>> result = promise->get_future();
  const Result<> taken =
      put(key, data, [promise](const Result<Stored>& stored) { promise->set_value(stored); });
  if (!taken) promise->set_value(std::unexpected(taken.error()));
  return result;
}

void Producer::flush() { impl_->flush(); }

ProducerCounters Producer::counters() const {
  const std::lock_guard lock(impl_->mutex);
  ProducerCounters counters = impl_->counters;
  counters.buffered_bytes = impl_->buffered;
  return counters;
}

std::string Stored::sequence_number() const {
  return proto::record_sequence(shard_created_second, shard, index, arrival).decimal();
}

}  // namespace penstock
