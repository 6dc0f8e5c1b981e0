#include "client/json_writer.h"
#include "client/put_batch.h"
#include "put/target.h"
#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

namespace penstock::tools {
namespace {

using client::PutBatch;

// How long one batch is tried without a single record of it being taken, or --timeout where that is longer;
// and when that is first spoken of.
constexpr std::chrono::milliseconds kPatience{30'000};
constexpr std::chrono::seconds kQuiet{5};

// Sends what it is given, in order, until all of it is acknowledged.
class KinesisTarget final : public PutTarget {
 public:
  KinesisTarget(const Session& session, std::string stream)
      : stream_(std::move(stream)),
        client_(session.client()),
        patience_(std::max(kPatience, session.client_options().timeout)),
        backoff_(1),
        batch_(stream_) {}

  Ended add(std::string_view key, std::string_view data) override {
    if (batch_.full(key.size(), data.size())) {
      if (auto flushed = flush(); !flushed) return flushed;
    }
    batch_.add(key, data, given_++);
    return Exit::kDone;
  }

  Ended flush() override;
  void print(bool json) const override;

 private:
  // Nothing of the batch was taken: says so once, and what it ends with when it was long enough.
  Ended wait(client::Clock::time_point since, const std::optional<client::Failure>& failure);
  [[nodiscard]] Problem given_up() const;

  std::string stream_;
  client::KinesisClient client_;
  std::chrono::milliseconds patience_;
  client::Backoff backoff_;
  PutBatch batch_;
  std::uint64_t given_ = 0;
  std::uint64_t put_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t in_doubt_ = 0;  // sent again although an earlier attempt may have been stored
  std::string last_shard_;
  std::string last_sequence_;
  std::string last_refusal_;
  bool throttled_ = false;  // that refusal was for the shard's limit
  bool told_ = false;       // that nothing is taken
};

Ended KinesisTarget::flush() {
  const PutBatch::Visitor visitor{[this](const PutBatch::Acknowledged& entry) {
                                    ++put_;
                                    last_shard_ = entry.shard;
                                    last_sequence_ = entry.sequence;
                                  },
                                  [this](const PutBatch::Refused& entry) {
                                    last_refusal_ =
                                        fmt::format("{}: {}", entry.code, entry.message);
                                    throttled_ = !entry.unknown;
                                    if (entry.unknown) ++in_doubt_;
                                  }};
  backoff_.reset();
  auto since = client::Clock::now();
  while (!batch_.empty()) {
    const std::uint64_t before = put_;
    const std::size_t size = batch_.size();
    ++calls_;
    const auto left = batch_.send(client_, visitor);
    if (left && put_ > before) {
      since = client::Clock::now();
      told_ = false;
      backoff_.reset();
    } else if (left) {
      if (Ended waiting = wait(since, std::nullopt); !waiting) return waiting;
    } else {
      if (left.error().unknown) in_doubt_ += size;
      if (Ended waiting = wait(since, left.error()); !waiting) return waiting;
    }
    if (!batch_.empty()) std::this_thread::sleep_for(backoff_.next());
  }
  return Exit::kDone;
}

Ended KinesisTarget::wait(client::Clock::time_point since,
                          const std::optional<client::Failure>& failure) {
  const auto waited = client::Clock::now() - since;
  if (failure && (!failure->transient() || waited >= patience_)) {
    return std::unexpected(problem_of(
        *failure, fmt::format("{} of {} records were put into '{}'", put_, given_, stream_)));
  }
  if (waited >= patience_) return std::unexpected(given_up());
  if (waited >= kQuiet && !std::exchange(told_, true)) {
    fmt::print(stderr, "note: nothing has been taken for {} s; trying for {} s: {}\n",
               kQuiet.count(), patience_.count() / 1'000,
               failure ? failure->message : last_refusal_);
  }
  return Exit::kDone;
}

Problem KinesisTarget::given_up() const {
  const ErrorCode code = throttled_ ? ErrorCode::kThrottled : ErrorCode::kJournalFull;
  Problem problem{Exit::kThrottled,
                  number(code),
                  fmt::format("{} of {} records were put into '{}', then none in {} s", put_,
                              given_, stream_, patience_.count() / 1'000),
                  {}};
  problem.found(last_refusal_);
  if (throttled_) {
    problem.cause("the shard's limit").mend("penstock stream split " + stream_ + " SHARD");
  } else {
    problem.cause("a full journal, or a cell that is read-only")
        .mend("GET /readyz of the server's administration says which, and what mends it");
  }
  return problem;
}

void KinesisTarget::print(bool json) const {
  if (json) {
    client::JsonWriter writer;
    writer.begin_object().field("stream", stream_).field("records", put_);
    writer.field("calls", calls_).field("in_doubt", in_doubt_);
    writer.field("last_shard", last_shard_).field("last_sequence", last_sequence_).end_object();
    fmt::print("{}\n", writer.text());
  } else if (put_ == 1) {
    fmt::print("1 record put: {} sequence {}\n", last_shard_, last_sequence_);
  } else {
    fmt::print("{} records put in {} calls\n", format_count(put_), format_count(calls_));
  }
  if (in_doubt_ > 0) {
    fmt::print(
        stderr,
        "note: {} records were sent again after an answer was lost; some may be there twice\n",
        format_count(in_doubt_));
  }
}

}  // namespace

std::unique_ptr<PutTarget> kinesis_target(const Session& session, const std::string& stream) {
  return std::make_unique<KinesisTarget>(session, stream);
}

}  // namespace penstock::tools
