#include "client/json_writer.h"
#include "native.h"
#include "penstock/admin.h"
#include "penstock/producer.h"
#include "proto/kinesis.h"
#include "put/target.h"
#include "words.h"

#include <fmt/format.h>

#include <mutex>
#include <optional>
#include <span>
#include <utility>

namespace penstock::tools {
namespace {

// An idempotent producer: each record is stored once, those of a key in their order, whatever happens on the way.
class NativeTarget final : public PutTarget {
 public:
  NativeTarget(std::shared_ptr<Client> client, std::string stream)
      : stream_(std::move(stream)),
        client_(std::move(client)),
        producer_(client_->producer(stream_, {})) {}

  Ended add(std::string_view key, std::string_view data) override {
    ++given_;
    const Result<> taken =
        producer_->put(key, std::as_bytes(std::span(data)),
                       [this](const Result<Stored>& result) { on_result(result); });
    const std::lock_guard lock(mutex_);
    if (!taken) return std::unexpected(refused(taken.error().code));
    return outcome();
  }
  Ended flush() override {
    producer_->flush();
    const std::lock_guard lock(mutex_);
    return outcome();
  }
  void print(bool json) const override;

 private:
  void on_result(const Result<Stored>& result) {
    const std::lock_guard lock(mutex_);
    if (result) {
      ++put_;
      last_ = *result;
    } else if (!failure_) {
      failure_ = result.error().code;
    }
  }
  // REQUIRES: locked; so for the next.
  Ended outcome() {
    if (!failure_) return Exit::kDone;
    return std::unexpected(refused(*failure_));
  }
  Problem refused(ErrorCode code) {
    Problem problem =
        problem_of(code, fmt::format("{} of {} records were put into '{}'", put_, given_, stream_));
    if (code == ErrorCode::kUnknownOutcome) {
      problem.cause("the connection or the server was lost for too long; some may be stored");
    }
    return problem;
  }

  std::string stream_;
  std::shared_ptr<Client> client_;
  mutable std::mutex mutex_;  // results come on the library's thread
  std::uint64_t given_ = 0;
  std::uint64_t put_ = 0;
  std::optional<Stored> last_;
  std::optional<ErrorCode> failure_;
  std::shared_ptr<Producer> producer_;  // last: its results need the others
};

void NativeTarget::print(bool json) const {
  const std::lock_guard lock(mutex_);
  const std::string shard = last_ ? proto::shard_id(last_->shard) : std::string();
  const std::string sequence = last_ ? last_->sequence_number() : std::string();
  const std::uint64_t batches = producer_->counters().batches_sent;
  if (json) {
    client::JsonWriter writer;
    writer.begin_object().field("stream", stream_).field("records", put_);
    writer.field("batches", batches);
    writer.field("last_shard", shard).field("last_sequence", sequence).end_object();
    fmt::print("{}\n", writer.text());
  } else if (put_ == 1) {
    fmt::print("1 record put: {} sequence {}\n", shard, sequence);
  } else {
    fmt::print("{} records put in {} batches\n", format_count(put_), format_count(batches));
  }
}

}  // namespace

Attempt<std::unique_ptr<PutTarget>> native_target(const Session& session,
                                                  const std::string& stream) {
  auto client = connect_native(session);
  if (!client) return std::unexpected(std::move(client.error()));
  // A producer would wait for the stream as long as its records may; a name that is wrong is told at once.
  if (const auto described = (*client)->admin().describe(stream); !described) {
    return std::unexpected(
        problem_of(described.error().code, fmt::format("stream '{}' cannot be written", stream))
            .mend("penstock stream list"));
  }
  return std::make_unique<NativeTarget>(std::move(*client), stream);
}

}  // namespace penstock::tools
