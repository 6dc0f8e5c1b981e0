#include "bench/kinesis_writer.h"

#include "bench/outbox.h"
#include "bench/outcomes.h"
#include "client/put_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::tools::bench {
namespace {

using client::PutBatch;

constexpr std::chrono::seconds kPatience{30};

class Connection {
 public:
  Connection(const client::ClientOptions& options, const std::string& stream,
             const WriterShape& shape, Outcomes& outcomes)
      : stream_(stream),
        batch_bytes_(shape.batch_bytes),
        outcomes_(outcomes),
        client_(options),
        batch_(stream),
        backoff_(1),
        outbox_(std::max<std::uint64_t>(1, shape.buffered_bytes / shape.connections), {}),
        thread_([this] { run(); }) {}
  ~Connection() { outbox_.close(); }

  bool put(const Outgoing& record) { return outbox_.put(record); }

 private:
  void run() {
    Outbox::Box box;
    while (outbox_.take(box, true)) {
      box.each([this](const Outbox::Entry& entry, std::string_view key,
                      std::span<const std::byte> data) { add(entry, key, data); });
      box.clear();
      send_all();
    }
  }
  void add(const Outbox::Entry& entry, std::string_view key, std::span<const std::byte> data) {
    const bool long_enough = !batch_.empty() && bytes_ + data.size() > batch_bytes_;
    if (long_enough || batch_.full(key.size(), data.size())) send_all();
    const std::string hash = entry.hash ? entry.hash->decimal() : std::string();
    batch_.add(key, {reinterpret_cast<const char*>(data.data()), data.size()}, entry.number, hash);
    bytes_ += data.size();
  }
  // Until each record of the batch has its result.
  void send_all();
  void give_up(Outcome outcome, Problem problem);

  std::string stream_;
  std::uint32_t batch_bytes_;
  Outcomes& outcomes_;
  client::KinesisClient client_;
  PutBatch batch_;
  std::uint64_t bytes_ = 0;  // of data in the batch
  client::Backoff backoff_;
  Outbox outbox_;
  std::jthread thread_;  // last: it uses all of the others
};

void Connection::send_all() {
  const std::string failing = fmt::format("stream '{}' does not take every record", stream_);
  bool doubtful = false;
  Problem refusal{Exit::kThrottled, number(ErrorCode::kThrottled), failing, {}};
  const PutBatch::Visitor visitor{
      [this](const PutBatch::Acknowledged& entry) {
        outcomes_.result(entry.tag, Outcome::kStored);
      },
      [&](const PutBatch::Refused& entry) {
        doubtful = doubtful || entry.unknown;
        refusal.lines = {{"found", fmt::format("{}: {}", entry.code, entry.message)}};
      }};
  auto give_up_at = client::Clock::now() + kPatience;
  while (!batch_.empty()) {
    const std::size_t before = batch_.size();
    const auto left = batch_.send(client_, visitor);
    const bool late = client::Clock::now() >= give_up_at;
    if (!left) {
      doubtful = doubtful || left.error().unknown;
      if (!left.error().transient() || late) {
        give_up(doubtful ? Outcome::kUnknown : Outcome::kRefused,
                problem_of(left.error(), failing));
      }
    } else if (*left < before) {
      give_up_at = client::Clock::now() + kPatience;
      backoff_.reset();
    } else if (late) {
      give_up(doubtful ? Outcome::kUnknown : Outcome::kRefused, std::move(refusal));
    }
    if (!batch_.empty()) std::this_thread::sleep_for(backoff_.next());
  }
  bytes_ = 0;
}

void Connection::give_up(Outcome outcome, Problem problem) {
  outcomes_.failed(std::move(problem));
  for (std::size_t i = 0; i < batch_.size(); ++i) outcomes_.result(batch_.tag(i), outcome);
  batch_.clear();
}

class KinesisWriter final : public Writer {
 public:
  KinesisWriter(const client::ClientOptions& options, const std::string& stream,
                const WriterShape& shape, Track& track)
      : outcomes_(track) {
    for (std::uint32_t i = 0; i < shape.connections; ++i) {
      connections_.push_back(std::make_unique<Connection>(options, stream, shape, outcomes_));
    }
  }
  bool put(const Outgoing& record) override {
    return connections_[record.key_number % connections_.size()]->put(record);
  }
  void flush() override { outcomes_.wait(); }
  std::optional<Problem> problem() const override { return outcomes_.problem(); }

 private:
  Outcomes outcomes_;
  std::vector<std::unique_ptr<Connection>> connections_;  // last: their results need the others
};

}  // namespace

std::unique_ptr<Writer> kinesis_writer(const client::ClientOptions& options,
                                       const std::string& stream, const WriterShape& shape,
                                       Track& track) {
  return std::make_unique<KinesisWriter>(options, stream, shape, track);
}

}  // namespace penstock::tools::bench
