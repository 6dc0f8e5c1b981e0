#include "client/json_writer.h"
#include "client/put_batch.h"
#include "put/target.h"
#include "words.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <utility>

namespace penstock::tools {
namespace {

using client::PutBatch;

// How long one batch is tried without a single record of it being taken.
constexpr std::chrono::seconds kPatience{60};

// Sends what it is given, in order, until all of it is acknowledged.
class KinesisTarget final : public PutTarget {
 public:
  KinesisTarget(const Session& session, std::string stream)
      : stream_(std::move(stream)), client_(session.client()), backoff_(1), batch_(stream_) {}

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
  std::string stream_;
  client::KinesisClient client_;
  client::Backoff backoff_;
  PutBatch batch_;
  std::uint64_t given_ = 0;
  std::uint64_t put_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t in_doubt_ = 0;  // sent again although an earlier attempt may have been stored
  std::string last_shard_;
  std::string last_sequence_;
  std::string last_refusal_;
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
                                    if (entry.unknown) ++in_doubt_;
                                  }};
  backoff_.reset();
  auto give_up = client::Clock::now() + kPatience;
  while (!batch_.empty()) {
    const std::uint64_t before = put_;
    const std::size_t size = batch_.size();
    ++calls_;
    const auto left = batch_.send(client_, visitor);
    const bool late = client::Clock::now() >= give_up;
    const std::string failing =
        fmt::format("{} of {} records were put into '{}'", put_, given_, stream_);
    if (!left) {
      if (!left.error().transient() || late)
        return std::unexpected(problem_of(left.error(), failing));
      if (left.error().unknown) in_doubt_ += size;
    } else if (put_ > before) {
      give_up = client::Clock::now() + kPatience;
      backoff_.reset();
    } else if (late) {
      Problem problem{Exit::kThrottled, number(ErrorCode::kThrottled), failing, {}};
      problem.found(last_refusal_).cause("the shard's limit, or a full journal");
      return std::unexpected(
          std::move(problem.mend("penstock stream split " + stream_ + " SHARD")));
    }
    if (!batch_.empty()) std::this_thread::sleep_for(backoff_.next());
  }
  return Exit::kDone;
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
