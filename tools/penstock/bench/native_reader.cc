#include "bench/native_reader.h"

#include "bench/records.h"
#include "native.h"
#include "penstock/admin.h"
#include "penstock/consumer.h"
#include "penstock/producer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <random>
#include <set>
#include <utility>

namespace penstock::tools::bench {
namespace {

// Without a single record for so long, a stream that has not been read to its end will not be.
constexpr std::chrono::seconds kPatience{60};

class NativeReader final : public Reader {
 public:
  NativeReader(std::shared_ptr<Client> client, const std::string& stream, const ReaderShape& shape,
               OnIncoming on_records)
      : stream_(stream), on_records_(std::move(on_records)), client_(std::move(client)) {
    ConsumerOptions options;
    options.start.kind =
        shape.from == From::kHorizon ? StartAt::Kind::kHorizon : StartAt::Kind::kLatest;
    options.polling = shape.pull;
    options.on_records = [this](const Records& records) { hand_on(records); };
    options.on_problem = [this](ShardNumber, const Error& error) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = error.code;
    };
    consumer_ = client_->consumer(stream, std::move(options));
  }
  ~NativeReader() override { consumer_->stop(); }

  std::optional<Problem> problem() const override {
    const std::lock_guard lock(mutex_);
    if (!failure_) return std::nullopt;
    return problem_of(*failure_, fmt::format("stream '{}' cannot be read", stream_));
  }

 private:
  void hand_on(const Records& records) {
    incoming_.clear();
    for (const Record& record : records.records) incoming_.push_back({record.key, record.data});
    on_records_(incoming_);
  }

  std::string stream_;
  OnIncoming on_records_;
  std::vector<Incoming> incoming_;
  mutable std::mutex mutex_;
  std::optional<ErrorCode> failure_;
  std::shared_ptr<Client> client_;
  std::shared_ptr<Consumer> consumer_;  // last: it calls into the others
};

// Which shards are not yet read to their end; the reader's thread takes them out.
class Ends {
 public:
  explicit Ends(std::set<ShardNumber> shards) : left_(std::move(shards)) {}

  void reached(ShardNumber shard) {
    const std::lock_guard lock(mutex_);
    left_.erase(shard);
    if (left_.empty()) changed_.notify_all();
  }
  void progress() {
    const std::lock_guard lock(mutex_);
    progress_ = true;
  }
  void failed(ErrorCode code) {
    const std::lock_guard lock(mutex_);
    // What is lost is counted by who judges; reading goes on behind it.
    if (code == ErrorCode::kDataLoss || failure_) return;
    failure_ = code;
    changed_.notify_all();
  }
  // Until all are read; what stood in the way otherwise.
  std::optional<ErrorCode> wait() {
    std::unique_lock lock(mutex_);
    for (;;) {
      progress_ = false;
      const bool over =
          changed_.wait_for(lock, kPatience, [this] { return left_.empty() || failure_; });
      if (over) return left_.empty() ? std::nullopt : failure_;
      if (!progress_) return ErrorCode::kDeadline;
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<ShardNumber> left_;
  bool progress_ = false;
  std::optional<ErrorCode> failure_;
};

constexpr std::string_view kMarkKey = "bench-end";

// What the end marks of this reading hold.
std::array<std::byte, kStampBytes> make_mark() {
  std::array<std::byte, kStampBytes> mark{};
  std::random_device source;
  write_stamp(mark, sum_of_body(mark), {source(), UINT16_MAX, source()});
  return mark;
}

// Into each open shard; gives those that are to be read to their end.
Attempt<std::set<ShardNumber>> put_marks(Client& client, const std::string& stream,
                                         std::span<const std::byte> mark) {
  const std::string failing = fmt::format("stream '{}' cannot be read back", stream);
  const auto described = client.admin().describe(stream);
  if (!described) return std::unexpected(problem_of(described.error().code, failing));
  ProducerOptions options;
  options.linger = std::chrono::microseconds(0);
  const auto producer = client.producer(stream, options);
  std::set<ShardNumber> shards;
  std::vector<std::future<Result<Stored>>> results;
  for (const ShardDescription& shard : described->shards) {
    shards.insert(shard.number);
    if (!shard.open) continue;
    auto promise = std::make_shared<std::promise<Result<Stored>>>();
    results.push_back(promise->get_future());
    const Result<> taken = producer->put(
        kMarkKey, mark, [promise](const Result<Stored>& stored) { promise->set_value(stored); },
        ExplicitHash{shard.begin_high, shard.begin_low});
    if (!taken) return std::unexpected(problem_of(taken.error().code, failing));
  }
  for (auto& result : results) {
    if (const auto stored = result.get(); !stored) {
      return std::unexpected(problem_of(stored.error().code, failing));
    }
  }
  return shards;
}

}  // namespace

std::unique_ptr<Reader> native_reader(std::shared_ptr<Client> client, const std::string& stream,
                                      const ReaderShape& shape, OnIncoming on_records) {
  return std::make_unique<NativeReader>(std::move(client), stream, shape, std::move(on_records));
}

Ended native_read_all(Client& client, const std::string& stream, const OnIncoming& on_records) {
  const auto mark = make_mark();
  auto shards = put_marks(client, stream, mark);
  if (!shards) return std::unexpected(std::move(shards.error()));
  Ends ends(std::move(*shards));
  std::vector<Incoming> incoming;
  ConsumerOptions options;
  options.on_records = [&](const Records& records) {
    incoming.clear();
    bool ended = false;
    for (const Record& record : records.records) {
      if (std::ranges::equal(record.data, mark)) {
        ended = true;
      } else if (record.key != kMarkKey) {  // of an earlier reading
        incoming.push_back({record.key, record.data});
      }
    }
    on_records(incoming);
    ended ? ends.reached(records.shard) : ends.progress();
  };
  options.on_shard_end = [&](ShardNumber shard) { ends.reached(shard); };
  options.on_problem = [&](ShardNumber, const Error& error) { ends.failed(error.code); };
  const auto consumer = client.consumer(stream, std::move(options));
  const auto failure = ends.wait();
  consumer->stop();
  if (!failure) return Exit::kDone;
  return std::unexpected(
      problem_of(*failure, fmt::format("stream '{}' cannot be read to its end", stream)));
}

}  // namespace penstock::tools::bench
