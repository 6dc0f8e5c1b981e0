#include "bench/native_reader.h"

#include "native.h"
#include "penstock/admin.h"
#include "penstock/consumer.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

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

// Whether a stream is read; the reader's thread tells.
class Progress {
 public:
  void caught_up() { end(std::nullopt); }
  void made() {
    const std::lock_guard lock(mutex_);
    made_ = true;
  }
  void failed(ErrorCode code) {
    // What is lost is counted by who judges; reading goes on behind it.
    if (code != ErrorCode::kDataLoss) end(code);
  }
  // What stood in the way, or nothing.
  std::optional<ErrorCode> wait() {
    std::unique_lock lock(mutex_);
    for (;;) {
      made_ = false;
      if (changed_.wait_for(lock, kPatience, [this] { return over_; })) return failure_;
      if (!made_) return ErrorCode::kDeadline;
    }
  }

 private:
  void end(std::optional<ErrorCode> failure) {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(over_, true)) failure_ = failure;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  bool made_ = false;
  std::optional<ErrorCode> failure_;
};

}  // namespace

std::unique_ptr<Reader> native_reader(std::shared_ptr<Client> client, const std::string& stream,
                                      const ReaderShape& shape, OnIncoming on_records) {
  return std::make_unique<NativeReader>(std::move(client), stream, shape, std::move(on_records));
}

Ended native_read_all(Client& client, const std::string& stream, const OnIncoming& on_records) {
  // A consumer would wait for a stream that is to come.
  if (const auto described = client.admin().describe(stream); !described) {
    return std::unexpected(
        problem_of(described.error().code, fmt::format("stream '{}' cannot be read back", stream)));
  }
  Progress progress;
  std::vector<Incoming> incoming;
  ConsumerOptions options;
  options.on_records = [&](const Records& records) {
    incoming.clear();
    for (const Record& record : records.records) incoming.push_back({record.key, record.data});
    on_records(incoming);
    progress.made();
  };
  options.on_caught_up = [&] { progress.caught_up(); };
  options.on_problem = [&](ShardNumber, const Error& error) { progress.failed(error.code); };
  const auto consumer = client.consumer(stream, std::move(options));
  const auto failure = progress.wait();
  consumer->stop();
  if (!failure) return Exit::kDone;
  return std::unexpected(
      problem_of(*failure, fmt::format("stream '{}' cannot be read to its end", stream)));
}

}  // namespace penstock::tools::bench
